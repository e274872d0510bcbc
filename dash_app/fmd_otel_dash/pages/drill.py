"""From a point of a chart to the requests behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fmd_otel_dash.figures.base import is_ghost
from fmd_otel_dash.figures.latencybands import first_us
from fmd_otel_dash.figures.report import AFTER, BEFORE
from fmd_otel_dash.pages.common import requests_href, requests_path
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.reports.drawing import COARSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_dash.figures.base import Figure
    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.timeline import Timeline
    from fmd_otel_dash.view import View


def duration_filters(low_us: int, high_us: int | None = None) -> dict[str, str]:
    """Return the filters of a list of requests that took at least so long, and less than so long."""
    found = {"min_ms": milliseconds(low_us)} if low_us > 0 else {}
    return found if high_us is None else found | {"max_ms": milliseconds(high_us)}


def milliseconds(us: float) -> str:
    """Return whole microseconds as milliseconds, all of their digits: 12.345."""
    return f"{us / 1000:.3f}".rstrip("0").rstrip(".")


def figure_hrefs(view: View, *least_us: float | None, errors_at: int = 2) -> list[str]:
    """Return where key figures lead: all requests, those slower than each duration, and those that failed.

    Args:
        view: the page.
        least_us: durations that are shown, or None where there are none.
        errors_at: place of the share of errors among the figures.
    """
    view = view.with_versions(*view.after.versions)
    path = requests_path(view)
    slow = [view.href(path, **duration_filters(int(us))) if us else "" for us in least_us]
    hrefs = [view.href(path), *slow]
    hrefs.insert(errors_at, view.href(path, status="5xx"))
    return hrefs


def row_hrefs(view: View, endpoint: Endpoint, p95_us: float | None) -> dict[str, str]:
    """Return where the numbers of an endpoint's row lead: to all requests, and the filter of the slow.

    Those that failed have the same filter in each row: the grid knows it.
    """
    view = view.with_versions(*view.pair_of(endpoint.service).after.versions)
    path = requests_path(view, endpoint.id)
    return {
        "requestsHref": view.href(path),
        "slow": urlencode(duration_filters(int(p95_us))) if p95_us else "",
    }


def band_href(view: View, sides: tuple[Scope, Scope], endpoint_id: int, point: dict[str, Any]) -> str | None:
    """Return the requests of a step of two distributions over one another, of the side that was clicked."""
    match point.get("customdata"):
        case [int(side), int(bucket)] if side in {BEFORE, AFTER}:
            scope = sides[side]
            filters = duration_filters(first_us(bucket), first_us(bucket + COARSE))
            version = {"v": scope.versions[0]} if len(scope.versions) == 1 else {}
            return requests_href(view, scope.start_us, scope.end_us, endpoint_id, **filters, **version)
    return None


def step_href(
    view: View, found: Timeline, point: dict[str, Any], endpoint_id: int | None = None, /, **filters: str
) -> str | None:
    """Return the requests of the step of a click.

    By its number, since the time on the axis may mean two moments.
    """
    number = point.get("pointNumber")
    if not isinstance(number, int) or not 0 <= number < len(found.points):
        return None
    start_us = found.points[number].start_us
    end_us = start_us + found.step_s * US_PER_S
    within = max(start_us, found.scope.start_us), min(end_us, found.scope.end_us)
    return requests_href(view.with_versions(*found.scope.versions), *within, endpoint_id, **filters)


def line_href(
    view: View,
    lines: tuple[Timeline, Timeline | None],
    point: dict[str, Any],
    draw: Callable[[Timeline, Timeline | None], Figure],
) -> str | None:
    """Return the requests of a step of a click on a line over time; on the dashed line, of what is before."""
    found, before = lines
    of_ghost = before and is_ghost(draw(found, before), point.get("curveNumber"))
    return step_href(view, before if before and of_ghost else found, point)
