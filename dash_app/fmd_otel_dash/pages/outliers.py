"""Outliers: requests that took much longer than usual, and what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting, urlstate
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import (
    card,
    column,
    data_grid,
    empty,
    foreign,
    graph,
    nothing_in_range,
    number,
    page,
    with_deploys,
)
from fmd_otel_dash.figures import outliers as figures
from fmd_otel_dash.pages.common import against_earlier, compared_with, deploys, earlier_time, export, on_click
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.pages.request_rows import time_px, today
from fmd_otel_dash.queries.commonality import in_common
from fmd_otel_dash.queries.look import endpoints
from fmd_otel_dash.queries.outlier_load import outlier_loads
from fmd_otel_dash.queries.outliers import Outlier, Outliers, outliers, outliers_over_time
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.stats.commonality import Common, Share
    from fmd_otel_dash.view import View

TITLE = "Outliers"
OVER_TIME = "outliers-over-time"
COMMON = "outliers-common"
CORES = "outliers-cores"
MEMORY = "outliers-memory"
LIST = "outliers-list"
GRID = "outliers-grid"
LEAST_LEVEL = 2
_MOST_SHOWN = 6
_MOST_RINGS = 60
_MOST_LISTED = 90


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(TITLE, *_cards(view), subtitle="Requests that took much longer than usual, and why")


def endpoint_layout(view: View) -> Any:
    """Return the page of one endpoint without data."""
    return endpoint_page(*_cards(view))


def _cards(view: View) -> list[Any]:
    return [
        card(
            OVER_TIME,
            "Outliers over time",
            hint="A dot is a request; the stroke below it is the threshold it passed. Click one to open it.",
            height=330,
            span=7,
        ),
        card(
            COMMON,
            "What they have in common",
            hint="Values that outliers have more often than the other requests of the same endpoints.",
            kind="table",
            height=330,
            span=5,
        ),
        card(
            CORES,
            "CPU load",
            hint="Of each core while outliers ran: the box holds the middle half, the whiskers everything. "
            "Click a dot for its outlier.",
            height=270,
            span=6,
        ),
        card(
            MEMORY,
            "Memory",
            hint="Of the worker and the host while outliers ran; click a dot for its outlier",
            height=270,
            span=6,
        ),
        card(LIST, "Newest first", actions=[export(view)], kind="table", height=420),
    ]


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(OVER_TIME)
    def over_time(view: View) -> Any:
        found = view.query(outliers_over_time, view.scope)
        if not found.n:
            return _none(view, found)
        before, shift_us = _before(view)
        rows = before.rows if before else ()
        figure = figures.over_time(found.rows, view.scope, view.settings.colors, rows, shift_us)
        return [
            graph(
                with_deploys(figure, deploys(view), view.scope.tz), name=OVER_TIME, height=300, zoom=True,
                label="Outliers by time and duration", leads=True,
            ),
            _caption(
                view, found, before, "strokes: thresholds",
                "" if before else against_earlier(view, any_before=False),
            ),
        ]  # fmt: skip

    @registry.card(COMMON)
    def common(view: View) -> Any:
        found = view.query(in_common, view.scope)
        if not found.n_outliers:
            return None
        telling = [(each, value) for each in found.attributes for value in each.telling]
        against = html.Div(
            f"{found.n_outliers:,} outliers against {found.n_others:,} other requests of the same endpoints",
            className="fmd-caption",
        )
        if not telling:
            return [empty("Nothing stands out", _compared(found.attributes), symbol="status"), against]
        return [
            html.Div([_share(each, value) for each, value in telling[:_MOST_SHOWN]], className="fmd-common"),
            against,
        ]

    @registry.card(LIST)
    def listed(view: View) -> Any:
        found = view.query(outliers, view.scope, limit=_MOST_LISTED, counted=False)
        if not found.rows:
            return None
        lines = [row(view, each) for each in found.rows]
        columns = _columns(endpoints=view.endpoint_id is None, time_px=time_px(lines))
        return [
            data_grid(GRID, columns, lines),
            _of_so_many(view, len(lines), "the newest" if len(lines) == _MOST_LISTED else ""),
        ]

    on_click(registry, OVER_TIME, clicked)
    _register_machine(registry)


def _register_machine(registry: Registry) -> None:
    on_click(registry, CORES, clicked)
    on_click(registry, MEMORY, clicked)

    @registry.card(CORES)
    def cores(view: View) -> Any:
        loads = view.query(outlier_loads, view.scope)
        if not any(load.cores or load.cpu_percent is not None for load in loads.rows):
            return _not_measured() if loads.rows else None
        return [
            graph(
                figures.cores(loads.rows),
                name=CORES,
                height=250,
                label="CPU load of each core at outliers",
                leads=True,
            ),
            _of_so_many(view, len(loads.rows), "" if loads.is_all else "spread over the range"),
        ]

    @registry.card(MEMORY)
    def memory(view: View) -> Any:
        loads = view.query(outlier_loads, view.scope)
        if not any(load.process_bytes is not None or load.host_share is not None for load in loads.rows):
            return _not_measured() if loads.rows else None
        return [
            graph(
                figures.memory(loads.rows, view.scope),
                name=MEMORY,
                height=250,
                zoom=True,
                label="Memory at outliers",
                leads=True,
            ),
            _of_so_many(view, len(loads.rows), "" if loads.is_all else "spread over the range"),
        ]


def _of_so_many(view: View, n: int, which: str) -> Any:
    parts = (
        f"{n:,} outlier{'' if n == 1 else 's'}",
        which,
        urlstate.label(view.state, view.window),
        view.scope.tz,
    )
    return html.Div(" · ".join(part for part in parts if part), className="fmd-caption")


def _before(view: View) -> tuple[Outliers | None, int]:
    """Return the outliers of the comparison, and how much earlier it is."""
    compare = view.ghost if earlier_time(view) else None
    if compare is None:
        return None, 0
    found = view.query(outliers_over_time, compare, most=_MOST_RINGS)
    return found, view.scope.start_us - compare.start_us


def clicked(view: View, point: dict[str, Any]) -> str | None:
    """Return the page of an outlier."""
    key = point.get("customdata")
    return view.href(f"/outlier/{key}") if isinstance(key, str) else None


def _none(view: View, found: Outliers) -> Any:
    """Return why there is nothing: none in the range, or nobody looks for any."""
    if found.last_us is not None:
        return nothing_in_range(view, found.last_us, what="outliers")
    watched = [each for each in view.query(endpoints, view.scope) if each.level >= LEAST_LEVEL]
    if watched:
        return empty(
            "No outliers so far",
            "A request is one when it takes several times as long as its endpoint does on average.",
            symbol="status",
        )
    return empty(
        "Nobody looks for outliers yet",
        f"They are recorded at monitor level {LEAST_LEVEL} and above. Choose it in the Overview.",
        html.A("Open the Overview", href=view.href("/overview"), className="fmd-button"),
    )


def _not_measured() -> Any:
    return empty("Not measured", "These requests were over before anybody could look at the machine.")


def _caption(view: View, found: Outliers, before: Outliers | None, *more: str) -> Any:
    parts = [
        f"{found.n:,} outlier{'' if found.n == 1 else 's'}",
        f"faint: {before.n:,} in {compared_with(view)}" if before else "",
        *more,
        f"{len(found.rows):,}, spread over the range, shown" if len(found.rows) < found.n else "",
        urlstate.label(view.state, view.window),
        view.scope.tz,
    ]
    return html.Div(" · ".join(part for part in parts if part), className="fmd-caption")


def _compared(attributes: Sequence[Common]) -> str:
    names = ", ".join(each.attribute for each in attributes if not each.attribute.startswith("query key"))
    return f"Compared were {names}: outliers differ from other requests by no more than chance."


def _share(each: Common, value: Share) -> Any:
    name = f"{each.attribute}: {value.value}"
    lift = f"{value.lift:.1f} times as often" if value.lift else "never otherwise"
    return html.Div(
        [
            html.Div(
                [html.Strong(foreign(name)), html.Span(lift, className="fmd-faint")],
                className="fmd-common-head",
            ),
            _bar("outliers", value.outliers, value.n_outliers, "fmd-common-bar"),
            _bar("the rest", value.others, value.n_others, "fmd-common-bar fmd-common-rest"),
        ],
        className="fmd-common-one",
    )


def _bar(name: str, share: float, n: int, style: str) -> Any:
    return html.Div(
        [
            html.Span(name, className="fmd-faint"),
            html.Span(html.Span(style={"width": f"{share * 100:.1f}%"}), className=style),
            html.Span(formatting.percent(share), title=f"{n:,} requests", className="fmd-number"),
        ],
        className="fmd-common-row",
    )


def row(view: View, each: Outlier) -> dict[str, Any]:
    """Return one line of the list."""
    local = local_time(each.ts_us, view.scope.zone)
    return {
        "id": each.key,
        "href": view.href(f"/outlier/{each.key}"),
        "ts": each.ts_us,
        "time": f"{local.day} {local:%b} {local:%H:%M:%S}.{local.microsecond // 1000:03d}",
        **today(local, view),
        "status": each.status,
        "name": each.endpoint.name,
        "route": each.endpoint.route or "",
        "color": endpoint_color(each.endpoint.name, view.settings.colors),
        "duration": each.duration_us,
        "durationText": formatting.duration(each.duration_us),
        "average": each.average_us,
        "averageText": formatting.duration(each.average_us),
        "times": each.times_threshold,
        "timesText": f"{each.times_threshold:.1f}×",
        "version": each.version,
        "user": each.user or "",
        "cpu": each.cpu_percent,
        "cpuText": formatting.NONE if each.cpu_percent is None else f"{each.cpu_percent:.0f} %",
    }


def _columns(*, endpoints: bool, time_px: int) -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    return [
        column("time", "Time", width=166, minWidth=76, cellRenderer="FmdTime", context={"narrow": time_px}),
        column("name", "Endpoint", flex=1, minWidth=96, cellRenderer="FmdEndpoint", hide=not endpoints,
               context=narrow if endpoints else {"off": True}),
        number("duration", "Duration", shown="durationText", width=96, context={"narrow": 84}),
        number("times", "Of threshold", shown="timesText", width=108,
               context={} if endpoints else narrow,
               headerTooltip="How many times the threshold it took"),
        number("average", "Usually", shown="averageText", width=92),
        column("status", "Status", width=72, cellRenderer="FmdStatus"),
        number("cpu", "CPU", shown="cpuText", width=72, headerTooltip="Load of the host while it ran"),
        column("version", "Version", width=122, cellClass="fmd-after", headerClass="fmd-after"),
        column("user", "User", width=130, **({} if endpoints else {"flex": 1})),
    ]  # fmt: skip


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the list line by line."""
    for each in view.query(outliers, view.scope, limit=100_000).rows:
        local = local_time(each.ts_us, view.scope.zone)
        yield (
            local.isoformat(), each.endpoint.service, each.endpoint.name, each.status, each.version,
            each.user or "", each.ip or "", milliseconds(each.duration_us), milliseconds(each.average_us),
            milliseconds(each.threshold_us), "" if each.cpu_percent is None else each.cpu_percent,
            "" if each.rss_bytes is None else each.rss_bytes, each.trace_id, each.span_id,
        )  # fmt: skip


TABLE = Table(
    "outliers",
    (
        "time", "service", "endpoint", "status", "version", "user", "ip", "duration_ms", "average_ms",
        "threshold_ms", "cpu_percent", "memory_bytes", "trace_id", "span_id",
    ),
    rows,
)  # fmt: skip
PAGE = Page(
    path="/outliers",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="x",
    icon="outlier",
    table=TABLE,
)
ENDPOINT_PAGE = Page(
    path="/endpoint/<int:endpoint_id>/outliers",
    title=TITLE,
    layout=endpoint_layout,
    section="endpoint",
    key="x",
    icon="outlier",
    table=TABLE,
)
