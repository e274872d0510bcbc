"""The verdict in an endpoint's head: what changed, by how much and how certainly, since when.

Since a version that was first deployed within the range, where there is one: that is what people want to know
on a day with a deployment. Else against whatever the page compares with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.formatting import visible
from fmd_otel_dash.pages.common import compared_with
from fmd_otel_dash.queries.report import report
from fmd_otel_dash.reports.sentence import sentence
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.view import View

_DEPLOYMENT_FIRST = {"prev", "off"}
"""Comparisons that nobody chose to see a certain time, day or version against."""


@dataclass(frozen=True)
class Sides:
    """What the verdict is about."""

    before: Scope
    after: Scope
    against: str
    """To end a sentence with: "since 1.7.0"."""
    traffic: bool
    """Whether numbers of requests are comparable."""
    named: tuple[str, str] | None = None
    """The older and the newer version, where it is about two."""


def verdict(view: View, endpoint: Endpoint) -> Any:
    """Return the verdict as a line; nothing where there is nothing to compare with."""
    chosen = sides(view, endpoint)
    if chosen is None:
        return None
    found = view.query(report, chosen.before, chosen.after, traffic=chosen.traffic)
    one = next(iter(found.endpoints), None)
    if one is None:
        return None  # neither has a request, and the page says so
    said = sentence(one, visible(chosen.against))
    return html.Div(
        [
            html.Strong(f"{said.told[:1].upper()}{said.told[1:]}, "),
            html.Span(f"{said.basis}. "),
            html.A(
                "Report",
                href=report_href(view, endpoint, chosen),
                title="Both distributions, every test, and code",
            )
            if one.findings
            else None,
        ],
        className=f"fmd-verdict {said.tone}",
        title="Tested on all requests of both sides, not on a sample",
    )


def report_href(view: View, endpoint: Endpoint, chosen: Sides) -> str:
    """Return the Reporting page with the same comparison, opened at this endpoint."""
    extra = [("one", str(endpoint.id))]
    state = view.state
    if chosen.named:
        extra += [("old", chosen.named[0]), ("new", chosen.named[1])]
        state = replace(state, versions=())
    return view.settings.url("/reporting") + format_search(replace(state, extra=tuple(extra)))


def sides(view: View, endpoint: Endpoint) -> Sides | None:
    """Return what to hold against what."""
    found = view.comparison
    if found and found.versions:
        pair = view.pair_of(endpoint.service)
        new = ", ".join(pair.after.versions)
        return Sides(pair.before, pair.after, f"since {new}", traffic=False) if pair.before else None
    scope, own = view.scope.until(view.now_us), view.own_versions
    if view.state.compare in _DEPLOYMENT_FIRST and not scope.versions:
        deployed = [each for each in own[1:] if scope.start_us < each.first_us < scope.end_us]
        if deployed:
            newest = deployed[-1]
            return Sides(
                replace(scope, end_us=newest.first_us),
                replace(scope, start_us=newest.first_us, versions=(newest.name,)),
                f"since {newest.name}",
                traffic=False,
                named=(own[own.index(newest) - 1].name, newest.name),
            )
    before = view.compare
    if before is None:
        return None
    return Sides(before, view.after, f"against {compared_with(view)}", traffic=True)
