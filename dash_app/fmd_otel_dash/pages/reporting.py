"""Reporting: two periods or two versions, endpoint by endpoint, and what changed by more than chance."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting, reports
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.comparison import chosen_versions
from fmd_otel_dash.components import (
    card,
    column,
    data_grid,
    empty,
    foreign,
    graph,
    icon,
    number,
    page,
    plain_table,
    url_segments,
    url_select,
)
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.figures.report import overlay
from fmd_otel_dash.pages.common import absent, compared_with, export, looked_at, on_click
from fmd_otel_dash.pages.drill import band_href
from fmd_otel_dash.pages.reporting_lines import accounting_lines
from fmd_otel_dash.queries.changedlines import changed_lines_of
from fmd_otel_dash.queries.report import EndpointReport, Report, report, report_of
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.versions import versions
from fmd_otel_dash.reports.files import lost
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table, milliseconds
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.stats.findings import Finding
    from fmd_otel_dash.view import View

TITLE = "Reporting"
CHOICE = "reporting-choice"
TABLE_CARD = "reporting-endpoints"
DETAIL = "reporting-detail"
GRID = "reporting-grid"
SHOW = (("matters", "What matters"), ("all", "All endpoints"))
PRESETS = (
    ("Today against yesterday", "now/d", "now", "day"),
    ("This week against last", "now/w", "now", "week"),
    ("This month against last", "now/M", "now", "month"),
    ("Last 24 hours against those before", "now-24h", "now", "prev"),
)
_MEASURES = {
    "latency": ("All durations", "Mann-Whitney U"),
    "p95": ("p95", "quantile test"),
    "errors": ("Error rate", "Fisher's exact test"),
    "traffic": ("Requests", "ratio of rates"),
}


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(CHOICE, kind="text", height=120),
        card(
            TABLE_CARD,
            "Endpoints",
            hint="Those first by which people lost most time waiting. Choose one to see its durations.",
            actions=[export(view), _html_link(view)],
            kind="table",
            height=420,
        ),
        card(DETAIL, kind="chart", height=300, plain=True),
        subtitle="What changed by more than chance, and by enough to matter",
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(CHOICE)
    def choice(view: View) -> Any:
        found = read(view)
        return [
            _presets(view),
            _version_choice(view),
            _headline(view, found) if found else _nothing_chosen(),
        ]

    @registry.card(TABLE_CARD)
    def table(view: View) -> Any:
        found = read(view)
        if found is None:
            return None
        if not found.endpoints:
            return absent(view, found.last_recorded_us)
        everything = view.state.get("show") == "all"
        shown = [one for one in found.endpoints if everything or one.matters]
        toolbar = html.Div(
            url_segments("show", "Which endpoints", SHOW, "all" if everything else "matters"),
            className="fmd-toolbar",
        )
        if not shown:
            return [toolbar, empty("No change that matters", reports.headline(found))]
        return [
            toolbar,
            data_grid(GRID, _columns(traffic=_versions_of(view) is None), [row(view, one) for one in shown]),
            html.Div(
                " · ".join(
                    [
                        *(f"{side}: {words}" for side, words in reports.sides(found)),
                        f"at most {found.threshold.level:.0%} of the findings are expected to be false",
                    ]
                ),
                className="fmd-caption",
            ),
        ]

    @registry.card(DETAIL)
    def detail(view: View) -> Any:
        found = read(view)
        wanted = view.state.get("one")
        one = (
            next((each for each in found.endpoints if str(each.endpoint.id) == wanted), None)
            if found
            else None
        )
        return _detail(view, found, one) if found and one else None

    on_click(registry, DETAIL, clicked_band)


def clicked_band(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of either side that took about as long as the point says."""
    found, own = read(view), view.state.get("one")
    one = next((each for each in found.endpoints if str(each.endpoint.id) == own), None) if found else None
    if not found or not one:
        return None
    pair = found.pair_of(one.endpoint)
    return band_href(view, (pair.before or pair.after, pair.after), one.endpoint.id, point)


def read(view: View) -> Report | None:
    """Return what the address asks for; None where it compares with nothing."""
    chosen = _versions_of(view)
    if chosen:
        lifetime = not view.state.has_range
        pairs = chosen_versions(view.scope.until(view.now_us), *chosen, view.own_versions, lifetime=lifetime)
        return view.query(report_of, pairs, traffic=False)
    found = view.comparison
    return view.query(report_of, found.pairs, traffic=not found.versions) if found else None


def _versions_of(view: View) -> tuple[str, str] | None:
    old, new = view.state.get("old"), view.state.get("new")
    return (old, new) if old and new and old != new else None


def _presets(view: View) -> Any:
    state = view.state.with_extra("old").with_extra("new").with_extra("one")
    chosen = _versions_of(view)
    links = []
    for text, start, end, compare in PRESETS:
        target = replace(state, start=start, end=end, compare=compare)
        here = not chosen and (view.state.start, view.state.end, view.state.compare) == (start, end, compare)
        links.append(
            html.A(
                text,
                href=view.settings.url(view.path) + format_search(target),
                className="fmd-button" + (" fmd-current" if here else ""),
                **attributes(aria_current="true" if here else None),
            )
        )
    return html.Div(links, className="fmd-toolbar")


def _version_choice(view: View) -> Any:
    known = [each.name for each in view.query(versions, Scope(0, 0, services=view.scope.services))]
    names = list(dict.fromkeys(reversed(known)))
    if len(names) < 2:  # noqa: PLR2004 - nothing to choose between
        return None
    options = [("", "–"), *((name, name) for name in names)]
    return html.Div(
        [
            html.Span("Or a version", className="fmd-faint"),
            url_select("new", "Version", options, view.state.get("new"), searchable=True, w=150),
            html.Span("against", className="fmd-faint"),
            url_select(
                "old", "Compared with version", options, view.state.get("old"), searchable=True, w=150
            ),
            html.Span(
                "Any two periods: choose one, pin it as baseline, choose the other.", className="fmd-faint"
            ),
        ],
        className="fmd-toolbar",
    )


def _headline(view: View, found: Report) -> Any:
    tone = "bad" if found.regressions else "good" if any(one.matters for one in found.endpoints) else ""
    chosen = _versions_of(view)
    if chosen:
        when = "" if view.state.has_range else ", all that either has served"
        told = f"{chosen[1]} against {chosen[0]}{when}: "
    else:
        told = f"{looked_at(view)} against {compared_with(view)}: ".lstrip()
        told = told[0].upper() + told[1:]
    return html.Div(told + reports.headline(found), className=f"fmd-verdict {tone}")


def _nothing_chosen() -> Any:
    return empty(
        "Compare with what?", "Choose one of the comparisons above, or “Compare with” in the range picker."
    )


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


def _columns(*, traffic: bool) -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    return [
        column("name", "Endpoint", cellRenderer="FmdEndpoint", flex=2, minWidth=140, context=narrow),
        column(
            "changeText", "Verdict", cellRenderer="FmdChange", flex=3, minWidth=170,
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


def _detail(view: View, found: Report, one: EndpointReport) -> Any:
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
    name, test = _MEASURES[found.measure]
    effect = found.effect
    points = found.measure == "errors"

    def said(value: float) -> str:
        return f"{value * 100:+.3g} {'pt' if points else '%'}"

    word = "matters" if found.matters else "too small to matter" if found.significant else "may be chance"
    return (
        f"{name} ({test})", said(effect.value), f"{said(effect.low)} to {said(effect.high)}",
        f"{effect.p:.2g}", f"{found.q:.2g}", word,
    )  # fmt: skip


def _html_link(view: View) -> Any:
    address = view.settings.url("/export/reporting.html")
    return html.A(
        [icon("download", size=14), "HTML"],
        href=address + format_search(view.state),
        className="fmd-button fmd-export",
        title="Download as one file that needs nothing else",
        **attributes(data_export=address),
    )


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
                for measure in _MEASURES
                for value in _numbers(one.findings.get(measure))  # type: ignore[call-overload] # the same names
            ),
        )  # fmt: skip


def _numbers(found: Finding | None) -> tuple[Any, ...]:
    if found is None:
        return ("",) * 4
    effect = found.effect
    return tuple(f"{value:.6g}" for value in (effect.value, effect.low, effect.high, found.q))


def _file(kind: str, view: View) -> str:
    """Return the report as a file, all endpoints in it."""
    found = read(view) or report(view.store, Scope(0, 0), Scope(0, 0))
    lines = changed_lines_of(view.store, found)
    return reports.rendered(found, kind, title=f"{view.settings.title_name}: what changed", lines=lines)


TABLE = Table(
    "report",
    (
        "service", "endpoint", "verdict", "worse", "requests_before", "requests_after", "p50_before_ms",
        "p50_after_ms", "p95_before_ms", "p95_after_ms", "errors_before", "errors_after", "time_lost_ms",
        *(f"{name}_{part}" for name in _MEASURES for part in ("change", "low", "high", "q")),
    ),
    rows,
)  # fmt: skip
PAGE = Page(
    path="/reporting",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="e",
    icon="report",
    table=TABLE,
    files={kind: partial(_file, kind) for kind in reports.FORMATS},
)
