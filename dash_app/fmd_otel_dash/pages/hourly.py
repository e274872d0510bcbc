"""Hourly API Utilization: when the app, or one endpoint, is busy."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import card, graph, page, url_segments
from fmd_otel_dash.figures import bars, heatmap
from fmd_otel_dash.pages.common import (
    absent,
    against_earlier,
    caption,
    compared_with,
    earlier_time,
    export,
    longer_ranges,
    on_click,
    requests_href,
    requests_path,
)
from fmd_otel_dash.queries.hourly import HOURS, Hourly, beside, hourly
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Hourly API Utilization"
MAP = "hourly-map"
TYPICAL = "hourly-typical"
DRAWN = (("requests", "Requests"), ("difference", "Difference"))
_MAP_HEIGHT = 430
_TYPICAL_HEIGHT = 220
_LEAST_DAYS = 4


def cards(view: View) -> list[Any]:
    """Return the page's cards; an endpoint's page has the same."""
    return [
        card(
            MAP,
            "Requests by hour and day",
            hint="Darker is busier. A gap is an hour outside the range, or one that the clocks skipped. "
            "Click an hour for its requests.",
            actions=[export(view)],
            height=_MAP_HEIGHT + 24,
        ),
        card(
            TYPICAL,
            "Typical day",
            hint="Mean requests per hour, by hour of the day. Click an hour for its requests, of all days.",
            height=_TYPICAL_HEIGHT + 24,
        ),
    ]


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(TITLE, *cards(view), subtitle="When the app is busy, hour by hour")


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(MAP)
    def by_hour(view: View) -> Any:
        found = view.query(hourly, view.scope)
        if not found.total:
            return absent(view, found.last_recorded_us)
        before = before_of(view)
        cells = beside(found, before) if before else ()
        difference = bool(cells) and view.state.get("as") == "difference"
        figure = heatmap.hourly(found, cells, difference=difference)
        shown = "difference" if difference else "requests"
        return [
            longer_ranges(view, _LEAST_DAYS),
            html.Div(url_segments("as", "Drawn as", DRAWN, shown), className="fmd-toolbar")
            if cells
            else None,
            graph(
                figure,
                name=MAP,
                height=_MAP_HEIGHT,
                zoom=True,
                label="Requests by hour of the day and by day",
                leads=True,
            ),
            caption(
                view,
                found.total,
                "by weeks" if found.by_week else "",
                f"orange is more, teal less than in {compared_with(view)}" if difference else "",
                "" if before else against_earlier(view, any_before=False),
                f"hours of {found.days_without_hours} days are no longer kept"
                if found.days_without_hours
                else "",
            ),
        ]

    @registry.card(TYPICAL)
    def typical(view: View) -> Any:
        found = view.query(hourly, view.scope)
        if not found.total:
            return None
        before = before_of(view)
        compared = against_earlier(view, any_before=before is not None)
        return [
            graph(bars.by_hour_of_day(found, before), name=TYPICAL, height=_TYPICAL_HEIGHT,
                  label="Mean requests per hour by hour of the day", leads=True),
            caption(view, found.total, compared),
        ]  # fmt: skip

    on_click(registry, MAP, clicked_hour)
    on_click(registry, TYPICAL, clicked_typical)


def before_of(view: View) -> Hourly | None:
    """Return the comparison, where it has any requests."""
    earlier = earlier_time(view)
    before = view.query(hourly, earlier) if earlier else None
    return before if before and before.total else None


def clicked_hour(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of an hour; of a week, the week by days.

    As instants: an hour that comes twice is both of them, and one before a skipped one ends where that was.
    """
    try:
        day, hour = date.fromisoformat(str(point["x"])[:10]), int(point["y"])
    except (KeyError, ValueError):
        return None
    if not 0 <= hour < HOURS:
        return None
    if view.query(hourly, view.scope).by_week:
        return view.href(view.path, start=str(day), end=str(day + timedelta(days=6)))
    found = view.scope.local_hour(day, hour)
    return requests_href(view, *found) if found else None


def clicked_typical(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of an hour, of all days together; on the dashed line, of before."""
    hour, of = point.get("x"), earlier_time(view)
    if not isinstance(hour, int) or not 0 <= hour < HOURS:
        return None
    if point.get("curveNumber") == 1 and of:
        return requests_href(view, of.start_us, of.end_us, hour=str(hour))
    return view.href(requests_path(view), hour=str(hour))


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the heat map line by line."""
    found: Hourly = view.query(hourly, view.scope)
    for i, column in enumerate(found.columns):
        for hour, (counts, minutes) in enumerate(zip(found.n, found.minutes, strict=True)):
            if counts[i] is not None:
                yield column.isoformat(), hour, minutes[i], counts[i]


TABLE = Table("hourly", ("day", "hour", "minutes", "requests"), rows)
PAGE = Page(
    path="/hourly_load",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="h",
    icon="hourly",
    table=TABLE,
)
