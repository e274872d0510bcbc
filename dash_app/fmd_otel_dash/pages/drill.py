"""From a point of a chart to the requests behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.pages.common import requests_href
from fmd_otel_dash.queries.scope import US_PER_S

if TYPE_CHECKING:
    from fmd_otel_dash.queries.timeline import Timeline
    from fmd_otel_dash.view import View


def duration_filters(low_us: int, high_us: int | None = None) -> dict[str, str]:
    """Return the filters of a list of requests that took at least so long, and less than so long."""
    found = {"min_ms": milliseconds(low_us)} if low_us > 0 else {}
    return found if high_us is None else found | {"max_ms": milliseconds(high_us)}


def milliseconds(us: float) -> str:
    """Return whole microseconds as milliseconds, all of their digits: 12.345."""
    return f"{us / 1000:.3f}".rstrip("0").rstrip(".")


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
    return requests_href(view, *within, endpoint_id, **filters)
