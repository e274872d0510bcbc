"""Two of the deployed versions, chosen to be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import icon, url_select

if TYPE_CHECKING:
    from fmd_otel_dash.queries.versions import Deployments
    from fmd_otel_dash.view import View


def choice(view: View, found: Deployments) -> Any:
    """Return two selects and the way to the report; nothing where there is only one version."""
    names = list(dict.fromkeys(one.version.name for one in found.deployments))
    if len(names) < 2:  # noqa: PLR2004 - nothing to choose between
        return None
    old, new = chosen(view, found)
    options = [(name, name) for name in names]
    same = old == new
    return html.Div(
        [
            html.Span("Compare", className="fmd-faint"),
            url_select("new", "Version", options, new, searchable=True, w=150),
            html.Span("with", className="fmd-faint"),
            url_select("old", "Compared with version", options, old, searchable=True, w=150),
            html.Span("Choose two different versions.", className="fmd-faint")
            if same
            else html.A(
                [icon("report", size=14), "Compare"],
                href=view.href("/reporting", old=old, new=new, show="all"),
                className="fmd-button",
                title=f"What changed from {old} to {new}, endpoint by endpoint",
            ),
        ],
        className="fmd-toolbar fmd-spaced",
    )


def chosen(view: View, found: Deployments) -> tuple[str, str]:
    """Return the versions of the address, the older one first; by default the newest and the one before."""
    known = {one.version.name: one for one in reversed(found.deployments)}
    newest = found.deployments[0]
    new = view.state.get("new")
    if new not in known:
        new = newest.version.name
    old = view.state.get("old")
    if old not in known:
        old = known[new].predecessor or next((name for name in reversed(known) if name != new), new)
    return old, new
