"""What pages with charts have in common: captions, empty states, deploy markers, and where a click leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, html, no_update

from fmd_otel_dash import formatting, ids, urlstate
from fmd_otel_dash.components import empty, icon, nothing_in_range, nothing_recorded
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.figures.base import requests_text
from fmd_otel_dash.formatting import Delta
from fmd_otel_dash.queries.look import endpoints
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.queries.versions import versions
from fmd_otel_dash.rangetext import utc_moment
from fmd_otel_dash.roles import GUEST
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from fmd_otel_dash.queries.counts import Counts
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

    Change = TypeVar("Change")

_DAY_US = 86_400 * US_PER_S
_LONGER = (("Last 7 days", "now-7d", "now"), ("Last 30 days", "now-30d", "now"))


def caption(view: View, n: int, *more: str, where: str = "") -> Any:
    """Return what a chart covers: how many requests, of when, on which clock."""
    parts = [requests_text(n) + where, urlstate.label(view.state, view.window), view.scope.tz]
    if view.state.versions:
        parts.append("version " + ", ".join(view.state.versions))
    if view.state.services:
        parts.append("service " + ", ".join(view.state.services))
    told = " · ".join([*parts, *(text for text in more if text)])
    return html.Div(formatting.visible(told), className="fmd-caption")


def absent(view: View, last_us: int | None) -> Any:
    """Return what stands in place of a chart that has nothing to draw."""
    of = looked_at(view)
    if of:
        return empty("No requests to compare", f"Of {of} none was recorded within the range.")
    if last_us is not None:
        return nothing_in_range(view, last_us)
    if view.endpoint_id is not None:
        if not view.query(endpoints, Scope(0, 0, endpoint_ids=(view.endpoint_id,))):
            return None  # the page's head says so
        return empty(
            "No requests recorded yet",
            "This endpoint has not been asked for at monitor level 1 or above.",
            html.A("Open the Overview", href=view.with_versions().href("/overview"), className="fmd-button"),
        )
    if view.state.versions or view.state.services:
        return empty("No requests recorded", "Nothing matches the filters of this address, at any time.")
    return nothing_recorded(view)


def step_text(step_s: int) -> str:
    """Return how wide a chart's steps are."""
    for unit, size_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if step_s % size_s == 0:
            return f"steps of {step_s // size_s} {unit}"
    return f"steps of {step_s} s"


def longer_ranges(view: View, least_days: int) -> Any:
    """Return ways to a longer range, where the one at hand is too short for a chart of days to say much."""
    if view.scope.length_us >= least_days * _DAY_US:
        return None
    return html.Div(
        [
            html.Span("A longer range shows more here:"),
            *(
                html.Button(
                    text,
                    className="fmd-link-button",
                    type="button",
                    **attributes(data_start=start, data_end=end),
                )
                for text, start, end in _LONGER
            ),
        ],
        className="fmd-hint",
    )


def deploys(view: View) -> list[tuple[str, int]]:
    """Return the versions that first served within the range, for markers."""
    known = view.query(versions, Scope(0, 0, services=view.scope.services))
    return [
        (version.name, version.first_us)
        for version in known
        if view.scope.start_us < version.first_us < view.scope.end_us
    ]


def earlier_time(view: View) -> Scope | None:
    """Return what to compare numbers of requests with: those of two versions are not comparable."""
    found = view.comparison
    return view.compare if found and not found.versions else None


def _rate_change(view: View, now: Counts, before: Counts | None) -> Delta | None:
    """Return how traffic changed: as rates, since months and days across a clock change differ in length."""
    earlier = earlier_time(view)
    if not (earlier and before and view.after.length_us and earlier.length_us):
        return None
    rates = now.n / view.after.length_us, before.n / earlier.length_us
    return formatting.relative_change(*rates, better="none")


def below_requests(view: View, now: Counts, before: Counts | None) -> dict[str, Any]:
    """Return what stands below a number of requests; those of two versions do not compare."""
    comparable = before if earlier_time(view) else None
    return _below(view, comparable, _rate_change(view, now, before))


def below_figure(
    view: View, before: Counts | None, told: Callable[[Change], Delta], moved: Change | None
) -> dict[str, Any]:
    """Return what stands below a key figure: its change, or that there was too little before to tell."""
    return _below(view, before, told(moved) if moved else None)


def _below(view: View, before: Counts | None, delta: Delta | None) -> dict[str, Any]:
    if not before or not before.n:
        return {"delta": delta}
    if before.n < formatting.MIN_SAMPLE:
        return {"delta": Delta(f"few requests before: {before.n:,}", "neutral", "")}
    return {"delta": delta, "against": versus(view)}


def part_of_range(view: View) -> Any:
    """Return a note that less than the range is looked at, where that is so."""
    told = looked_at(view)
    return html.Div(f"Of {told}, against {compared_with(view)}", className="fmd-caption") if told else None


def against(view: View) -> str:
    """Return what the dashed line is, in a caption."""
    return f"dashed: {compared_with(view)}" if view.compare else ""


def against_earlier(view: View, *, any_before: bool) -> str:
    """Return the same for numbers of requests, or why there is no such line."""
    found = view.comparison
    if found and found.versions:
        return f"not against {compared_with(view)}: versions were in service for different times"
    return against(view) if any_before and earlier_time(view) else ""


def looked_at(view: View) -> str:
    """Return what is compared, where it is less than the range and its filters; to precede "against"."""
    found = view.comparison
    return formatting.visible(found.of) if found else ""


def compared_with(view: View) -> str:
    """Return what the comparison is, in a few words: the previous 7 days."""
    found = view.comparison
    words = formatting.visible(found.words) if found else ""
    return f"the {words}" if words.startswith("previous") else words


def versus(view: View) -> str:
    """Return the comparison as it stands beside a difference: vs previous 7 days."""
    found = view.comparison
    return f"vs {formatting.visible(found.words)}" if found else ""


def export(view: View) -> Any:
    """Return a link that downloads the page's table as CSV."""
    address = view.settings.url(f"/export{view.path}.csv")
    return html.A(
        [icon("download", size=14), "CSV"],
        href=address + format_search(view.state),
        className="fmd-button fmd-export",
        title="Download all rows",
        **attributes(data_export=address),
    )


def requests_path(view: View, endpoint_id: int | None = None) -> str:
    """Return the page that lists requests: of an endpoint, of the one at hand, or of all."""
    endpoint_id = view.endpoint_id if endpoint_id is None else endpoint_id
    return "/requests" if endpoint_id is None else f"/endpoint/{endpoint_id}/requests"


def requests_href(
    view: View, start_us: int, end_us: int, endpoint_id: int | None = None, /, **filters: str
) -> str:
    """Return the list of requests of some moments: of an endpoint, of the one at hand, or of all."""
    path = requests_path(view, endpoint_id)
    # Whole seconds outwards: better a request too many than the one that was clicked missing.
    end_us = -(-end_us // US_PER_S) * US_PER_S
    return view.href(path, start=utc_moment(start_us), end=utc_moment(end_us), **filters)


def on_click(registry: Registry, graph: str, href: Callable[[View, dict[str, Any]], str | None]) -> None:
    """Make a click on a point of a graph lead somewhere; ``href`` gets the point as plotly describes it."""

    @registry.callback(
        Output(ids.URL, "href", allow_duplicate=True),
        Input(ids.time_graph(graph), "clickData"),
        role=GUEST,
    )
    def follow(view: View, click: dict[str, Any] | None) -> Any:
        points = (click or {}).get("points") or []
        return (href(view, points[0]) if points else None) or no_update
