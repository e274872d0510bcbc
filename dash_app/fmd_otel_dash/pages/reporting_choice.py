"""What a report compares: two periods or two versions, and how one chooses them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import reports
from fmd_otel_dash.comparison import chosen_versions
from fmd_otel_dash.components import empty, url_select
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.formatting import visible
from fmd_otel_dash.pages.common import compared_with, looked_at
from fmd_otel_dash.queries.report import Report, report_of
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.versions import versions
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from fmd_otel_dash.view import View

PRESETS = (
    ("Today against yesterday", "now/d", "now", "day"),
    ("This week against last", "now/w", "now", "week"),
    ("This month against last", "now/M", "now", "month"),
    ("Last 24 hours against those before", "now-24h", "now", "prev"),
)


def choice(view: View, found: Report | None) -> list[Any]:
    """Return the ways to choose, and what comes of the choice in a sentence."""
    return [_presets(view), _version_choice(view), _headline(view, found) if found else _nothing_chosen()]


def read(view: View) -> Report | None:
    """Return what the address asks for; None where it compares with nothing."""
    chosen = versions_of(view)
    if chosen:
        lifetime = not view.state.has_range
        pairs = chosen_versions(view.scope.until(view.now_us), *chosen, view.own_versions, lifetime=lifetime)
        return view.query(report_of, pairs, traffic=False)
    found = view.comparison
    return view.query(report_of, found.pairs, traffic=not found.versions) if found else None


def versions_of(view: View) -> tuple[str, str] | None:
    """Return the older and the newer version that are compared, if versions are."""
    old, new = view.state.get("old"), view.state.get("new")
    return (old, new) if old and new and old != new else None


def _presets(view: View) -> Any:
    state = view.state.with_extra("old").with_extra("new").with_extra("one")
    chosen = versions_of(view)
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
    tone = "bad" if found.regressions else "good" if any(map(reports.got_better, found.endpoints)) else ""
    chosen = versions_of(view)
    if chosen:
        when = "" if view.state.has_range else ", all that either has served"
        told = f"{visible(chosen[1])} against {visible(chosen[0])}{when}: "
    else:
        told = f"{looked_at(view)} against {compared_with(view)}: ".lstrip()
        told = told[0].upper() + told[1:]
    return html.Div(told + reports.headline(found), className=f"fmd-verdict {tone}")


def _nothing_chosen() -> Any:
    return empty(
        "Compare with what?", "Choose one of the comparisons above, or “Compare with” in the range picker."
    )
