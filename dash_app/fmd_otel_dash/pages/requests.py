"""Requests, one by one, newest first: of all endpoints, or of one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import urlstate
from fmd_otel_dash.components import card, empty, page, url_multiselect, url_segments, url_select, url_text
from fmd_otel_dash.pages import request_rows
from fmd_otel_dash.pages.common import absent, caption, export
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.queries.look import endpoints
from fmd_otel_dash.queries.requests import RequestPage, requests
from fmd_otel_dash.queries.scope import Scope, local_time
from fmd_otel_dash.queries.versions import versions
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Requests"
LIST = "requests-list"
GRID = "requests-grid"
STATUSES = (("", "All"), ("2xx", "2xx"), ("3xx", "3xx"), ("4xx", "4xx"), ("5xx", "5xx"))
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
HOURS = [("", "Any hour"), *((str(hour), f"{hour:02d}:00 – {hour:02d}:59") for hour in range(24))]
MOST_EXPORTED = 100_000
_OWN = ("status", "user", "ip", "method", "min_ms", "max_ms", "trace", "hour", "before", request_rows.WITHOUT)


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(TITLE, _card(view), subtitle="One by one, with filters")


def endpoint_layout(view: View) -> Any:
    """Return the page of one endpoint without data."""
    return endpoint_page(_card(view))


def _card(view: View) -> Any:
    return card(
        LIST,
        "Newest first",
        actions=[export(view)],
        kind="table",
        height=480,
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(LIST)
    def listed(view: View) -> Any:
        found = read(view)
        return [html.Div(_controls(view), className="fmd-toolbar"), *_shown(view, found)]


def read(view: View) -> RequestPage:
    """Return the page of requests that the address asks for."""
    state = view.state
    scope = request_rows.scope_of(view)
    return view.query(requests, scope, request_rows.wanted(state), cursor=request_rows.key_of(state))


def _shown(view: View, found: RequestPage) -> list[Any]:
    filtered = any(view.state.get(name) for name in _OWN) or view.state.versions
    if not found.rows and filtered:
        bare = replace(view.state, versions=(), extra=())
        everything = view.settings.url(view.path) + urlstate.format_search(bare)
        clear = html.A("Clear the filters", href=everything, className="fmd-button")
        return [empty("No requests match", "None in this range are all that the filters ask for.", clear)]
    if not found.rows:
        return [absent(view, found.last_recorded_us)]
    return [
        request_rows.grid(view, GRID, found.rows, endpoints=view.endpoint_id is None),
        html.Div(
            [caption(view, len(found.rows), where=" on this page"), _pager(view, found)], className="fmd-foot"
        ),
    ]


def _pager(view: View, found: RequestPage) -> Any:
    links = []
    if request_rows.key_of(view.state):
        links.append(html.A("Newest", href=_href(view, ""), className="fmd-button"))
    if found.next_cursor:
        following = request_rows.cursor(view.state, found.next_cursor)
        links.append(html.A("Older", href=_href(view, following), className="fmd-button"))
    return html.Div(links, className="fmd-pager")


def _href(view: View, before: str) -> str:
    state = view.state.with_extra("before", *([before] if before else []))
    return view.settings.url(view.path) + urlstate.format_search(state)


def _controls(view: View) -> list[Any]:
    state = view.state
    known = view.query(versions, Scope(0, 0, services=view.scope.services))
    names = list(dict.fromkeys(version.name for version in reversed(known)))
    chosen = state.get("status")
    # A code or "error" that a link brought along is a choice, too.
    own = [] if chosen in dict(STATUSES) else [(chosen, "4xx, 5xx" if chosen == "error" else chosen)]
    method = state.get("method").upper()
    methods = list(dict.fromkeys([*METHODS, *([method] if method else [])]))
    return [
        url_segments("status", "Status", [*STATUSES, *own], chosen),
        url_select(
            "method", "Method", [("", "Any method"), *((each, each) for each in methods)], method, w=118
        ),
        url_multiselect("v", "Any version", [(name, name) for name in names], state.versions, w=150),
        url_text("user", "User", state.get("user"), w=120),
        url_text("ip", "IP address", state.get("ip"), w=120),
        url_text("min_ms", "At least … ms", state.get("min_ms"), w=112),
        url_text("max_ms", "Less than … ms", state.get("max_ms"), w=118),
        url_text("trace", "Trace id", state.get("trace"), w=110),
        # Only a link from a chart brings it along.
        url_select("hour", "Hour of the day", HOURS, state.get("hour"), w=130) if state.get("hour") else None,
        _without(view),
    ]


def _without(view: View) -> Any:
    """Return the choice of endpoints that are left out; only a link from a chart brings it along."""
    chosen = view.state.get_all(request_rows.WITHOUT)
    if not chosen or view.endpoint_id is not None:
        return None
    known = view.query(endpoints, Scope(0, 0, services=view.scope.services))
    return html.Div(
        [
            html.Span("Without", className="fmd-faint"),
            url_multiselect(
                request_rows.WITHOUT, "No endpoint", [(str(each.id), each.name) for each in known], chosen
            ),
        ],
        className="fmd-left-out",
    )


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return all requests that match, not only those of a page; as many as a spreadsheet can bear."""
    found = requests(
        view.store, request_rows.scope_of(view), request_rows.wanted(view.state), limit=MOST_EXPORTED
    )
    for row in found.rows:
        yield (
            local_time(row.ts_us, view.scope.zone).isoformat(timespec="milliseconds"), row.endpoint.service,
            row.endpoint.name, row.method, row.status, milliseconds(row.duration_us),
            milliseconds(row.headers_us), row.version, row.user or "", row.ip or "",
            row.trace_id, row.span_id,
        )  # fmt: skip


TABLE = Table(
    "requests",
    ("time", "service", "endpoint", "method", "status", "duration_ms", "headers_ms", "version", "user", "ip",
     "trace_id", "span_id"),
    rows,
)  # fmt: skip
PAGE = Page(
    path="/requests",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="r",
    icon="list",
    table=TABLE,
)
ENDPOINT_PAGE = Page(
    path="/endpoint/<int:endpoint_id>/requests",
    title=TITLE,
    layout=endpoint_layout,
    section="endpoint",
    key="r",
    icon="list",
    table=TABLE,
)
