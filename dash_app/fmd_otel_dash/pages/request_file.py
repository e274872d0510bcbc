"""One request as one file that needs nothing else: to attach to a ticket.

What it is, its steps over its time, the lines that it spent its time in, and, for admins, what its own span
says.
"""

from __future__ import annotations

import json
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import NotFound

from fmd_otel_dash import formatting, reports
from fmd_otel_dash.components.waterfall import MOST, kind_of, ordered
from fmd_otel_dash.pages.endpoint_status import meaning
from fmd_otel_dash.queries.profiles import profile_of
from fmd_otel_dash.queries.requests import request_detail
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.queries.traces import trace_of
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.stats.trees import code_only, own_code, own_times, place

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fmd_otel_dash.queries.requests import RequestRow
    from fmd_otel_dash.stats.trees import Tree
    from fmd_otel_dash.view import View

_MOST_LINES = 15
_LEAST_PERCENT = 0.3
"""Of the width; less cannot be seen."""


def snapshot(view: View) -> str:
    """Return the file."""
    found = view.query(request_detail, view.params.get("key", ""))
    if found is None:
        raise NotFound("There is no such request.")
    row = found.row
    trace = view.query(trace_of, row.key) or {}
    profile = view.query(profile_of, row.endpoint.id, row.ts_us, bytes.fromhex(row.span_id))
    title = f"{row.method} {row.endpoint.route or row.endpoint.name}"
    said = trace.get("attributes") if view.user.may(ADMIN) else None
    parts = [
        f"<p class=lead>{escape(_lead(row))}</p>",
        _facts(_known(view, row)),
        _steps(trace, row.duration_us, title),
        _lines(profile.tree) if profile else "",
        _attributes(said) if isinstance(said, dict) and said else "",
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{''.join(parts)}</main></body></html>\n"
    )


def _lead(row: RequestRow) -> str:
    return f"{row.status} {meaning(row.status)} · {formatting.duration(row.duration_us)}"


@lru_cache(maxsize=1)
def _style() -> str:
    folder = Path(reports.__file__).parent
    return "".join((folder / name).read_text(encoding="utf-8") for name in ("report.css", "request.css"))


def _known(view: View, row: RequestRow) -> list[tuple[str, str]]:
    local = local_time(row.ts_us, view.scope.zone)
    return [
        ("Endpoint", row.endpoint.name),
        ("Service", row.endpoint.service),
        ("Time", f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond:06d} ({view.scope.tz})"),
        ("Duration", f"{row.duration_us:,} µs"),
        ("Version", row.version or formatting.NONE),
        ("User", row.user or formatting.NONE),
        ("IP address", row.ip or formatting.NONE),
        ("Trace", row.trace_id),
        ("Span", row.span_id),
    ]


def _facts(known: Iterable[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in known) + "</dl>"


def _steps(trace: Mapping[str, Any], duration_us: int, title: str) -> str:
    spans = trace.get("spans")
    known = [span for span in spans if isinstance(span, dict)] if isinstance(spans, list) else []
    if not known:
        return ""
    rows = [(0, {"name": title, "kind": "request", "start_us": 0, "duration_us": duration_us})]
    rows += [(depth + 1, span) for depth, span in ordered(known)][:MOST]
    whole = max(1, *(_number(span, "start_us") + _number(span, "duration_us") for _, span in rows))
    drawn = "".join(_step(depth, span, whole) for depth, span in rows)
    left = max(0, len(known) - MOST) + _number(trace, "truncated")
    more = f"<p class=small>{left:,} more steps are not shown.</p>" if left else ""
    return f'<h2>Steps</h2><div class="scroll">{drawn}</div>{more}'


def _step(depth: int, span: Mapping[str, Any], whole_us: int) -> str:
    start, length = _number(span, "start_us"), _number(span, "duration_us")
    left = min(100 - _LEAST_PERCENT, 100 * max(0, start) / whole_us)
    width = min(100 - left, max(_LEAST_PERCENT, 100 * length / whole_us))
    failed = " failed" if str(span.get("status") or "").upper().endswith("ERROR") else ""
    bar = f'<i class="k-{kind_of(dict(span))}{failed}" style="left:{left:.2f}%;width:{width:.2f}%"></i>'
    name = escape(str(span.get("name") or "?"))
    return (
        f'<div class=step><span style="padding-left:{min(depth, 12) * 12}px">{name}</span>'
        f"<div class=track>{bar}</div><b>{formatting.duration(length)}</b></div>"
    )


def _lines(tree: Tree) -> str:
    tree = code_only(own_code(tree))
    whole = tree.total_us or 1
    slowest = sorted(zip(own_times(tree), tree.lines, strict=True), key=lambda each: -each[0])[:_MOST_LINES]
    rows = [
        (
            (line.source or "").strip() or line.function,
            f"{line.function} ({place(line)})" if line.file else line.function,
            formatting.duration(us),
            formatting.percent(us / whole),
        )
        for us, line in slowest
        if us > 0
    ]
    table = _table(("Line", "Where", "Time", "Share"), rows)
    note = "<p class=small>What a library took counts as the line of your own code that called it.</p>"
    return f"<h2>Where its time went</h2>{table}{note}"


def _attributes(said: Mapping[str, Any]) -> str:
    rows = [
        (str(name), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for name, value in said.items()
    ]
    return f"<h2>Attributes</h2>{_table(('Attribute', 'Value'), rows)}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{each}</th>" for each in heads)
    cells = (
        f"<td><code>{escape(first)}</code></td>" + "".join(f"<td>{escape(each)}</td>" for each in others)
        for first, *others in rows
    )
    body = "".join(f"<tr>{each}</tr>" for each in cells)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _number(found: Mapping[str, Any], key: str) -> int:
    value = found.get(key)
    return int(value) if isinstance(value, int | float) else 0
