"""The page for addresses that lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import empty, page
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.view import View

TITLE = "Page not found"


def layout(view: View) -> Any:
    """Return the page."""
    back = html.A("Open the Overview", href=view.href("/overview"), className="fmd-button")
    return page(TITLE, html.Section(empty("Nothing is here", f"No page has the address {view.path}", back)))


PAGE = Page(path="/<path>", title=TITLE, layout=layout)
