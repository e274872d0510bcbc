"""A page to copy.

    layout(view)     what stands there before there is data: cards, each with its skeleton
    register(reg)    one callback a card, three to eight lines: query, figure, component
    PAGE             route, title and place in the menu; goes into the table of ``pages/__init__.py``

``view.scope`` is the range and the filters of the address, ``view.compare`` what to compare with, or None,
``view.endpoint_id`` the endpoint of an endpoint page, ``view.state.get("name")`` a parameter of the page's
own. ``view.query(ask, scope)`` calls ``ask(store, scope)`` once, however many cards want it. Errors need no
handling here: the registry turns them into a card that offers to try again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.components import card, empty, nothing_in_range, page
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

CARD = "template-example"


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page("Template", card(CARD, "An example", hint="How to read it", height=320))


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(CARD)
    def example(view: View) -> Any:
        if view.state.get("show") == "none":
            return nothing_in_range(view, last_us=None)
        return empty("Copy this page", f"{view.scope.length_us} microseconds, times in {view.scope.tz}")


PAGE = Page(path="/template", title="Template", layout=layout, register=register)
