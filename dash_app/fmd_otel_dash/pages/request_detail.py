"""One request: what is known of it, and how it compares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components import card, empty, foreign, icon, page, plain_table
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.copyable import copyable
from fmd_otel_dash.components.waterfall import waterfall
from fmd_otel_dash.pages import request_attributes
from fmd_otel_dash.pages.endpoint_status import meaning
from fmd_otel_dash.pages.request_attributes import KEPT_OF
from fmd_otel_dash.pages.request_file import snapshot
from fmd_otel_dash.queries.extras import extras
from fmd_otel_dash.queries.requests import RequestDetail, request_detail
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.queries.traces import trace_of
from fmd_otel_dash.router import Page
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

DETAIL = "request-detail"
STEPS = "request-steps"
ATTRIBUTES = "request-attributes"
_WORTH_SAYING = 0.5


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page(
        "Request",
        card(DETAIL, kind="table", height=420),
        card(
            STEPS, "Steps", hint="Database queries, calls to others, and whatever else was traced", height=160
        ),
        card(ATTRIBUTES, "Attributes", hint="What its own span says, secrets taken out", height=160),
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(DETAIL)
    def detail(view: View) -> Any:
        found = view.query(request_detail, view.params.get("key", ""))
        if found is None:
            return empty(
                "There is no such request",
                "It may be older than what is kept.",
                html.A("All requests", href=view.href("/requests"), className="fmd-button"),
            )
        return [_headline(found), _more(view, found), plain_table(("", ""), _facts(view, found))]

    @registry.card(STEPS)
    def steps(view: View) -> Any:
        found = view.query(request_detail, view.params.get("key", ""))
        trace = view.query(trace_of, found.row.key) if found else None
        spans = trace.get("spans") if trace else None
        if found is None:
            return None
        if not isinstance(spans, list) or not spans:
            if trace is None:
                return empty("Neither steps nor attributes were kept", KEPT_OF)
            return empty("No steps were kept", "None was traced.")
        name = f"{found.row.method} {found.row.endpoint.route or found.row.endpoint.name}"
        return waterfall(spans, found.row.duration_us, root=name)

    @registry.card(ATTRIBUTES)
    def own_attributes(view: View) -> Any:
        found = view.query(request_detail, view.params.get("key", ""))
        return request_attributes.shown(view, view.query(trace_of, found.row.key)) if found else None


def _headline(found: RequestDetail) -> Any:
    row = found.row
    return html.Div(
        [
            html.Span(row.status, className=f"fmd-status s{row.status // 100}", title=meaning(row.status)),
            html.Strong([row.method, " ", foreign(row.endpoint.route or row.endpoint.name)]),
            html.Span(formatting.duration(row.duration_us), className="fmd-request-time"),
            html.Span(_placed(found), className="fmd-subtitle"),
        ],
        className="fmd-endpoint-head",
    )


def _more(view: View, found: RequestDetail) -> Any:
    """Return links to whatever else is kept of the request."""
    row = found.row
    known = view.query(extras, row)
    links = []
    if known.profiled:
        links.append(("chart", "Profile", view.href(f"/endpoint/{row.endpoint.id}/profiler/{row.key}")))
    if known.outlier:
        links.append(("outlier", "Outlier", view.href(f"/outlier/{row.key}")))
    links += [("bug", name, view.href(f"/exception/{group}")) for group, name in known.exceptions]
    return html.Div(
        [
            *(
                html.A([icon(symbol, size=14), foreign(text)], href=href, className="fmd-button")
                for symbol, text, href in links
            ),
            _html_link(view),
        ],
        className="fmd-toolbar fmd-spaced",
    )


def _html_link(view: View) -> Any:
    address = view.settings.url(f"/export{view.path}.html")
    return html.A(
        [icon("download", size=14), "HTML"],
        href=address + format_search(view.state),
        className="fmd-button fmd-export",
        title="Download as one file that needs nothing else",
        **attributes(data_export=address),
    )


def _placed(found: RequestDetail) -> str:
    """Return how the request compares with its neighbours, in words."""
    share = found.slower_than
    if share is None or found.n < 2:  # noqa: PLR2004 - itself alone
        return ""
    words = (
        f"slower than {formatting.percent(share)}"
        if share >= _WORTH_SAYING
        else f"faster than {formatting.percent(1 - share)}"
    )
    return f"{words} of the {found.n:,} requests to this endpoint within half a day of it"


def _facts(view: View, found: RequestDetail) -> list[tuple[Any, Any]]:
    row = found.row
    local = local_time(row.ts_us, view.scope.zone)
    listed = f"/endpoint/{row.endpoint.id}/requests"

    def same(name: str, value: str | None) -> Any:
        if not value:
            return formatting.NONE
        return [foreign(value), " ", html.A("others", href=view.href(listed, **{name: value}))]

    facts: list[tuple[Any, Any]] = [
        ("Endpoint", html.A(foreign(row.endpoint.name), href=view.href(f"/endpoint/{row.endpoint.id}"))),
        ("Service", row.endpoint.service),
        ("Time", f"{local:%A %-d %B %Y, %H:%M:%S}.{local.microsecond:06d} ({view.scope.tz})"),
        ("Status", f"{row.status} {meaning(row.status)}"),
        ("Duration", f"{formatting.duration(row.duration_us)} ({row.duration_us:,} µs)"),
    ]
    if row.headers_us is not None:
        facts.append(("Until the headers", formatting.duration(row.headers_us)))
    return [
        *facts,
        ("Version", same("v", row.version)),
        ("User", same("user", row.user)),
        ("IP address", same("ip", row.ip)),
        (
            "Trace",
            [
                copyable(row.trace_id),
                " ",
                html.A("in all endpoints", href=view.with_versions().href("/requests", trace=row.trace_id)),
            ],
        ),
        ("Span", copyable(row.span_id)),
    ]


PAGE = Page(
    path="/request/<key>",
    title="Request",
    layout=layout,
    register=register,
    files={"html": snapshot},
)
