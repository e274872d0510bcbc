"""A report as a file: HTML that needs nothing else, Markdown for a pull request, JSON for a machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import lru_cache
from html import escape
from math import isfinite
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.reports import lines as words
from fmd_otel_dash.reports.drawing import overlay
from fmd_otel_dash.reports.words import headline, measured, summary, verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fmd_otel_dash.queries.changedlines import ChangedLines
    from fmd_otel_dash.queries.report import EndpointReport, Report, Side
    from fmd_otel_dash.queries.scope import Scope

    Lines = Mapping[int, ChangedLines]

_COLUMNS = ("Endpoint", "Verdict", "p50", "p95", "Errors", "Requests", "Time lost")


def rendered(
    report: Report,
    kind: str,
    *,
    title: str = "Report",
    everything: bool = True,
    lines: Lines = MappingProxyType({}),
) -> str:
    """Return a report as the text of a file of one of :data:`FORMATS`.

    Args:
        report: what was found.
        kind: ``html``, ``md`` or ``json``.
        title: the file's heading.
        everything: whether endpoints with no change that matters are listed, too.
        lines: what accounts for the change of an endpoint, by its id, where profiles tell.
    """
    listed = [one for one in report.endpoints if everything or one.matters]
    return FORMATS[kind](report, listed, title, lines)


def period(scope: Scope) -> str:
    """Return what one side of the report is."""
    start, end = (local_time(us, scope.zone) for us in (scope.start_us, scope.end_us))
    words = f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} ({scope.tz})"
    return f"version {', '.join(scope.versions)}, {words}" if scope.versions else words


def sides(report: Report) -> list[tuple[str, str]]:
    """Return what was compared with what: a heading and a period for each side."""
    several = len(report.pairs) > 1
    return [
        (side + (f" ({', '.join(scope.services)})" if several else ""), period(scope))
        for pair in report.pairs
        for side, scope in (("Before", pair.before), ("After", pair.after))
        if scope is not None
    ]


def cells(one: EndpointReport) -> tuple[str, ...]:
    """Return one line of the table, as texts."""
    a, b = one.before, one.after
    return (
        one.endpoint.name,
        verdict(one)[0],
        _both(formatting.duration(a.p50_us), formatting.duration(b.p50_us)),
        _both(formatting.duration(a.p95_us), formatting.duration(b.p95_us)),
        _both(formatting.percent(a.counts.error_rate), formatting.percent(b.counts.error_rate)),
        _both(f"{a.counts.n:,}", f"{b.counts.n:,}"),
        lost(one),
    )


def lost(one: EndpointReport) -> str:
    """Return how long people waited more (or, with a minus, less) than they would have before."""
    sign = "+" if one.lost_us > 0 else "-" if one.lost_us < 0 else ""
    return sign + formatting.duration(abs(one.lost_us))


def _both(before: str, after: str) -> str:
    return f"{before} → {after}" if before != after else after


def _markdown(report: Report, listed: Sequence[EndpointReport], title: str, lines: Lines) -> str:
    def safe(text: str) -> str:
        # Names come from URLs and versions: no cell of theirs may end a row, begin a tag or a link.
        kept = "".join(c if c.isprintable() else "�" for c in text)
        return escape(kept, quote=False).translate({ord(c): f"\\{c}" for c in "\\`*_[]|~"})

    def tabled(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
        made = [f"| {' | '.join(safe(cell) for cell in row)} |" for row in (heads, *rows)]
        return [made[0], "|" + " --- |" * len(heads), *made[1:]]

    def accounted(one: EndpointReport) -> list[str]:
        changed = lines.get(one.endpoint.id)
        if changed is None:
            return []
        told = [
            "",
            f"### {safe(one.endpoint.name)}: {words.HEADING.lower()}",
            "",
            safe(words.summary(changed)),
        ]
        table = tabled(words.COLUMNS, words.lines(changed)) if changed.lines else ()
        return [*told, *(("", *table) if table else ())]

    table = tabled(_COLUMNS, (cells(one) for one in listed))
    return "\n".join(
        [
            f"## {safe(title)}",
            "",
            f"**{safe(headline(report))}**",
            "",
            *(f"{side}: {safe(told)}  " for side, told in sides(report)),
            "",
            *(table if listed else ()),
            *(line for one in listed for line in accounted(one)),
            "",
            _small_print(report),
            "",
        ]
    )


def _html(report: Report, listed: Sequence[EndpointReport], title: str, lines: Lines) -> str:
    def row(one: EndpointReport) -> str:
        name, told, *others = (f"<td>{escape(cell)}</td>" for cell in cells(one))
        tone = verdict(one)[1]
        chart = overlay(one.before.latency, one.after.latency)
        tests = f"{chart}<p>{escape(summary(one))}</p>"
        detail = f"<details><summary>Distribution and tests</summary>{tests}</details>"
        if changed := lines.get(one.endpoint.id):
            detail += f"<details><summary>{words.HEADING}</summary>{_lines(changed)}</details>"
        return f'<tr>{name}<td class="{tone}">{told[4:-5]}{detail}</td>{"".join(others)}</tr>'

    periods = "".join(f"<dt>{escape(side)}</dt><dd>{escape(told)}</dd>" for side, told in sides(report))
    heads = "".join(f"<th>{escape(head)}</th>" for head in _COLUMNS)
    body = "".join(row(one) for one in listed)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>" if body else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_style()}</style></head><body><main>"
        f"<h1>{escape(title)}</h1><p class=lead>{escape(headline(report))}</p>"
        f"<dl>{periods}</dl>"
        f'<div class="scroll">{table}</div><p class=small>{escape(_small_print(report))}</p>'
        "</main></body></html>\n"
    )


def _lines(changed: ChangedLines) -> str:
    said = f"<p>{escape(words.summary(changed))}</p>"
    if not changed.lines:
        return said
    first, _, *numbers = words.COLUMNS
    heads = "".join(f"<th>{escape(head)}</th>" for head in (first, *numbers))
    rows = (
        f"<td><code>{escape(code)}</code><br><span class=small>{escape(where)}</span></td>"
        + "".join(f"<td>{escape(text)}</td>" for text in others)
        for code, where, *others in words.lines(changed)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    table = f"<table class=lines><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
    return f"{said}{table}<p class=small>{escape(words.SMALL_PRINT)}</p>"


@lru_cache(maxsize=1)
def _style() -> str:
    return Path(__file__).with_name("report.css").read_text(encoding="utf-8")


def _json(report: Report, listed: Sequence[EndpointReport], title: str, lines: Lines) -> str:
    def side(one: Side) -> dict[str, Any]:
        return {
            "requests": one.counts.n,
            "errors": one.counts.errors,
            "p50_us": one.p50_us,
            "p95_us": one.p95_us,
            "mean_us": one.counts.mean_us,
        }

    def scope(one: Scope) -> dict[str, Any]:
        return {
            "start_us": one.start_us,
            "end_us": one.end_us,
            "timezone": one.tz,
            "versions": list(one.versions),
            "services": list(one.services),
        }

    def profiles(changed: ChangedLines | None) -> dict[str, Any] | None:
        if changed is None:
            return None
        return {
            "before": {"profiles": changed.n_before, "mean_us": changed.before_us},
            "after": {"profiles": changed.n_after, "mean_us": changed.after_us},
            "lines": [
                {
                    "file": each.line.file,
                    "line": each.line.line,
                    "function": each.line.function,
                    "source": each.line.source,
                    "before_us": each.before_us,
                    "after_us": each.after_us,
                    "share": changed.share(each),
                }
                for each in changed.lines
            ],
        }

    compared = [
        {"before": scope(pair.before), "after": scope(pair.after)} for pair in report.pairs if pair.before
    ]
    document = {
        "title": title,
        "headline": headline(report),
        # Of several services, each has periods and versions of its own.
        **(compared[0] if len(compared) == 1 else {"compared": compared}),
        "threshold": asdict(report.threshold),
        "regressions": [one.endpoint.name for one in report.regressions],
        "endpoints": [
            {
                "service": one.endpoint.service,
                "endpoint": one.endpoint.name,
                "route": one.endpoint.route,
                "verdict": verdict(one)[0],
                "worse": one.worse,
                "matters": one.matters,
                "time_lost_us": one.lost_us,
                "before": side(one.before),
                "after": side(one.after),
                "findings": {
                    name: {
                        "value": _number(each.effect.value),
                        "low": _number(each.effect.low),
                        "high": _number(each.effect.high),
                        "p": each.effect.p,
                        "q": each.q,
                        "significant": each.significant,
                        "matters": each.matters,
                    }
                    for name, each in measured(one).items()
                },
                "profiles": profiles(lines.get(one.endpoint.id)),
            }
            for one in listed
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _number(value: float) -> float | None:
    """Return a number that JSON has; an interval without an end has none."""
    return value if isfinite(value) else None


def _small_print(report: Report) -> str:
    limit = report.threshold
    return (
        f"Of the findings, at most {limit.level:.0%} are expected to be false (Benjamini-Hochberg over all "
        f"tests). Differences below {limit.latency:.0%} of a duration, {limit.errors * 100:g} points of the "
        f"error rate or {limit.traffic:.0%} of the traffic are not reported. Durations: Mann-Whitney U and "
        "Hodges-Lehmann shift; p95: quantile test; errors: Fisher's exact test; traffic: ratio of rates with "
        "the variance seen. Time lost: requests after, times the change of their mean duration."
    )


FORMATS: dict[str, Callable[[Report, Sequence[EndpointReport], str, Lines], str]] = {
    "html": _html,
    "md": _markdown,
    "json": _json,
}
