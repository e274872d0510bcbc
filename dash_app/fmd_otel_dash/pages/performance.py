"""API Performance: how long each endpoint takes, and which to look at first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast, get_args

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import card, column, data_grid, graph, number, page, url_segments
from fmd_otel_dash.figures import boxes
from fmd_otel_dash.pages.common import absent, caption, compared_with, export, on_click
from fmd_otel_dash.queries.performance import EndpointPerformance, Order, performance
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "API Performance"
BOXES = "performance-boxes"
ENDPOINTS = "performance-endpoints"
GRID = "performance-grid"
ORDERS = (
    ("p95", "Slowest"),
    ("time", "Time spent"),
    ("change", "Slower than before"),
    ("requests", "Busiest"),
)
SCALES = (("log", "Logarithmic"), ("linear", "Linear"))
MOST = 20


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(
            BOXES,
            "Duration by endpoint",
            hint="The box holds the middle half of the requests, its line the median; the whiskers end at p5 "
            "and p95, the stroke is p99. Grey behind it is the comparison. Click a row for its endpoint.",
            height=460,
        ),
        card(ENDPOINTS, "All endpoints", actions=[export(view)], kind="table", height=360),
        subtitle="How long each endpoint takes, and which to look at first",
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(BOXES)
    def chart(view: View) -> Any:
        found = view.query(performance, view.scope, view.compare)
        if not found.endpoints:
            return absent(view, found.last_recorded_us)
        order, scale = order_of(view), view.state.get("scale", "log")
        shown = found.ordered(order)[:MOST]
        hidden = len(found.endpoints) - len(shown)
        compared = any(one.before for one in shown) and view.compare is not None
        return [
            html.Div(
                [
                    url_segments("order", "Which endpoints first", ORDERS, order),
                    url_segments("scale", "Scale", SCALES, scale if scale == "linear" else "log"),
                ],
                className="fmd-toolbar",
            ),
            graph(
                boxes.endpoints(shown, log=scale != "linear"),
                name=BOXES,
                height=48 + boxes.ROW_HEIGHT * len(shown),
                label="Durations by endpoint as boxes",
                leads=True,
            ),
            caption(
                view,
                found.n,
                f"grey: {compared_with(view)}" if compared else "",
                f"{hidden} more in the table" if hidden else "",
            ),
        ]

    @registry.card(ENDPOINTS)
    def table(view: View) -> Any:
        found = view.query(performance, view.scope, view.compare)
        if not found.endpoints:
            return None
        return data_grid(
            GRID, _columns(compare=view.compare is not None), [row(view, one) for one in found.endpoints]
        )

    on_click(registry, BOXES, clicked_endpoint)


def order_of(view: View) -> Order:
    """Return the order that the address asks for."""
    wanted = view.state.get("order", "p95")
    return cast("Order", wanted) if wanted in get_args(Order) else "p95"


def clicked_endpoint(view: View, point: dict[str, Any]) -> str | None:
    """Return the page of an endpoint."""
    endpoint_id = point.get("customdata")
    return view.href(f"/endpoint/{endpoint_id}") if isinstance(endpoint_id, int) else None


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
        number("n", "Requests", width=96),
        number("p50", "p50", shown="p50Text", width=88),
        number("p95", "p95", shown="p95Text", width=88, sort="desc", context=narrow),
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
    found = view.query(performance, view.scope, view.compare)
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
