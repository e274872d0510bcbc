"""The endpoints of a report, line by line: in the table, and in the file for a spreadsheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting, reports
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import column, number
from fmd_otel_dash.pages.reporting_choice import read
from fmd_otel_dash.pages.reporting_detail import MEASURES
from fmd_otel_dash.reports.files import lost
from fmd_otel_dash.tables import Table, milliseconds
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.queries.report import EndpointReport
    from fmd_otel_dash.stats.findings import Finding
    from fmd_otel_dash.view import View


def row(view: View, one: EndpointReport) -> dict[str, Any]:
    """Return one line of the table."""
    words, tone = reports.verdict(one)
    a, b = one.before, one.after
    state = view.state.with_extra("one", str(one.endpoint.id))
    return {
        "id": one.endpoint.id,
        "name": one.endpoint.name,
        "route": one.endpoint.route or "",
        "color": endpoint_color(one.endpoint.name, view.settings.colors),
        "href": view.settings.url(view.path) + format_search(state),
        "change": one.lost_us,
        "changeText": words,
        "changeTone": tone,
        "changeHint": reports.summary(one),
        "p50": b.p50_us,
        "p50Text": _both(formatting.duration(a.p50_us), formatting.duration(b.p50_us)),
        "p95": b.p95_us,
        "p95Text": _both(formatting.duration(a.p95_us), formatting.duration(b.p95_us)),
        "errors": b.counts.error_rate,
        "errorsText": _both(formatting.percent(a.counts.error_rate), formatting.percent(b.counts.error_rate)),
        "n": b.counts.n,
        "nText": _both(formatting.count(a.counts.n), formatting.count(b.counts.n)),
        "lost": one.lost_us,
        "lostText": lost(one),
    }


def _both(before: str, after: str) -> str:
    return f"{before} → {after}"


def columns(*, traffic: bool) -> list[dict[str, Any]]:
    """Return the columns; ``traffic`` where numbers of requests compare."""
    narrow = {"narrow": True}
    return [
        column("name", "Endpoint", cellRenderer="FmdEndpoint", flex=2, minWidth=140, context=narrow),
        column(
            "changeText", "Verdict", cellRenderer="FmdChange", flex=3, minWidth=130,
            tooltipField="changeHint", context=narrow,
        ),
        number("p50", "p50", shown="p50Text", width=150),
        number("p95", "p95", shown="p95Text", width=150),
        number("errors", "Errors", shown="errorsText", width=130),
        number("n", "Requests" if traffic else "Sample", shown="nText", width=140),
        number(
            "lost", "Time lost", shown="lostText", width=100,
            headerTooltip="Requests after, times the change of their mean duration",
        ),
    ]  # fmt: skip


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the whole report line by line."""
    found = read(view)
    for one in found.endpoints if found else ():
        a, b = one.before, one.after
        yield (
            one.endpoint.service, one.endpoint.name, reports.verdict(one)[0], one.worse,
            a.counts.n, b.counts.n, milliseconds(a.p50_us), milliseconds(b.p50_us), milliseconds(a.p95_us),
            milliseconds(b.p95_us), a.counts.errors, b.counts.errors, milliseconds(one.lost_us),
            *(
                value
                for measure in MEASURES
                for value in _numbers(one.findings.get(measure))  # type: ignore[call-overload] # the same names
            ),
        )  # fmt: skip


def _numbers(found: Finding | None) -> tuple[Any, ...]:
    if found is None:
        return ("",) * 4
    effect = found.effect
    return tuple(f"{value:.6g}" for value in (effect.value, effect.low, effect.high, found.q))


TABLE = Table(
    "report",
    (
        "service", "endpoint", "verdict", "worse", "requests_before", "requests_after", "p50_before_ms",
        "p50_after_ms", "p95_before_ms", "p95_after_ms", "errors_before", "errors_after", "time_lost_ms",
        *(f"{name}_{part}" for name in MEASURES for part in ("change", "low", "high", "q")),
    ),
    rows,
)  # fmt: skip
