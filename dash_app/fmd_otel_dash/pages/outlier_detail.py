"""One outlier: where it stood when it had taken too long, what was asked, and how the machine was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dash import html
from werkzeug.exceptions import Forbidden, NotFound

from fmd_otel_dash import formatting
from fmd_otel_dash.components import card, empty, foreign, graph, icon, page, plain_table
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.frames import frames
from fmd_otel_dash.components.waterfall import time_by_kind, waterfall
from fmd_otel_dash.curl import curl
from fmd_otel_dash.figures.outliers import samples
from fmd_otel_dash.pages.endpoint_status import meaning
from fmd_otel_dash.queries.outliers import OutlierDetail, outlier_detail
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.queries.traces import trace_of
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

HEAD = "outlier-head"
STACK = "outlier-stack"
STEPS = "outlier-steps"
MACHINE = "outlier-machine"
VALUES = "outlier-values"
_MB = 1 << 20
_SECTIONS = (
    ("args", "Query"),
    ("form", "Form"),
    ("json", "JSON body"),
    ("headers", "Headers"),
    ("environ", "Environment"),
)
SCRUBBED = "removed"


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page(
        "Outlier",
        card(HEAD, kind="text", height=120),
        card(
            STACK,
            "Where it was",
            hint="The stack at the moment in which the request had taken too long, innermost call first.",
            kind="text",
            height=320,
            span=7,
        ),
        card(MACHINE, "The machine", hint="While the request ran", kind="table", height=320, span=5),
        card(
            STEPS, "Steps", hint="Database queries, calls to others, and whatever else was traced", height=200
        ),
        card(VALUES, "The request", hint="As it came, without its secrets", kind="table", height=260),
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(HEAD)
    def head(view: View) -> Any:
        found = read(view)
        if found is None:
            return empty(
                "There is no such outlier",
                "It may be older than what is kept.",
                html.A("All outliers", href=view.href("/outliers"), className="fmd-button"),
            )
        return [_headline(found), _facts(view, found), _actions(view, found)]

    @registry.card(STACK)
    def stack(view: View) -> Any:
        found = read(view)
        if found is None:
            return None
        calls = found.document.get("stack")
        if not isinstance(calls, list) or not calls:
            return empty(
                "No stack",
                "The request was over before anybody could look: it had only just become an outlier.",
            )
        at_us = found.document.get("stack_at_us")
        when = (
            f"as it was {formatting.duration(at_us)} into the request"
            if isinstance(at_us, int | float)
            else ""
        )
        return [frames(calls, editor=view.settings.editor_link), html.Div(when, className="fmd-caption")]

    @registry.card(MACHINE)
    def machine(view: View) -> Any:
        found = read(view)
        return _machine(found) if found else None

    _register_contents(registry)


def _register_contents(registry: Registry) -> None:
    @registry.card(STEPS)
    def steps(view: View) -> Any:
        found = read(view)
        trace = view.query(trace_of, found.outlier.key) if found else None
        spans = trace.get("spans") if trace else None
        if found is None or not isinstance(spans, list) or not spans:
            return empty("No steps", "Nothing that this request did is instrumented.") if found else None
        one = found.outlier
        name = f"{found.document.get('method') or ''} {one.endpoint.route or one.endpoint.name}".strip()
        return [
            _time_by_kind(spans, one.duration_us),
            waterfall(spans, one.duration_us, root=name),
            _cut(trace),
        ]

    @registry.card(VALUES)
    def values(view: View) -> Any:
        found = read(view)
        if found is None:
            return None
        if not view.user.may(ADMIN):
            return empty("For admins only", "What a request carried may be personal.", symbol="key")
        return _values(found.document)


def read(view: View) -> OutlierDetail | None:
    """Return the outlier of the address; all cards share the answer."""
    return view.query(outlier_detail, view.params.get("key", ""))


def _headline(found: OutlierDetail) -> Any:
    one = found.outlier
    times = f"{one.times_threshold:.1f} times the threshold"
    usual = f"usually {formatting.duration(one.average_us)}"
    return html.Div(
        [
            html.Span(one.status, className=f"fmd-status s{one.status // 100}", title=meaning(one.status)),
            html.Strong(
                [f"{found.document.get('method') or ''} ", foreign(one.endpoint.route or one.endpoint.name)]
            ),
            html.Span(formatting.duration(one.duration_us), className="fmd-request-time"),
            html.Span(
                f"{times} of {formatting.duration(one.threshold_us)}; {usual}", className="fmd-subtitle"
            ),
        ],
        className="fmd-endpoint-head",
    )


def _facts(view: View, found: OutlierDetail) -> Any:
    one = found.outlier
    local = local_time(one.ts_us, view.scope.zone)
    facts = [
        html.A(foreign(one.endpoint.name), href=view.href(f"/endpoint/{one.endpoint.id}/outliers")),
        f"{local:%A %-d %B %Y, %H:%M:%S}.{local.microsecond // 1000:03d} ({view.scope.tz})",
        f"version {one.version}" if one.version else "",
        f"user {one.user}" if one.user else "",
        f"from {one.ip}" if one.ip else "",
    ]
    parts: list[Any] = []
    for fact in facts:
        if fact:
            parts += [" · ", fact] if parts else [fact]
    return html.Div(parts, className="fmd-subtitle")


def _actions(view: View, found: OutlierDetail) -> Any:
    one = found.outlier
    links: list[Any] = [
        html.A(
            [icon("list", size=14), "Request"], href=view.href(f"/request/{one.key}"), className="fmd-button"
        )
    ]
    if found.profiled:
        links.append(
            html.A(
                [icon("chart", size=14), "Profile"],
                href=view.href(f"/endpoint/{one.endpoint.id}/profiler/{one.key}"),
                className="fmd-button",
            )
        )
    if view.user.may(ADMIN):
        links += [
            html.A(
                [icon("download", size=14), "JSON"],
                href=view.settings.url(f"/export/outlier/{one.key}.json"),
                className="fmd-button fmd-export",
                download="",
            ),
            html.Button(
                [icon("copy", size=14), "Copy as curl"],
                className="fmd-button fmd-copy",
                type="button",
                **attributes(data_copy=curl(found.document)),
            ),
        ]
    return html.Div(links, className="fmd-toolbar fmd-spaced")


def _machine(found: OutlierDetail) -> Any:
    document, one = found.document, found.outlier
    used, whole = document.get("memory_host_used"), document.get("memory_host_total")
    load = _numbers(document.get("load_average"))
    facts = [
        ("CPU, whole host", _percent(one.cpu_percent)),
        ("CPU, this worker", _percent(document.get("process_cpu_percent"))),
        ("Memory, this worker", _bytes(one.rss_bytes)),
        ("Memory, host", f"{_bytes(used)} of {_bytes(whole)}" if used and whole else formatting.NONE),
        (
            "Load average",
            " ".join(f"{each:.2f}" for each in load) or formatting.NONE,
        ),
        ("Threads", document.get("thread_count", formatting.NONE)),
        (
            "Worker",
            f"{document.get('hostname') or ''} {document.get('worker_pid') or ''}".strip() or formatting.NONE,
        ),
    ]
    points = document.get("memory_samples")
    return [
        *_cores(document.get("cpu_percent_per_core")),
        plain_table(("", ""), facts),
        html.Div("Memory of the worker while it ran", className="fmd-subtitle fmd-spaced")
        if isinstance(points, list) and len(points) > 1
        else None,
        graph(samples(points), name=MACHINE, height=140, label="Memory of the worker while the request ran")
        if isinstance(points, list) and len(points) > 1
        else None,
    ]


def _cores(found: Any) -> list[Any]:
    loads = _numbers(found)
    if not loads:
        return []
    bars = html.Div(
        [
            html.Span(
                html.Span(style={"height": f"{min(100, max(2, load)):.0f}%"}),
                className="fmd-core",
                title=f"core {number}: {load:.0f} %",
            )
            for number, load in enumerate(loads)
        ],
        className="fmd-cores",
        role="img",
        **attributes(aria_label="Load of each core: " + ", ".join(f"{load:.0f} %" for load in loads)),
    )
    return [html.Div("Load of each core", className="fmd-subtitle"), bars]


def _numbers(found: Any) -> list[float]:
    return [each for each in found if isinstance(each, int | float)] if isinstance(found, list) else []


def _time_by_kind(spans: list[Any], duration_us: int) -> Any:
    names = {"db": "database", "http": "HTTP calls", "rpc": "RPC", "queue": "queues", "code": "other steps"}
    parts: list[Any] = [
        f"{names.get(kind, kind)}: {n:,} in {formatting.duration(us)} "
        f"({formatting.percent(min(1.0, us / max(1, duration_us)))})"
        for kind, (n, us) in sorted(time_by_kind(spans).items(), key=lambda each: -each[1][1])
    ]
    return html.Div(" · ".join(parts), className="fmd-subtitle")


def _cut(trace: Mapping[str, Any] | None) -> Any:
    more = trace.get("truncated") if trace else 0
    return html.Div(f"{more:,} more steps were not kept", className="fmd-caption") if more else None


def _values(document: Mapping[str, Any]) -> Any:
    scrubbed = document.get("scrubbed")
    cut = document.get("truncated")
    hidden = set(scrubbed) if isinstance(scrubbed, list) else set()
    url = [html.Span("URL", className="fmd-faint"), html.Code(document.get("url") or formatting.NONE)]
    parts: list[Any] = [html.Div(url, className="fmd-url")]
    for key, title in _SECTIONS:
        found = document.get(key)
        if not found:
            continue
        parts.append(
            html.Details(
                [
                    html.Summary([title, html.Span(_size(found), className="fmd-faint")]),
                    _shown(key, found, hidden),
                ],
                className="fmd-values",
                open=key != "environ",
            )
        )
    notes = []
    if hidden:
        notes.append(
            f"{len(hidden)} value{'' if len(hidden) == 1 else 's'} removed before anything was stored"
        )
    if isinstance(cut, list) and cut:
        notes.append(f"cut: {', '.join(map(str, cut[:8]))}")
    parts.append(html.Div(" · ".join(notes), className="fmd-caption"))
    return parts


def _shown(key: str, found: Any, hidden: set[str]) -> Any:
    if key == "json" or not isinstance(found, dict):
        text = json.dumps(found, indent=2, ensure_ascii=False)
        return html.Pre(html.Code(text), className="fmd-source", tabIndex=0)
    rows = []
    for name, value in found.items():
        is_hidden = f"{key}.{name}" in hidden
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        shown = (
            html.Span(SCRUBBED, className="fmd-chip", title="Removed before it was stored")
            if is_hidden
            else text
        )
        rows.append((html.Code(str(name)), shown))
    return plain_table(("", ""), rows)


def _size(found: Any) -> str:
    return f" {len(found)}" if isinstance(found, dict | list) else ""


def _percent(value: Any) -> str:
    return f"{value:.0f} %" if isinstance(value, int | float) else formatting.NONE


def _bytes(value: Any) -> str:
    return f"{value / _MB:,.0f} MB" if isinstance(value, int | float) else formatting.NONE


def document_json(view: View) -> str:
    """Return the whole outlier as JSON, for download by an admin."""
    if not view.user.may(ADMIN):
        raise Forbidden
    found = read(view)
    if found is None:
        raise NotFound(f"There is no outlier {view.params.get('key', '')}")
    one = found.outlier
    known = {
        "time": local_time(one.ts_us, view.scope.zone).isoformat(),
        "service": one.endpoint.service,
        "endpoint": one.endpoint.name,
        "duration_us": one.duration_us,
        "average_us": one.average_us,
        "threshold_us": one.threshold_us,
        "status": one.status,
        "version": one.version,
        "user": one.user,
        "ip": one.ip,
        "trace_id": one.trace_id,
        "span_id": one.span_id,
        **found.document,
        "trace": view.query(trace_of, one.key),
    }
    return json.dumps(known, indent=2, ensure_ascii=False) + "\n"


PAGE = Page(
    path="/outlier/<key>",
    title="Outlier",
    layout=layout,
    register=register,
    files={"json": document_json},
)
