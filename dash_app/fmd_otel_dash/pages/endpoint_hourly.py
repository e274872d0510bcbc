"""Hourly API Utilization of one endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.pages import hourly
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.view import View


def layout(view: View) -> Any:
    """Return the page without data; the cards are filled as those of all endpoints are."""
    return endpoint_page(*hourly.cards(view))


PAGE = Page(
    path="/endpoint/<int:endpoint_id>/hourly_load",
    title=hourly.TITLE,
    layout=layout,
    section="endpoint",
    key="h",
    icon="hourly",
    table=hourly.TABLE,
)
