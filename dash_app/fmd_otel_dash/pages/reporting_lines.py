"""Of one endpoint of a report: the lines that account for the change, where its requests are profiled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import icon, plain_table
from fmd_otel_dash.pages.profile_grouped import AGAINST, PAGE, VERSION
from fmd_otel_dash.queries.changedlines import changed_lines
from fmd_otel_dash.queries.versions import version_starts
from fmd_otel_dash.rangetext import VERSION_PREFIX
from fmd_otel_dash.reports import lines as words
from fmd_otel_dash.urlstate import DEFAULT_END, format_search

if TYPE_CHECKING:
    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.queries.report import Report
    from fmd_otel_dash.view import View

_PROFILE_LEVEL = 3


def accounting_lines(view: View, found: Report, endpoint: Endpoint) -> Any:
    """Return the lines, with the way to all of them; or how to come by some."""
    pair = found.pair_of(endpoint)
    changed = view.query(changed_lines, endpoint.id, pair.before or pair.after, pair.after)
    if not (changed.n_before or changed.n_after):
        return _none(view, endpoint)
    parts: list[Any] = [
        html.Div(
            [
                html.H3(words.HEADING),
                html.Div(
                    html.A(
                        [icon("layers", size=14), "Grouped Profiler"],
                        href=grouped_href(view, endpoint.id),
                        className="fmd-button",
                        title="The same profiles, with the same comparison",
                    ),
                    className="fmd-card-actions",
                ),
            ],
            className="fmd-card-head fmd-lines-head",
        ),
        html.P(words.summary(changed), className="fmd-subtitle"),
    ]
    if changed.lines:
        parts.append(
            plain_table(
                (words.COLUMNS[0], *words.COLUMNS[2:]),
                [
                    (
                        html.Div([html.Code(each.code), html.Div(each.where, className="fmd-faint")]),
                        *each[2:],
                    )
                    for each in words.lines(changed)
                ],
                numeric=(1, 2, 3, 4),
            )
        )
        parts.append(html.Div(words.SMALL_PRINT, className="fmd-caption"))
    return html.Div(parts, className="fmd-lines")


def grouped_href(view: View, endpoint_id: int) -> str:
    """Return the Grouped Profiler of the same range with the same comparison, application's code only."""
    old, new = view.state.get("old"), view.state.get("new")
    against, chosen = (VERSION + old, (new,)) if old and new else (PAGE, view.state.versions)
    state = replace(view.state, extra=((AGAINST, against), ("code", "app")), versions=chosen)
    if old and new and not state.has_range:  # all that either has served
        starts = view.query(version_starts)
        first = min((old, new), key=lambda name: starts.get(name, view.now_us))
        state = state.with_range(f"{VERSION_PREFIX}{first}", DEFAULT_END)
    return view.settings.url(f"/endpoint/{endpoint_id}/grouped-profiler") + format_search(state)


def _none(view: View, endpoint: Endpoint) -> Any:
    if endpoint.level >= _PROFILE_LEVEL:
        text = "There are no profiles of either side, so the lines that account for the change are not known."
    else:
        text = (
            "Which lines account for a change is known where requests are profiled: profiles need level "
            f"{_PROFILE_LEVEL}, and this endpoint is at level {endpoint.level}."
        )
    return html.Div(
        [
            icon("gauge", size=16),
            html.Span(text),
            html.A(
                "Profiler",
                href=view.href(f"/endpoint/{endpoint.id}/profiler"),
                className="fmd-button",
            ),
        ],
        className="fmd-hint fmd-lines",
    )
