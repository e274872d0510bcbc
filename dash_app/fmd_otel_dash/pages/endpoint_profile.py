"""One profiled request: where its time went, line by line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components import card, empty
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.pages.endpoint_profiler import endpoint_of, profile_href
from fmd_otel_dash.pages.profile_parts import Selection, controls, drawn, few_samples, kept
from fmd_otel_dash.queries.profiles import StoredProfile, profile_of, profiles
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.formats import Exported
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

DETAIL = "endpoint-profile"
_KEY = re.compile(r"(\d{1,18})-(\d{1,9})-([0-9a-f]{16})", re.ASCII)
_DAY_US = 86_400_000_000


def layout(_view: View) -> Any:
    """Return the page without data."""
    return endpoint_page(card(DETAIL, kind="chart", height=760))


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(DETAIL)
    def detail(view: View) -> Any:
        found, endpoint = read(view), endpoint_of(view)
        if endpoint is None:
            return None
        if found is None:
            return empty(
                "There is no such profile",
                "It may be older than what is kept, or not be written yet.",
                html.A("All profiles of this endpoint", href=_list_href(view), className="fmd-button"),
            )
        selection = _selection(view, found, endpoint.name)
        return [
            _headline(view, found),
            few_samples(found.row.samples) if not found.row.exact else None,
            controls(view),
            *drawn(view, DETAIL, selection),
        ]


def read(view: View) -> StoredProfile | None:
    """Return the profile of the address."""
    match = _KEY.fullmatch(view.params.get("key", ""))
    if match is None or int(match[2]) != view.endpoint_id:
        return None
    return view.query(profile_of, int(match[2]), int(match[1]), bytes.fromhex(match[3]))


def _selection(view: View, found: StoredProfile, name: str) -> Selection:
    local = local_time(_ts(view), view.scope.zone)
    return Selection(f"{name}, {local:%Y-%m-%d %H:%M:%S}", found.tree, "profile", _ts(view))


def _ts(view: View) -> int:
    match = _KEY.fullmatch(view.params.get("key", ""))
    return int(match[1]) if match else 0


def _headline(view: View, found: StoredProfile) -> Any:
    local = local_time(_ts(view), view.scope.zone)
    waiting = max(0, found.row.duration_us - found.row.cpu_us)
    facts = [
        f"{formatting.duration(found.row.cpu_us)} on the CPU, {formatting.duration(waiting)} waiting",
        _how(found),
        f"version {found.row.version}",
    ]
    if found.row.truncated:
        facts.append("deeper or more branched than is kept: parts are put together as [truncated]")
    if found.row.exact:
        facts.append(
            "looking that often takes time itself: calls of tiny functions look larger than they are"
        )
    key = view.params["key"]
    return html.Div(
        [
            html.Div(
                [
                    html.Strong(f"{local:%a %-d %b %Y, %H:%M:%S}.{local.microsecond // 1000:03d}"),
                    html.Span(formatting.duration(found.row.duration_us), className="fmd-request-time"),
                    html.A("Request", href=view.href(f"/request/{key}")),
                    html.Div(className="fmd-spacer"),
                    *_neighbours(view),
                    html.A("All profiles", href=_list_href(view), className="fmd-button"),
                ],
                className="fmd-endpoint-head",
            ),
            html.Div(" · ".join(facts), className="fmd-subtitle"),
        ],
        style={"marginBottom": 10},
    )


def _how(found: StoredProfile) -> str:
    """Return how it was made: where no profiler of events could be had, one asked for was sampled closely."""
    row = found.row
    if row.exact and not row.period_us:
        return "asked for: looked at as it calls and returns, up to every 0.2 ms"
    text = f"{row.samples:,} samples, every {row.period_us / 1000:g} ms"
    return f"asked for: {text}" if row.exact else text


def _neighbours(view: View) -> list[Any]:
    """Return links to the profiles before and after, within a day."""
    at, endpoint_id = _ts(view), view.endpoint_id
    if endpoint_id is None:
        return []
    older = view.query(profiles, endpoint_id, (at - _DAY_US, at), limit=1)
    # The list is newest first; of the newer ones the last is the next.
    newer = view.query(profiles, endpoint_id, (at + 1, at + _DAY_US), limit=1000)
    links = []
    if older:
        links.append(html.A("Older", href=profile_href(view, older[0]), className="fmd-button"))
    if newer:
        links.append(html.A("Newer", href=profile_href(view, newer[-1]), className="fmd-button"))
    return links


def _list_href(view: View) -> str:
    return view.href(f"/endpoint/{view.endpoint_id}/profiler", **kept(view))


def exported(view: View) -> Exported | None:
    """Return the profile for a file."""
    found, endpoint = read(view), endpoint_of(view)
    if found is None or endpoint is None:
        return None
    return _selection(view, found, endpoint.name).arranged(view).exported()


PAGE = Page(
    path="/endpoint/<int:endpoint_id>/profiler/<key>",
    title="Profile",
    layout=layout,
    register=register,
    profile=exported,
)
