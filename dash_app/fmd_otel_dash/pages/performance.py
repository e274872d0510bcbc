"""API Performance: how long each endpoint takes, and which to look at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import (
    card,
    column,
    data_grid,
    graph,
    leading,
    number,
    page,
    url_segments,
    with_deploys,
)
from fmd_otel_dash.figures import boxes, spread
from fmd_otel_dash.figures.bands import STRIP_HEIGHT, TRACES, strips
from fmd_otel_dash.figures.base import is_ghost
from fmd_otel_dash.figures.latencybands import band_us
from fmd_otel_dash.pages.common import (
    absent,
    against,
    caption,
    deploys,
    export,
    looked_at,
    on_click,
    requests_path,
)
from fmd_otel_dash.pages.drill import duration_filters, row_hrefs, step_href
from fmd_otel_dash.queries.bands import MAX_POINTS, bands
from fmd_otel_dash.queries.performance import EndpointPerformance, Order, Performance, performance_of
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.queries.timeline import Timeline
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "API Performance"
BOXES = "performance-boxes"
SPREAD = "performance-spread"
BANDS = "performance-bands"
ENDPOINTS = "performance-endpoints"
GRID = "performance-grid"
ORDERS = (
    ("p95", "Slowest"),
    ("time", "Time spent"),
    ("change", "Slower than before"),
    ("requests", "Busiest"),
)
SCALES = (("log", "Logarithmic"), ("linear", "Linear"))
DRAWN = (("boxes", "Boxes"), ("spread", "Heat map"), ("bands", "Over time"))
MOST = 20
MOST_STRIPS = 6


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(
            BOXES,
            "Duration by endpoint",
            hint="Boxes hold the middle half of the requests, their line is the median; the whiskers end "
            "at p5 and p95, the stroke is p99. Click a row for its endpoint. On the heat map darker is a "
            "larger share of the endpoint's requests, the stroke p95. Over time: p50, p95 and p99 of each "
            "step. Click a cell or a step for its requests.",
            height=460,
        ),
        card(ENDPOINTS, "All endpoints", actions=[export(view)], kind="table", height=360),
        subtitle="How long each endpoint takes, and which to look at first",
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(BOXES)
    def chart(view: View) -> Any:
        found = view.query(performance_of, view.scope, view.pairs)
        if not found.endpoints:
            return absent(view, found.last_recorded_us)
        drawn = drawn_as(view)
        draw = {"boxes": _boxes, "spread": _spread, "bands": _bands}[drawn]
        return [_toolbar(view, drawn), *draw(view, found)]

    @registry.card(ENDPOINTS)
    def table(view: View) -> Any:
        found = view.query(performance_of, view.scope, view.pairs)
        if not found.endpoints:
            return None
        lines = [row(view, one) for one in found.ordered(order_of(view))]
        return data_grid(GRID, _columns(compare=view.comparison is not None), lines)

    on_click(registry, BOXES, clicked_endpoint)
    on_click(registry, SPREAD, clicked_cell)
    on_click(registry, BANDS, clicked_step)


def drawn_as(view: View) -> str:
    """Return how the address wants the durations drawn."""
    wanted = view.state.get("as", "boxes")
    return wanted if wanted in dict(DRAWN) else "boxes"


def _toolbar(view: View, drawn: str) -> Any:
    scale = "linear" if view.state.get("scale") == "linear" else "log"
    return html.Div(
        [
            url_segments("as", "Drawn as", DRAWN, drawn),
            url_segments("order", "Which endpoints first", ORDERS, order_of(view)),
            url_segments("scale", "Scale", SCALES, scale) if drawn == "boxes" else None,
        ],
        className="fmd-toolbar",
    )


def _boxes(view: View, found: Performance) -> list[Any]:
    shown = found.ordered(order_of(view))[:MOST]
    figure = boxes.endpoints(shown, log=view.state.get("scale") != "linear")
    return [
        graph(
            figure,
            name=BOXES,
            height=48 + boxes.ROW_HEIGHT * len(shown),
            label="Durations by endpoint as boxes",
            leads=True,
        ),
        _below(view, found, len(shown), compared=any(one.before for one in shown)),
    ]


def _spread(view: View, found: Performance) -> list[Any]:
    shown = found.ordered(order_of(view))[:MOST]
    return [
        graph(
            spread.endpoint_spread(shown),
            name=SPREAD,
            height=48 + spread.ROW_HEIGHT * len(shown),
            label="How each endpoint's requests spread over durations",
            leads=True,
        ),
        _below(view, found, len(shown), "stroke: p95", _faint(view, shown)),
    ]


def _bands(view: View, found: Performance) -> list[Any]:
    rows = _strips(view, found)
    figure = with_deploys(strips(view.after, rows), deploys(view), view.scope.tz)
    compared = any(before and before.counts.n for _, _, before in rows)
    return [
        graph(
            figure,
            name=BANDS,
            height=84 + STRIP_HEIGHT * len(rows),
            zoom=True,
            label="p50, p95 and p99 over time, of all requests and by endpoint",
            leads=True,
        ),
        _below(view, found, len(rows) - 1, "bands: p50 to p95, and to p99", compared=compared),
    ]


def _strips(view: View, found: Performance) -> list[tuple[str, Timeline, Timeline | None]]:
    """Return the timeline of all requests, and those of the first endpoints, each with the comparison's."""
    shown = found.ordered(order_of(view))[:MOST_STRIPS]
    ids = tuple(sorted(one.endpoint.id for one in shown))
    compare = view.ghost
    now = view.query(bands, view.after, ids)
    before = view.query(bands, compare, ids) if compare else {}
    rows: list[tuple[str, Timeline, Timeline | None]] = [
        (
            "All endpoints",
            view.query(timeline, view.after, MAX_POINTS),
            view.query(timeline, compare, MAX_POINTS) if compare else None,
        )
    ]
    rows += [(one.endpoint.name, now[one.endpoint.id], before.get(one.endpoint.id)) for one in shown]
    return rows


def _below(view: View, found: Performance, shown: int, *more: str, compared: bool = False) -> Any:
    hidden = len(found.endpoints) - shown
    rest = f"{hidden} more in the table" if hidden else ""
    told = against(view) if compared else ""
    return caption(view, found.n, looked_at(view), *more, told, rest)


def _faint(view: View, shown: Iterable[EndpointPerformance]) -> str:
    """Return what the faint strokes are, in a caption: they are too short to be dashed."""
    return against(view).replace("dashed", "faint") if any(one.before for one in shown) else ""


def order_of(view: View) -> Order:
    """Return the order that the address asks for."""
    wanted = view.state.get("order", "p95")
    return cast("Order", wanted) if wanted in get_args(Order) else "p95"


def clicked_endpoint(view: View, point: dict[str, Any]) -> str | None:
    """Return the page of an endpoint."""
    endpoint_id = point.get("customdata")
    return view.href(f"/endpoint/{endpoint_id}") if isinstance(endpoint_id, int) else None


def clicked_cell(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of an endpoint that took about as long as the cell says."""
    found = view.query(performance_of, view.scope, view.pairs)
    shown = found.ordered(order_of(view))[:MOST]
    place, middle_us = point.get("y"), point.get("x")
    if not isinstance(place, int) or not 0 <= place < len(shown) or not isinstance(middle_us, int | float):
        return None
    filters = duration_filters(*band_us(middle_us, spread.bands_of(shown).coarse))
    endpoint = shown[place].endpoint
    looked_at_versions = view.pair_of(endpoint.service).after.versions
    return view.with_versions(*looked_at_versions).href(requests_path(view, endpoint.id), **filters)


def clicked_step(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a step: of all endpoints, or of the one whose strip it is in."""
    found = view.query(performance_of, view.scope, view.pairs)
    curve = point.get("curveNumber")
    if not found.endpoints or not isinstance(curve, int):
        return None
    shown = found.ordered(order_of(view))[:MOST_STRIPS]
    rows = _strips(view, found)
    place = curve // TRACES
    if not 0 <= place < len(rows):
        return None
    endpoint_id = shown[place - 1].endpoint.id if place else None
    _, now, before = rows[place]
    of_ghost = is_ghost(strips(view.after, rows), curve)
    return step_href(view, before if before and of_ghost else now, point, endpoint_id)


def row(view: View, one: EndpointPerformance) -> dict[str, Any]:
    """Return one line of the table."""
    delta = formatting.measured_change(one.change) if one.change else None
    box = one.box
    values = {"p50": box.median_us, "p95": box.p95_us, "p99": box.p99_us}
    return {
        "id": one.endpoint.id,
        "name": one.endpoint.name,
        "route": one.endpoint.route or "",
        "href": view.href(f"/endpoint/{one.endpoint.id}"),
        **row_hrefs(view, one.endpoint, box.p95_us),
        "color": endpoint_color(one.endpoint.name, view.settings.colors),
        "n": one.n,
        **{name: round(us) for name, us in values.items()},
        **{f"{name}Text": formatting.duration(us) for name, us in values.items()},
        "change": one.change.ratio if one.change else None,
        "changeText": f"{delta.arrow} {delta.text}".strip() if delta else formatting.NONE,
        "changeTone": delta.tone if delta else "neutral",
        "changeHint": boxes.change_text(one.change, "before"),
        "share": round(one.time_share, 5),
        "shareText": formatting.percent(one.time_share),
    }


def _columns(*, compare: bool) -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    return [
        column("name", "Endpoint", cellRenderer="FmdEndpoint", flex=1, minWidth=150, context=narrow),
        leading("n", "Requests", href="requestsHref", width=96),
        number("p50", "p50", shown="p50Text", width=88),
        leading(
            "p95", "p95", shown="p95Text", href="requestsHref", only="slow", width=88, context=narrow
        ),
        number("p99", "p99", shown="p99Text", width=88),
        number(
            "change", "Change", shown="changeText", width=84, cellRenderer="FmdChange", hide=not compare,
            tooltipField="changeHint", context=narrow if compare else {"off": True},
            headerTooltip="Of p95, against the comparison",
        ),
        number("share", "Time spent", shown="shareText", width=130, cellRenderer="FmdShare"),
    ]  # fmt: skip


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the table line by line, in the order of the address."""
    found = view.query(performance_of, view.scope, view.pairs)
    for one in found.ordered(order_of(view)):
        box, moved = one.box, one.change
        yield (
            one.endpoint.service, one.endpoint.name, one.n, one.errors, one.client_errors,
            *map(milliseconds, (box.p5_us, box.q1_us, box.median_us, box.q3_us, box.p95_us, box.p99_us)),
            milliseconds(one.mean_us), round(one.time_share, 6),
            milliseconds(moved.before_us if moved else None), moved.n_before if moved else "",
            "" if moved is None else moved.significant,
        )  # fmt: skip


TABLE = Table(
    "performance",
    ("service", "endpoint", "requests", "errors_5xx", "errors_4xx", "p5_ms", "p25_ms", "p50_ms", "p75_ms",
     "p95_ms", "p99_ms", "mean_ms", "time_spent_share", "p95_before_ms", "requests_before",
     "p95_change_is_significant"),
    rows,
)  # fmt: skip
PAGE = Page(
    path="/api_performance",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="p",
    icon="performance",
    table=TABLE,
)
