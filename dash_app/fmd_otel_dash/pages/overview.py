"""Overview: how the app is doing, and every endpoint in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output
from dash.exceptions import PreventUpdate

from fmd_otel_dash import formatting
from fmd_otel_dash.components import (
    card,
    data_grid,
    first_request_hint,
    graph,
    kpi,
    kpi_row,
    nothing_in_range,
    nothing_recorded,
    page,
    with_deploys,
)
from fmd_otel_dash.components.endpoints import columns, export_link, filter_field
from fmd_otel_dash.figures import lines
from fmd_otel_dash.pages import endpoint_rows
from fmd_otel_dash.pages.common import below_figure, below_requests, deploys, on_click, part_of_range
from fmd_otel_dash.pages.drill import figure_hrefs, line_href
from fmd_otel_dash.queries.kpis import APDEX_THRESHOLD_US
from fmd_otel_dash.queries.overview import Overview, overview_of
from fmd_otel_dash.queries.timeline import Timeline, timeline
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_exporter.catalog import set_level
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Overview"
KPIS = "overview-kpis"
ENDPOINTS = "overview-endpoints"
TRAFFIC = "overview-traffic"
DURATIONS = "overview-durations"
GRID = "endpoints-grid"
FILTER = "endpoints-filter"
_CHART_HEIGHT = 270
LEVEL_SET = "level-set"
"""Store with the level that the server confirmed; the browser corrects the table by it."""
LEVEL_WANTED = "level-wanted"
"""Store that the table's level buttons, and "Undo", write to."""


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(KPIS, kind="kpi", height=98, plain=True),
        card(
            ENDPOINTS,
            "Endpoints",
            actions=[filter_field(FILTER, view.state.get("q")), export_link(view, "endpoints.csv")],
            kind="table",
            height=420,
            stores=[LEVEL_SET, LEVEL_WANTED],
        ),
        card(
            TRAFFIC,
            "Requests over time",
            height=_CHART_HEIGHT,
            span=6,
            hint="Drag to zoom, click a step for its requests",
        ),
        card(
            DURATIONS,
            "Durations over time",
            height=_CHART_HEIGHT,
            span=6,
            hint="Drag to zoom, click a step for its requests",
        ),
    )


def read(view: View) -> Overview:
    """Return what the page shows; its cards share the answer."""
    return view.query(overview_of, view.scope, view.pairs, view.now_us)


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(KPIS)
    def kpis(view: View) -> Any:
        found = read(view)
        if found.nothing_recorded and not found.endpoints:
            return None
        slow = found.kpis.p95_us, APDEX_THRESHOLD_US if found.kpis.n else None
        return kpi_row(_kpis(view, found), figure_hrefs(view, *slow))

    @registry.card(ENDPOINTS)
    def endpoints(view: View) -> Any:
        found = read(view)
        if not found.endpoints:
            return nothing_recorded(view)
        notes = []
        if found.nothing_recorded:
            notes = [first_request_hint()]
        elif not found.kpis.n:
            notes = [nothing_in_range(view, found.last_recorded_us, compact=True)]
        several = len({each.endpoint.service for each in found.endpoints}) > 1
        grid = data_grid(
            GRID,
            columns(compare=found.compares, may_set_level=view.user.may(ADMIN)),
            [endpoint_rows.row(view, each, with_service=several) for each in found.endpoints],
            filter_input=FILTER,
        )
        return [*notes, grid, part_of_range(view)]

    @registry.card(TRAFFIC)
    def over_time(view: View) -> Any:
        return _chart(view, TRAFFIC, lines.traffic, "Requests over time, by outcome", durations=False)

    @registry.card(DURATIONS)
    def durations(view: View) -> Any:
        return _chart(view, DURATIONS, lines.durations, "Percentiles of durations over time")

    on_click(registry, TRAFFIC, clicked_traffic)
    on_click(registry, DURATIONS, clicked_durations)
    _register_levels(registry)


def clicked_traffic(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a step."""
    return line_href(view, _lines(view, durations=False), point, lines.traffic)


def clicked_durations(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a step of the durations."""
    return line_href(view, _lines(view, durations=True), point, lines.durations)


def _register_levels(registry: Registry) -> None:
    @registry.callback(
        Output(LEVEL_SET, "data"),
        Output("notice", "children", allow_duplicate=True),
        Input(LEVEL_WANTED, "data"),
        role=ADMIN,
    )
    def change_level(view: View, wanted: dict[str, Any] | None) -> Any:
        if not wanted:
            raise PreventUpdate  # the page has only just opened
        return _change_level(view, wanted)

    registry.clientside("levelConfirmed", Input(LEVEL_SET, "data"), prevent_initial_call=True)


def _change_level(view: View, change: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Set a level, and tell what it is now; where it could not be set, what it still is."""
    endpoint_id: Any = change.get("id")
    level: Any = change.get("level")
    before, name = change.get("before"), change.get("name")
    if not isinstance(endpoint_id, int):
        return {"id": None, "level": before}, "Not changed: there is no such endpoint."
    try:
        set_level(view.store, endpoint_id, level)
    except FmdOtelError as error:
        return {"id": endpoint_id, "level": before}, f"Not changed: {error}"
    view.services.cache.clear()
    return (
        {"id": endpoint_id, "level": level},
        endpoint_rows.level_notice(str(name), endpoint_id, level, before),
    )


def _chart(view: View, name: str, draw: Callable[..., Any], label: str, *, durations: bool = True) -> Any:
    found, before = _lines(view, durations=durations)
    if not found.counts.n:
        return None  # the table above says so already; an empty card is not shown
    figure = with_deploys(draw(found, before), deploys(view), view.scope.tz)
    return graph(figure, name=name, height=_CHART_HEIGHT, zoom=True, label=label, leads=True)


def _lines(view: View, *, durations: bool) -> tuple[Timeline, Timeline | None]:
    before = view.query(timeline, view.ghost, durations=durations) if view.ghost else None
    return view.query(timeline, view.after, durations=durations), before


def _kpis(view: View, found: Overview) -> list[Any]:
    now, moved = found.kpis, found.changes
    return [
        kpi(
            "Requests",
            formatting.count(now.n),
            **below_requests(view, now, found.previous),
            hint=f"{now.n:,} requests at monitor level 1 or above",
        ),
        kpi(
            "p95 latency",
            formatting.duration(now.p95_us),
            **below_figure(view, found.previous, formatting.measured_change, moved.p95),
            hint=f"95 % of requests took less. Half took less than {formatting.duration(now.p50_us)}, "
            f"99 % less than {formatting.duration(now.p99_us)}.",
        ),
        kpi(
            "Error rate",
            formatting.percent(now.error_rate),
            **below_figure(view, found.previous, formatting.point_change, moved.errors),
            hint=f"{now.errors:,} answers of 500 and above; "
            f"{now.client_errors:,} of 400 to 499 are not counted in",
        ),
        kpi(
            "Apdex (300 ms)",
            formatting.NONE if now.apdex is None else f"{now.apdex:.2f}",
            **below_figure(view, found.previous, formatting.score_change, moved.apdex),
            hint="Share of requests within 300 ms, plus half of those within 1.2 s",
        ),
    ]


PAGE = Page(
    path="/overview",
    aliases=("/",),
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="o",
    icon="overview",
    table=endpoint_rows.TABLE,
)
