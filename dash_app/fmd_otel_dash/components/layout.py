"""Page, grid and card: what every page is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from fmd_otel_dash import ids
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.state import Kind, skeleton

if TYPE_CHECKING:
    from collections.abc import Iterable


def page(title: str, *children: Any, subtitle: Any = "", actions: Any = ()) -> Any:
    """Return a page: its heading, what can be done with it, and its cards."""
    return html.Div(
        [
            html.Div(
                [
                    html.Div([html.H1(title), html.Div(subtitle, className="fmd-subtitle")]),
                    html.Div(list(actions), className="fmd-page-actions"),
                ],
                className="fmd-page-head",
            ),
            grid(*children),
        ],
        className="fmd-page",
    )


def grid(*children: Any) -> Any:
    """Return a grid of twelve columns; one on a telephone."""
    return html.Div(list(children), className="fmd-grid")


def card(  # noqa: PLR0913 - each keyword answers a question of its own
    card_id: str,
    title: str = "",
    *,
    subtitle: Any = "",
    actions: Any = (),
    span: int = 12,
    kind: Kind = "chart",
    height: int = 320,
    hint: str = "",
    plain: bool = False,
    stores: Iterable[str] = (),
) -> Any:
    """Return a card whose content the callback registered with ``registry.card(card_id)`` provides.

    Args:
        card_id: id; also the name of its callback's output.
        title: heading, if any.
        subtitle: one line below it.
        actions: controls at the right of the heading.
        span: columns of twelve.
        kind: what the skeleton looks like until the first data arrives.
        height: height to hold free meanwhile, in pixels, so that nothing jumps.
        hint: how to read the card, behind a mark beside its heading.
        plain: no frame, for rows of smaller cards.
        stores: ids of stores that its callbacks use.
    """
    heading = html.Div(
        [
            html.Div(
                [
                    html.Div([html.H2(title), _how(title, hint)], className="fmd-card-title")
                    if title
                    else None,
                    html.Div(subtitle, className="fmd-subtitle") if subtitle else None,
                ]
            ),
            html.Div(list(actions), className="fmd-card-actions"),
        ],
        className="fmd-card-head",
    )
    return html.Section(
        [
            heading if title or actions else None,
            html.Div(skeleton(kind, height), id=ids.body(card_id), className="fmd-card-body"),
            dcc.Store(id=ids.retry(card_id)),
            *(dcc.Store(id=store) for store in stores),
        ],
        id=card_id,
        className="fmd-card-plain" if plain else "fmd-card",
        style={"--span": span},
    )


def _how(title: str, hint: str) -> Any:
    """Return a mark that opens what there is to know: a tooltip alone nobody finds, and no telephone has."""
    if not hint:
        return None
    return html.Details(
        [
            html.Summary("?", title=hint, **attributes(aria_label=f"? How to read “{title}”")),
            html.Div(hint, className="fmd-drop fmd-how-text"),
        ],
        className="fmd-menu fmd-how",
    )
