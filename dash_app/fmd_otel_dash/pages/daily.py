"""Daily API Utilization: how much is asked of each endpoint, day by day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

from fmd_otel_dash.components import card, graph, page, with_deploys
from fmd_otel_dash.figures import bars
from fmd_otel_dash.pages.common import (
    absent,
    against_earlier,
    caption,
    deploys,
    earlier_time,
    export,
    longer_ranges,
    on_click,
    requests_path,
)
from fmd_otel_dash.pages.request_rows import without
from fmd_otel_dash.queries.daily import Daily, daily
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Daily API Utilization"
STACK = "daily-stack"
_HEIGHT = 460
_LEAST_DAYS = 4


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(
            STACK,
            "Requests per day",
            hint="Days of the time zone, so that one may have 23 or 25 hours. Click a bar for its requests.",
            actions=[export(view)],
            height=_HEIGHT + 24,
        ),
        subtitle="What is asked of each endpoint, day by day",
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(STACK)
    def by_day(view: View) -> Any:
        found = view.query(daily, view.scope)
        if not found.total:
            return absent(view, found.last_recorded_us)
        earlier = earlier_time(view)
        before = view.query(daily, earlier) if earlier else None
        figure = bars.daily(found, before, view.settings.colors)
        compared = against_earlier(view, any_before=bool(before and before.total))
        return [
            longer_ranges(view, _LEAST_DAYS),
            graph(
                with_deploys(figure, deploys(view), view.scope.tz),
                name=STACK,
                height=_HEIGHT,
                zoom=True,
                label="Requests per day, stacked by endpoint",
                leads=True,
            ),
            caption(view, found.total, compared),
        ]

    on_click(registry, STACK, clicked_day)


def clicked_day(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a day: of the bar's endpoint, the others, or all; of before, on its line."""
    of = point.get("customdata")
    try:
        day = date.fromisoformat(str(of if isinstance(of, str) else point["x"])[:10]).isoformat()
    except (KeyError, ValueError):
        return None
    if of == bars.OF_OTHERS:
        named = [one.endpoint.id for one in view.query(daily, view.scope).endpoints[: bars.NAMED]]
        state = replace(view.state.with_range(day, day, view.window.tz), extra=without(named))
        return view.settings.url("/requests") + format_search(state)
    return view.href(requests_path(view, of if isinstance(of, int) else None), start=day, end=day)


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the stack line by line."""
    found: Daily = view.query(daily, view.scope)
    for series in found.endpoints:
        for day, n, errors in zip(found.days, series.n, series.errors, strict=True):
            if n:
                yield day.isoformat(), series.endpoint.service, series.endpoint.name, n, errors


TABLE = Table("daily", ("day", "service", "endpoint", "requests", "errors_5xx"), rows)
PAGE = Page(
    path="/daily_utilization",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="d",
    icon="daily",
    table=TABLE,
)
