"""Custom graphs: what the application counts of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, html

from fmd_otel_dash import formatting, ids, urlstate
from fmd_otel_dash.components import card, empty, foreign, graph, icon, page, with_deploys
from fmd_otel_dash.components.forms import send_button
from fmd_otel_dash.components.state import nothing_in_range, snippet
from fmd_otel_dash.figures.custom import values
from fmd_otel_dash.pages.common import deploys, export
from fmd_otel_dash.queries.graphs import MAX_POINTS, CustomGraph, Values, custom_graphs, graph_values
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.graphs import delete_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Custom Graphs"
GRAPHS = "custom-graphs"
ONE = "custom-graph"
WANTED = "custom-graph-wanted"
"""Store that the button for deleting writes to."""
MOST = 24
"""Graphs drawn on one page; the others have pages of their own."""
FEWER = 200
"""Values or steps of a graph that has half a page's width."""
SNIPPET = """import fmd_otel

def open_orders():
    return Order.query.filter_by(open=True).count()

fmd_otel.add_graph("Open orders", open_orders, "interval", minutes=5)"""


def layout(view: View) -> Any:
    """Return the page without data: a card for each graph there is, as each answer should be small."""
    n = min(len(view.query(custom_graphs, view.scope.services)), MOST)
    return page(
        TITLE,
        *(card(_place(number), span=6, height=300) for number in range(n)),
        card(GRAPHS, height=40 if n else 420, plain=True),
        subtitle="What the application counts of itself",
        actions=[export(view)],
    )


def _place(number: int) -> str:
    """Return the id of the card of the page's n-th graph."""
    return f"{GRAPHS}-{number}"


def one_layout(view: View) -> Any:
    """Return the page of one graph without data."""
    return page("Custom Graph", card(ONE, height=460, stores=[WANTED]), actions=[export(view)])


def register(registry: Registry) -> None:
    """Register what fills the pages, and what changes them."""
    for number in range(MOST):
        _register_place(registry, number)

    @registry.card(GRAPHS)
    def other_graphs(view: View) -> Any:
        found = view.query(custom_graphs, view.scope.services)
        if not found:
            return _none()
        more = [
            html.A(foreign(each.title), href=view.href(f"/custom_graph/{each.id}"), className="fmd-button")
            for each in found[MOST:]
        ]
        return html.Div(more, className="fmd-toolbar") if more else None

    @registry.card(ONE)
    def one_graph(view: View) -> Any:
        found = chosen(view)
        if found is None:
            return empty(
                "There is no such graph",
                "It may have been deleted.",
                html.A("All custom graphs", href=view.href("/custom_graphs"), className="fmd-button"),
            )
        return _inside(view, found, height=400, delete=view.user.may(ADMIN))

    @registry.callback(
        Output(ids.retry(ONE), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(WANTED, "data"),
        role=ADMIN,
    )
    def delete(view: View, wanted: dict[str, Any]) -> Any:
        found = chosen(view)
        if found is None:
            return wanted, "Not deleted: this graph is no longer there."
        try:
            delete_graph(view.store, found.id)
        except FmdOtelError as error:
            return wanted, f"Not deleted: {error}"
        view.services.cache.clear()
        return wanted, f"{found.title} is deleted; if it is still drawn, it comes back when it next runs."


def chosen(view: View) -> CustomGraph | None:
    """Return the graph of the address."""
    wanted = view.params.get("graph_id", "")
    return next((each for each in view.query(custom_graphs, ()) if str(each.id) == wanted), None)


def _register_place(registry: Registry, number: int) -> None:
    @registry.card(_place(number))
    def graph_of_place(view: View) -> Any:
        found = view.query(custom_graphs, view.scope.services)
        return _drawn(view, found[number]) if number < len(found) else None


def _drawn(view: View, each: CustomGraph) -> Any:
    heading = html.Div(
        html.H2(
            html.A(foreign(each.title), href=view.href(f"/custom_graph/{each.id}"), className="fmd-link")
        ),
        className="fmd-card-head",
    )
    return html.Div([heading, *_inside(view, each, height=220, most=FEWER)])


def _inside(
    view: View, each: CustomGraph, *, height: int, most: int = MAX_POINTS, delete: bool = False
) -> list[Any]:
    found = view.query(graph_values, each.id, view.scope, most)
    parts: list[Any] = []
    if delete:
        parts.append(_head(each))
    if each.last_error:
        parts.append(
            html.Div(
                [
                    icon("alert", size=15),
                    html.Span(["The last run gave no value: ", foreign(each.last_error)]),
                ],
                className="fmd-problem fmd-graph-problem",
                role="alert",
            )
        )
    if found.steps:
        figure = with_deploys(values(found, view.scope), deploys(view), view.scope.tz)
        name = f"{GRAPHS}-{each.id}"
        parts.append(graph(figure, name=name, height=height, zoom=True, label=f"{each.title} over time"))
    elif found.last_us is not None:
        parts.append(nothing_in_range(view, found.last_us, what="values"))
    else:
        parts.append(empty("No value yet", f"Its schedule is {each.schedule}.", symbol="clock"))
    parts.append(html.Div(_facts(view, each, found), className="fmd-caption"))
    return parts


def _head(each: CustomGraph) -> Any:
    return html.Div(
        [
            html.H2(foreign(each.title)),
            html.Div(
                send_button(
                    [icon("trash", size=14), "Delete"],
                    WANTED,
                    {"id": each.id},
                    confirm=f"Delete {each.title} and all its values?",
                ),
                className="fmd-card-actions",
            ),
        ],
        className="fmd-card-head",
    )


def _facts(view: View, each: CustomGraph, found: Values) -> str:
    parts = [
        f"{found.n:,} value{'' if found.n == 1 else 's'}",
        f"mean of {found.step_s} s, with the smallest and the greatest" if found.step_s else "",
        urlstate.label(view.state, view.window),
        view.scope.tz,
        each.schedule,
        f"last run {formatting.ago(each.last_us, view.now_us)}" if each.last_us is not None else "",
        f"{each.failures:,} of {each.runs:,} runs gave none" if each.failures else "",
        each.service,
    ]
    return " · ".join(part for part in parts if part)


def _none() -> Any:
    return html.Section(
        empty(
            "No custom graphs yet",
            "Hand over a function that returns a number, and when to call it:",
            snippet(SNIPPET),
            symbol="chart",
        ),
        className="fmd-card",
    )


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return values line by line: of one graph, or of all."""
    found = view.query(custom_graphs, view.scope.services)
    if "graph_id" in view.params:
        found = tuple(each for each in found if str(each.id) == view.params["graph_id"])
    for each in found:
        for step in view.query(graph_values, each.id, view.scope, 1_000_000).steps:
            yield each.service, each.title, local_time(step.ts_us, view.scope.zone).isoformat(), step.mean


TABLE = Table("custom_graphs", ("service", "graph", "time", "value"), rows)
PAGE = Page(
    path="/custom_graphs",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="c",
    icon="chart",
    table=TABLE,
)
ONE_PAGE = Page(path="/custom_graph/<graph_id>", title="Custom Graph", layout=one_layout, table=TABLE)
