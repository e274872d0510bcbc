"""One endpoint of a report: both distributions, every test, and the lines that account for the change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import reports
from fmd_otel_dash.components import foreign, graph, icon, plain_table
from fmd_otel_dash.figures.report import overlay
from fmd_otel_dash.pages.reporting_lines import accounting_lines

if TYPE_CHECKING:
    from fmd_otel_dash.queries.report import EndpointReport, Report
    from fmd_otel_dash.stats.findings import Finding
    from fmd_otel_dash.view import View

DETAIL = "reporting-detail"
"""Its card, and the graph in it."""
MEASURES = {
    "latency": ("All durations", "Mann-Whitney U"),
    "p95": ("p95", "quantile test"),
    "errors": ("Error rate", "Fisher's exact test"),
    "traffic": ("Requests", "ratio of rates"),
}


def detail(view: View, found: Report, one: EndpointReport) -> Any:
    """Return what there is to know of it."""
    words, tone = reports.verdict(one)
    return html.Section(
        [
            html.Div(
                [
                    html.H2(
                        [foreign(one.endpoint.name), ": ", html.Span(words, className=f"fmd-delta {tone}")]
                    ),
                    html.Div(
                        html.A(
                            [icon("chart", size=14), "Endpoint"],
                            href=view.href(f"/endpoint/{one.endpoint.id}"),
                            className="fmd-button",
                        ),
                        className="fmd-card-actions",
                    ),
                ],
                className="fmd-card-head",
            ),
            graph(
                overlay(one.before.latency, one.after.latency),
                name=DETAIL,
                height=260,
                label="Durations before and after",
                leads=True,
            )
            if one.before.latency or one.after.latency
            else None,
            plain_table(
                ("Measure", "Change", "95 % interval", "p", "q", "Verdict"),
                [_finding(each) for each in reports.measured(one).values()],
                numeric=(1, 2, 3, 4),
            )
            if reports.measured(one)
            else html.P(
                "Too few requests for a test: each side needs at least eight.", className="fmd-faint"
            ),
            html.Div(
                f"{one.before.counts.n:,} requests before, {one.after.counts.n:,} after · q: the p-value, "
                "corrected for the number of tests in this report",
                className="fmd-caption",
            ),
            None if one.came or one.went else accounting_lines(view, found, one.endpoint),
        ],
        className="fmd-card",
    )


def _finding(found: Finding) -> tuple[str, ...]:
    name, test = MEASURES[found.measure]
    effect = found.effect
    points = found.measure == "errors"

    def said(value: float) -> str:
        return f"{value * 100:+.3g} {'pt' if points else '%'}"

    word = "matters" if found.matters else "too small to matter" if found.significant else "may be chance"
    return (
        f"{name} ({test})", said(effect.value), f"{said(effect.low)} to {said(effect.high)}",
        f"{effect.p:.2g}", f"{found.q:.2g}", word,
    )  # fmt: skip
