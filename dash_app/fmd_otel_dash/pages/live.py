"""Live: requests as they come in, a second or two after they end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dash import Input, Output, dcc, html

from fmd_otel_dash.components import (
    card,
    column,
    data_grid,
    link,
    number,
    page,
    url_multiselect,
    url_segments,
    url_text,
)
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.pages import request_rows
from fmd_otel_dash.pages.requests import STATUSES
from fmd_otel_dash.queries.look import endpoints
from fmd_otel_dash.queries.requests import tail
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.roles import GUEST
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.queries.requests import RequestRow
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Live"
LIST = "live-list"
GRID = "live-grid"
PAUSE = "live-pause"
POLL = "live-poll"
POLL_MS = 1000
ASK = "live-ask"
"""Store with the keys of the requests that the browser has already."""
NEWS = "live-news"
"""Store with those that it has not."""
MOST = 100
_MOST_KNOWN = 1000
_HEIGHT = 620
_NO_ENDPOINT = (1 << 31) - 1
"""Stands for numbers that are too large for any."""
_NOTHING = "Nothing in the last minute. New requests show here by themselves."


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(LIST, "As they come in", actions=[_pause()], kind="table", height=_HEIGHT, stores=[ASK, NEWS]),
        dcc.Interval(id=POLL, interval=POLL_MS),
        subtitle="Requests of the last minute, and each new one a second or two after it ends",
    )


def register(registry: Registry) -> None:
    """Register what fills the page, and what goes on filling it."""

    @registry.card(LIST)
    def listed(view: View) -> Any:
        lines = [line(view, row) for row in read(view)]
        return [
            html.Div(_controls(view), className="fmd-toolbar"),
            data_grid(
                GRID, _columns(), lines, height=_HEIGHT, options={"localeText": {"noRowsToShow": _NOTHING}}
            ),
            html.Div(id="live-state", className="fmd-caption"),
        ]

    @registry.callback(Output(NEWS, "data"), Input(ASK, "data"), role=GUEST)
    def news(view: View, asked: Any) -> Any:
        known, found = _known(asked), read(view)
        fresh = [line(view, row) for row in found if row.key not in known]
        # As many new ones as are asked for: there were more, and nobody could read them all.
        search = asked.get("search") if isinstance(asked, dict) else None
        return {"rows": fresh, "more": len(fresh) == MOST, "search": search, "at": time.time_ns()}

    registry.clientside("liveAsk", Output(ASK, "data"), Input(POLL, "n_intervals"), prevent_initial_call=True)
    registry.clientside("liveTake", Input(NEWS, "data"), prevent_initial_call=True)


def read(view: View) -> tuple[RequestRow, ...]:
    """Return the newest requests that the filters let through: never from the cache, but a minute at most."""
    chosen = tuple(
        min(int(each), _NO_ENDPOINT) for each in view.state.get_all("endpoint") if each.isdecimal()
    )
    scope = Scope(0, 0, services=view.scope.services, endpoint_ids=chosen, versions=view.scope.versions)
    return tail(view.store, time.time_ns() // 1000, scope, request_rows.wanted(view.state), limit=MOST)


def line(view: View, row: RequestRow) -> dict[str, Any]:
    """Return one line, without what this table does not show."""
    made = request_rows.line(view, row)
    made["time"] = made["time"].rpartition(" ")[2]  # today
    return {key: value for key, value in made.items() if key not in {"trace", "route"}}


def _known(asked: Any) -> set[str]:
    keys = asked.get("known") if isinstance(asked, dict) else None
    return {key for key in keys[:_MOST_KNOWN] if isinstance(key, str)} if isinstance(keys, list) else set()


def _controls(view: View) -> list[Any]:
    state = view.state
    known = view.query(endpoints, Scope(0, 0, services=view.scope.services))
    names = [(str(each.id), each.name) for each in sorted(known, key=lambda each: each.name)]
    return [
        url_segments("status", "Status", STATUSES, state.get("status")),
        url_multiselect("endpoint", "Any endpoint", names, state.get_all("endpoint"), w=260),
        url_text("user", "User", state.get("user"), w=120),
        url_text("ip", "IP address", state.get("ip"), w=120),
        url_text("min_ms", "At least … ms", state.get("min_ms"), w=112),
    ]


def _pause() -> Any:
    return html.Button(
        [html.Span(className="fmd-pulse"), html.Span("Pause", id="live-pause-text")],
        id=PAUSE,
        type="button",
        className="fmd-button",
        title="Pause, or go on (p)",
        **attributes(aria_pressed="false"),
    )


def _columns() -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    return [
        # What the rows are kept in order by: requests end in another order than they began in.
        column("ts", "", hide=True, sort="desc"),
        link("time", "Time", width=112, minWidth=104, context=narrow),
        column("status", "Status", width=64, cellRenderer="FmdStatus", context=narrow),
        column("method", "Method", width=82),
        column("name", "Endpoint", flex=1, minWidth=76, cellRenderer="FmdEndpoint", context=narrow),
        number("duration", "Duration", shown="durationText", width=86, context=narrow),
        column("version", "Version", width=122, cellClass="fmd-after", headerClass="fmd-after"),
        column("user", "User", width=130),
        column("ip", "IP", width=130),
    ]


PAGE = Page(
    path="/live",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="l",
    icon="live",
)
