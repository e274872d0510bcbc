"""Exceptions: what broke, where, since when, and for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting, urlstate
from fmd_otel_dash.components import (
    card,
    column,
    data_grid,
    empty,
    graph,
    nothing_in_range,
    number,
    page,
    url_segments,
    with_deploys,
)
from fmd_otel_dash.figures.exceptions import COLORS, function_of, over_time
from fmd_otel_dash.pages.common import against_earlier, deploys, earlier_time, export, on_click, versus
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.queries.exceptions import (
    MOST_GROUPS,
    OPEN,
    REOPENED,
    RESOLVED,
    ExceptionGroup,
    Spark,
    groups,
)
from fmd_otel_dash.queries.lastexception import last_exception_us
from fmd_otel_dash.queries.scope import US_PER_S, local_time
from fmd_otel_dash.rangetext import utc_moment
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Exceptions"
OVER_TIME = "exceptions-over-time"
LIST = "exceptions-list"
GRID = "exceptions-grid"
STATES = {OPEN: "open", RESOLVED: "resolved", REOPENED: "reopened"}
SHOWN = (("open", "Open"), ("resolved", "Resolved"), ("all", "All"))
KINDS = {1: "unhandled", 2: "handled", 3: "captured"}
_WANTED = {"open": (OPEN, REOPENED), "resolved": (RESOLVED,), "all": ()}


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(TITLE, *_cards(view), subtitle="What broke, since when, and for whom")


def endpoint_layout(view: View) -> Any:
    """Return the page of one endpoint without data."""
    return endpoint_page(*_cards(view))


def _cards(view: View) -> list[Any]:
    return [
        card(
            OVER_TIME,
            "Exceptions over time",
            hint="The most frequent groups, the others together. Click a bar for its exception.",
            height=250,
        ),
        card(
            LIST,
            "By what was raised where",
            hint="A group is one type of exception from one path through the code, whatever its message.",
            actions=[export(view)],
            kind="table",
            height=420,
        ),
    ]


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(OVER_TIME)
    def chart(view: View) -> Any:
        found = view.query(groups, view.scope)
        if not found:
            return _none(view)
        before = before_of(view)
        figure = over_time(found, view.scope, before, earlier_time(view))
        return [
            graph(
                with_deploys(figure, deploys(view), view.scope.tz),
                name=OVER_TIME, height=230, zoom=True, label="Exceptions over time by group", leads=True,
            ),
            _caption(view, found, against_earlier(view, any_before=bool(before))),
        ]  # fmt: skip

    @registry.card(LIST)
    def listed(view: View) -> Any:
        known = view.query(groups, view.scope)
        if not known:
            return None
        shown = shown_of(view)
        wanted = _WANTED[shown]
        found = tuple(each for each in known if not wanted or each.state in wanted)
        if len(known) == MOST_GROUPS:  # there may be more of these than are among the most frequent of all
            found = view.query(groups, view.scope, states=wanted)
        toolbar = html.Div(url_segments("show", "Which", SHOWN, shown), className="fmd-toolbar")
        if not found:
            words = {"open": "Nothing is open", "resolved": "Nothing is resolved"}.get(shown, "Nothing")
            return [toolbar, empty(words, "Choose another state above.", symbol="status")]
        before = {each.id: each.n for each in before_of(view)} if earlier_time(view) else None
        columns = _columns(compare=before is not None)
        return [toolbar, data_grid(GRID, columns, [row(view, each, before) for each in found])]

    on_click(registry, OVER_TIME, clicked_bar)


def before_of(view: View) -> tuple[ExceptionGroup, ...]:
    """Return the groups of the comparison, whatever their state is now."""
    earlier = earlier_time(view)
    return view.query(groups, earlier) if earlier else ()


def clicked_bar(view: View, point: dict[str, Any]) -> str | None:
    """Return the exception of a bar, in the hours of the bar; of those drawn together, the list of them."""
    found = view.query(groups, view.scope)
    own, number = point.get("customdata"), point.get("pointNumber")
    if not found or not isinstance(number, int) or point.get("curveNumber") == _ghost_curve(found):
        return None
    return step_of(view, found[0].spark, number, f"/exception/{own}" if isinstance(own, str) else view.path)


def step_of(view: View, spark: Spark, number: int, path: str) -> str | None:
    """Return a page for the hours of a bar: exceptions are counted by whole hours."""
    if not 0 <= number < len(spark.n):
        return None
    start_us = spark.start_us + number * spark.width_s * US_PER_S
    start, end = (utc_moment(us) for us in (start_us, start_us + spark.width_s * US_PER_S))
    return view.href(path, start=start, end=end)


def _ghost_curve(found: Sequence[ExceptionGroup]) -> int:
    return min(len(found), len(COLORS) + 1)


def shown_of(view: View) -> str:
    """Return which groups the address asks for."""
    wanted = view.state.get("show", "open")
    return wanted if wanted in _WANTED else "open"


def _none(view: View) -> Any:
    last_us = view.query(last_exception_us, view.scope)
    if last_us is not None:
        return nothing_in_range(view, last_us, what="exceptions")
    return empty(
        "Nothing has broken so far",
        "Unhandled exceptions, those that error handlers answer, and what fmd_otel.capture(error) is given "
        "are kept at monitor level 1 and above.",
        symbol="status",
    )


def _caption(view: View, found: Sequence[ExceptionGroup], compared: str) -> Any:
    n = sum(each.n for each in found)
    parts = [
        f"{n:,} exception{'' if n == 1 else 's'} in {len(found):,} group{'' if len(found) == 1 else 's'}",
        "whole hours",
        urlstate.label(view.state, view.window),
        view.scope.tz,
        compared,
    ]
    return html.Div(" · ".join(part for part in parts if part), className="fmd-caption")


def row(view: View, each: ExceptionGroup, before: Mapping[int, int] | None = None) -> dict[str, Any]:
    """Return one line of the list; ``before`` has how often each group occurred in the comparison."""
    n_before = (before or {}).get(each.id, 0)
    kinds = ", ".join(f"{n:,} {KINDS.get(kind, 'other')}" for kind, n in each.kinds.items())
    return {
        "id": str(each.id),
        "name": each.type,
        "route": each.message,
        "place": each.place,
        "where": function_of(each) or each.place,
        "color": "var(--fmd-bad)" if each.kinds.get(1) else "var(--fmd-warn)",
        "href": view.href(f"/exception/{each.id}"),
        "message": each.message,
        "n": each.n,
        "kinds": kinds,
        "more": each.n - n_before,
        "changeText": f"{each.n - n_before:+,}" if each.n != n_before else "0",
        "changeTone": "neutral",
        "changeHint": f"{each.n:,} {versus(view)}: {n_before:,}",
        "users": each.users,
        "state": STATES.get(each.state, ""),
        "introduced": each.introduced_in,
        "last_in": each.last_in,
        "versions": each.introduced_in
        if each.introduced_in == each.last_in
        else f"{each.introduced_in} – {each.last_in}",
        "endpoints": ", ".join(endpoint.name for endpoint in each.endpoints[:3])
        + (f" and {len(each.endpoints) - 3} more" if len(each.endpoints) > 3 else ""),  # noqa: PLR2004
        "last": each.last_us,
        "lastText": formatting.ago(each.last_us, view.now_us),
        "first": each.first_us,
        "firstText": f"{local_time(each.first_us, view.scope.zone):%-d %b %H:%M}",
        "spark": list(each.spark.n),
    }


def _columns(*, compare: bool) -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    return [
        column("name", "Exception", cellRenderer="FmdEndpoint", flex=3, minWidth=140, tooltipField="message",
               context=narrow),
        column("where", "Where", flex=3, minWidth=150, tooltipField="place", cellClass="fmd-mono",
               cellRenderer="FmdEnd"),
        column("message", "Message", flex=2, minWidth=110, tooltipField="message"),
        number("n", "Count", width=80, sort="desc", tooltipField="kinds", context={"narrow": 80}),
        number("more", "Change", shown="changeText", width=74, cellRenderer="FmdChange", hide=not compare,
               tooltipField="changeHint", context={} if compare else {"off": True},
               headerTooltip="How many more, or fewer, than in the comparison"),
        number("users", "Users", width=64),
        column("spark", "Trend", cellRenderer="FmdSpark", width=96, sortable=False),
        column("versions", "Versions", width=108, headerTooltip="Introduced in, and last seen in"),
        column("endpoints", "Endpoints", flex=2, minWidth=108, tooltipField="endpoints",
               cellRenderer="FmdEnd"),
        number("last", "Last", shown="lastText", width=92, context={"narrow": 84}),
        column("state", "State", width=76),
    ]  # fmt: skip


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the list line by line."""
    for each in view.query(groups, view.scope, states=_WANTED[shown_of(view)]):
        yield (
            f"{each.id:x}", each.type, each.message, each.place, each.n,
            *(each.kinds.get(kind, 0) for kind in KINDS), each.users, STATES.get(each.state, ""),
            local_time(each.first_us, view.scope.zone).isoformat(),
            local_time(each.last_us, view.scope.zone).isoformat(),
            each.introduced_in, each.last_in, " ".join(endpoint.name for endpoint in each.endpoints),
        )  # fmt: skip


TABLE = Table(
    "exceptions",
    (
        "group", "type", "message", "place", "count", *KINDS.values(), "users", "state", "first_seen",
        "last_seen", "introduced_in", "last_in", "endpoints",
    ),
    rows,
)  # fmt: skip
PAGE = Page(
    path="/exceptions",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="b",
    icon="bug",
    table=TABLE,
    aliases=("/exception_overview", "/exception_monitoring"),
)
ENDPOINT_PAGE = Page(
    path="/endpoint/<int:endpoint_id>/exceptions",
    title=TITLE,
    layout=endpoint_layout,
    section="endpoint",
    key="b",
    icon="bug",
    table=TABLE,
)
