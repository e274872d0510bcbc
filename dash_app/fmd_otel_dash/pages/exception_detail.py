"""One group of exceptions: the stack, who met it where, and since which version."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dash import Input, Output, html

from fmd_otel_dash import formatting, ids
from fmd_otel_dash.components import card, empty, foreign, graph, icon, nothing_in_range, page, plain_table
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.forms import send_button
from fmd_otel_dash.components.frames import frames
from fmd_otel_dash.figures.exceptions import over_time
from fmd_otel_dash.pages.common import on_click
from fmd_otel_dash.pages.exceptions import KINDS, STATES, step_of
from fmd_otel_dash.queries.exceptions import (
    RESOLVED,
    ExceptionGroup,
    GroupDetail,
    Occurrence,
    group_detail,
    occurrence_document,
)
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_dash.urlstate import format_search
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.exception_groups import resolve, unresolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

HEAD = "exception-head"
STACK = "exception-stack"
TREND = "exception-trend"
WHO = "exception-who"
WANTED = "exception-wanted"
"""Store that the button for resolving writes to."""
_MOST_OCCURRENCES = 12
_DIGITS = 19
"""Of the largest number of 63 bits."""
_RELATIONS = {
    "cause": "It was caused by",
    "context": "It was raised while this was being handled",
    "group": "One of the group",
}


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page(
        "Exception",
        card(HEAD, kind="text", height=150, stores=[WANTED]),
        card(
            STACK,
            "Stack",
            hint="Innermost call first; the application's own calls are open, those of libraries folded.",
            kind="text",
            height=420,
            span=8,
        ),
        card(WHO, "Who met it", kind="table", height=420, span=4),
        card(TREND, "Over time", hint="Click a bar for who met it then", height=230),
    )


def register(registry: Registry) -> None:
    """Register what fills the page, and what changes it."""

    @registry.card(HEAD)
    def head(view: View) -> Any:
        found = read(view)
        if found is None:
            return empty(
                "There is no such exception",
                "It may be older than what is kept.",
                html.A("All exceptions", href=view.href("/exceptions"), className="fmd-button"),
            )
        return _head(view, found)

    @registry.card(STACK)
    def stack(view: View) -> Any:
        found = read(view)
        return _stack(view, found) if found else None

    @registry.card(WHO)
    def who(view: View) -> Any:
        found = read(view)
        return _who(view, found) if found else None

    @registry.card(TREND)
    def trend(view: View) -> Any:
        found = read(view)
        if found is None or not found.group.n:
            return nothing_in_range(view, found.group.last_us, what="occurrences") if found else None
        return graph(
            over_time([found.group], view.scope),
            name=TREND,
            height=210,
            zoom=True,
            label="Occurrences over time",
            leads=True,
        )

    on_click(registry, TREND, clicked_bar)

    @registry.callback(
        Output(ids.retry(HEAD), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(WANTED, "data"),
        role=ADMIN,
    )
    def change(view: View, wanted: dict[str, Any]) -> Any:
        said = _change(view, wanted)
        view.services.cache.clear()
        return wanted, said


def clicked_bar(view: View, point: dict[str, Any]) -> str | None:
    """Return the page of the hours of a bar: who met it then."""
    found, number = read(view), point.get("pointNumber")
    return step_of(view, found.group.spark, number, view.path) if found and isinstance(number, int) else None


def read(view: View) -> GroupDetail | None:
    """Return the group of the address; all cards share the answer."""
    number = view.params.get("group_id", "")
    if not number.isdecimal() or len(number) > _DIGITS:
        return None
    return view.query(group_detail, view.scope, int(number))


def _change(view: View, wanted: dict[str, Any]) -> str:
    found = read(view)
    if found is None:
        return "Not changed: this exception is no longer there."
    try:
        if wanted.get("resolved") is True:
            resolve(view.store, found.group.id, now_us=time.time_ns() // 1000)
            return "Resolved. It opens again by itself if a newer version raises it."
        unresolve(view.store, found.group.id)
    except FmdOtelError as error:
        return f"Not changed: {error}"
    return "Open again."


def _head(view: View, found: GroupDetail) -> Any:
    group = found.group
    state = STATES.get(group.state, "")
    kinds = ", ".join(f"{n:,} {KINDS.get(kind, 'other')}" for kind, n in group.kinds.items())
    within = f"{group.n:,}" + (f" ({kinds})" if kinds else "")
    facts = [
        ("In this range", within if group.n else f"none, of {found.n:,} that are counted"),
        *([("Users touched", f"{group.users:,}")] if group.n else ()),
        ("First seen", _moment(view, group.first_us)),
        ("Last seen", f"{_moment(view, group.last_us)}, {formatting.ago(group.last_us, view.now_us)}"),
        ("Introduced in", group.introduced_in or formatting.NONE),
        ("Last in", group.last_in or formatting.NONE),
    ]
    if group.resolved_us is not None:
        facts.append(
            ("Resolved", f"{_moment(view, group.resolved_us)} with {group.resolved_in or 'no version'}")
        )
    return [
        html.Div(
            [
                html.H2(foreign(group.type), className="fmd-exception-title"),
                html.Span(state, className=f"fmd-state {state}"),
                html.Div(_button(group) if view.user.may(ADMIN) else None, className="fmd-card-actions"),
            ],
            className="fmd-endpoint-head",
        ),
        html.Div(foreign(group.message), className="fmd-exception-message"),
        html.Div([html.Span("in ", className="fmd-faint"), html.Code(foreign(group.place))])
        if group.place
        else None,
        plain_table(("", ""), facts),
    ]


def _button(group: ExceptionGroup) -> Any:
    resolved = group.state == RESOLVED
    face = [icon("refresh" if resolved else "status", size=14), "Open again" if resolved else "Resolve"]
    return send_button(face, WANTED, {"id": str(group.id), "resolved": not resolved})


def _stack(view: View, found: GroupDetail) -> Any:
    if not found.occurrences:
        return empty(
            "No stack is kept any more",
            "Of each group a few occurrences are kept in detail, all are counted. "
            + _last(view, found.group),
        )
    wanted = view.state.get("at")
    chosen = next((each for each in found.occurrences if _name(each) == wanted), found.occurrences[0])
    document = view.query(occurrence_document, found.group.id, chosen.ts_us, chosen.span_id) or {}
    within = any(view.scope.start_us <= each.ts_us < view.scope.end_us for each in found.occurrences)
    return [
        None if within else _elsewhere("None of this range is kept in detail; these are the newest."),
        _occurrences(view, found.occurrences, chosen),
        _about(view, chosen, document),
        *_chain(
            document.get("chain"),
            with_values=view.user.may(ADMIN),
            editor=view.settings.editor_link,
        ),
    ]


def _occurrences(view: View, occurrences: Sequence[Occurrence], chosen: Occurrence) -> Any:
    links = []
    for each in occurrences[:_MOST_OCCURRENCES]:
        state = view.state.with_extra("at", _name(each))
        here = each == chosen
        local = local_time(each.ts_us, view.scope.zone)
        links.append(
            html.A(
                f"{local.day} {local:%b %H:%M:%S}",
                href=view.settings.url(view.path) + format_search(state),
                className="fmd-button" + (" fmd-current" if here else ""),
                **attributes(aria_current="true" if here else None),
            )
        )
    more = len(occurrences) - len(links)
    return html.Div(
        [*links, html.Span(f"and {more} more", className="fmd-faint") if more else None],
        className="fmd-occurrences",
    )


def _about(view: View, one: Occurrence, document: dict[str, Any]) -> Any:
    parts: list[Any] = [KINDS.get(one.kind, "")]
    if one.endpoint is not None:
        parts += [" in ", html.A(foreign(one.endpoint.name), href=view.href(f"/endpoint/{one.endpoint.id}"))]
        if view.user.may(ADMIN) and document.get("url"):
            parts += [" · ", html.Code(f"{document.get('method') or ''} {document['url']}".strip())]
        parts += [" · ", html.A("trace", href=view.with_versions().href("/requests", trace=one.trace_id))]
    else:
        parts.append(" outside of any request")
    if one.version:
        parts.append(f" · version {one.version}")
    if one.user:
        parts.append(f" · user {one.user}")
    return html.Div(parts, className="fmd-subtitle fmd-chain-link")


def _chain(chain: Any, *, with_values: bool, editor: str) -> list[Any]:
    """Return the exceptions that led to each other, each with its stack."""
    parts: list[Any] = []
    for number, each in enumerate(chain if isinstance(chain, list) else ()):
        if not isinstance(each, dict):
            continue
        if number:
            relation = _RELATIONS.get(str(each.get("relation")), "And")
            parts.append(
                html.Div(
                    [
                        html.Span(f"{relation}: ", className="fmd-faint"),
                        html.Strong(foreign(str(each.get("type") or "?"))),
                        html.Span([": ", foreign(str(each.get("message") or ""))]),
                    ],
                    className="fmd-chain-link",
                )
            )
        parts.append(frames(each.get("frames") or (), with_values=with_values, editor=editor))
    return parts


def _elsewhere(text: str) -> Any:
    return html.Div([icon("clock", size=16), text], className="fmd-hint")


def _who(view: View, found: GroupDetail) -> Any:
    sections = (
        ("Versions", [(name, n) for name, n in found.by_version]),
        (
            "Endpoints",
            [
                (html.A(foreign(each.name), href=view.href(f"/endpoint/{each.id}/exceptions")), n)
                if each
                else ("outside of requests", n)
                for each, n in found.by_endpoint
            ],
        ),
        (
            "Users",
            [(html.A(foreign(name), href=view.href("/requests", user=name)), n) for name, n in found.by_user],
        ),
    )
    parts = []
    for title, counts in sections:
        if counts:
            most = max(n for _, n in counts)
            parts += [
                html.H3(title),
                plain_table(
                    ("", "", ""), [(name, _bar(n / most), f"{n:,}") for name, n in counts], numeric=(2,)
                ),
            ]
    if not parts:
        return empty("Not counted any more", "Its sums are older than what is kept.")
    if not found.group.n:
        parts.insert(0, _elsewhere("Nobody in this range; this is of any time."))
    return html.Div(parts, className="fmd-count-bars")


def _bar(share: float) -> Any:
    return html.Span(
        html.Span(style={"width": f"{share * 100:.0f}%"}), className="fmd-common-bar fmd-common-rest"
    )


def _name(one: Occurrence) -> str:
    return f"{one.ts_us}-{one.span_id}"


def _last(view: View, group: ExceptionGroup) -> str:
    return f"It was last seen {formatting.ago(group.last_us, view.now_us)}, {_moment(view, group.last_us)}."


def _moment(view: View, us: int) -> str:
    return f"{local_time(us, view.scope.zone):%-d %b %Y %H:%M}"


PAGE = Page(path="/exception/<group_id>", title="Exception", layout=layout, register=register)
