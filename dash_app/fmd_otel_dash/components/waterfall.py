"""The steps of a request over its time, each below the one that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.foreign import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST = 500
"""Rows drawn; a page of thousands is one that nobody reads."""
_KINDS = (
    ("db", ("db.system", "db.system.name", "db.statement", "db.query.text")),
    ("http", ("http.url", "url.full", "http.method", "http.request.method")),
    ("rpc", ("rpc.system",)),
    ("queue", ("messaging.system",)),
)
_TELLING = (
    "db.statement",
    "db.query.text",
    "http.url",
    "url.full",
    "http.route",
    "messaging.destination.name",
)


def waterfall(spans: Sequence[Any], duration_us: int, *, root: str) -> Any:
    """Return the waterfall of a trace document.

    Args:
        spans: ChildSpan entries, any of whose keys may be missing.
        duration_us: How long the request took: the width of everything.
        root: What the request itself is called.
    """
    known = [span for span in spans if isinstance(span, dict)]
    rows = list(ordered(known))
    whole = max([duration_us, *(_end(span) for _, span in rows), 1])
    return html.Div(
        [
            _row(0, {"name": root, "start_us": 0, "duration_us": duration_us, "kind": "request"}, whole),
            *(_row(depth + 1, span, whole) for depth, span in rows[:MOST]),
        ],
        className="fmd-waterfall",
        role="list",
        **attributes(aria_label=f"{len(known)} steps of the request"),
    )


def kind_of(span: dict[str, Any]) -> str:
    """Return what a step is, by its attributes: ``db``, ``http``, ``rpc``, ``queue``, or ``code``."""
    found = span.get("attributes")
    if isinstance(found, dict):
        for kind, names in _KINDS:
            if any(name in found for name in names):
                return kind
    return "request" if span.get("kind") == "request" else "code"


def time_by_kind(spans: Sequence[Any]) -> dict[str, tuple[int, int]]:
    """Return how many outermost steps of each kind there were, and how long they took together."""
    known = [span for span in spans if isinstance(span, dict)]
    kinds = {span.get("span_id"): kind_of(span) for span in known}
    found: dict[str, tuple[int, int]] = {}
    for span in known:
        kind = kind_of(span)
        if kinds.get(span.get("parent_id")) == kind:
            continue
        n, us = found.get(kind, (0, 0))
        found[kind] = n + 1, us + _number(span.get("duration_us"))
    return found


def ordered(spans: Sequence[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield spans with their depth: each after its parent, in the order in which they began."""
    ids = {span.get("span_id") for span in spans}
    below: dict[Any, list[dict[str, Any]]] = {}
    for span in sorted(spans, key=lambda each: _number(each.get("start_us"))):
        parent = span.get("parent_id")
        below.setdefault(parent if parent in ids and parent != span.get("span_id") else None, []).append(span)
    waiting = [(0, span) for span in reversed(below.get(None, ()))]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(below.pop(span.get("span_id"), ()))]


def _row(depth: int, span: dict[str, Any], whole_us: int) -> Any:
    name, kind = str(span.get("name") or "?"), kind_of(span)
    start, length = _number(span.get("start_us")), _number(span.get("duration_us"))
    left, width = 100 * max(0, start) / whole_us, max(0.25, 100 * length / whole_us)
    failed = str(span.get("status") or "").upper().endswith("ERROR")
    time = formatting.duration(length)
    left = min(left, 99.5)
    place = {"left": f"{left:.2f}%", "width": f"{min(width, 100 - left):.2f}%"}
    indent = {"paddingLeft": f"{min(depth, 12) * 12}px"}
    row = [
        html.Span(foreign(name), className="fmd-step-name", title=name, style=indent),
        html.Span(
            html.Span(className=f"fmd-step-bar k-{kind}" + (" fmd-failed" if failed else ""), style=place),
            className="fmd-step-track",
            **attributes(aria_hidden="true"),
        ),
        html.Span(time, className="fmd-step-time", title=f"after {formatting.duration(start)}"),
    ]
    facts = _facts(span)
    if not facts:
        return html.Div(row, className="fmd-step", role="listitem")
    table = html.Table(
        html.Tbody([html.Tr([html.Td(html.Code(key)), html.Td(value)]) for key, value in facts]),
        className="fmd-plain-table fmd-locals",
    )
    return html.Details([html.Summary(row, className="fmd-step"), table], role="listitem")


def _facts(span: dict[str, Any]) -> list[tuple[str, str]]:
    found = span.get("attributes")
    facts = [(str(key), str(value)) for key, value in found.items()] if isinstance(found, dict) else []
    facts.sort(key=lambda fact: fact[0] not in _TELLING)
    events = span.get("events")
    for event in events if isinstance(events, list) else ():
        if isinstance(event, dict):
            at = formatting.duration(_number(event.get("offset_us")))
            facts.append((f"event at {at}", f"{event.get('name')} {event.get('attributes') or ''}".strip()))
    return facts


def _end(span: dict[str, Any]) -> int:
    return _number(span.get("start_us")) + _number(span.get("duration_us"))


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) else 0
