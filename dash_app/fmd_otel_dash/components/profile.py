"""A profile as flame graph, sunburst and tables; ``assets/85-profile.js`` draws them from one store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from fmd_otel_dash import ids
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.icons import icon

if TYPE_CHECKING:
    from collections.abc import Iterable


def profile_graph(name: str, payload: dict[str, Any]) -> Any:
    """Return the element that the browser fills; ``payload`` is made by ``figures.profile``."""
    return html.Div(
        [
            html.Div(className="fmd-profile", **attributes(data_profile=name)),
            dcc.Store(id=ids.profile_data(name), data=payload),
            dcc.Store(id=ids.profile_drawn(name)),
        ]
    )


def downloads(links: Iterable[tuple[str, str, str, str]]) -> Any:
    """Return a menu of files; each is its name, its address, the query, and what opens it."""
    return html.Details(
        [
            html.Summary([icon("download", size=14), "Export"], className="fmd-button"),
            html.Div(
                [
                    html.A(
                        [html.Strong(text), html.Span(hint)],
                        href=href + search,
                        className="fmd-download",
                        **attributes(data_export=href),
                    )
                    for text, href, search, hint in links
                ],
                className="fmd-drop fmd-downloads",
            ),
        ],
        className="fmd-menu",
    )


def duration_bar(share: float, cpu_share: float) -> dict[str, float]:
    """Return what the grid's bar cell needs: how long against the longest, and how much of it on the CPU."""
    return {"share": round(share, 4), "cpu": round(cpu_share, 4)}
