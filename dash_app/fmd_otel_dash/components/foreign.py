"""Names and values that others have written, as a page may show them."""

from __future__ import annotations

from typing import Any

from dash import html

from fmd_otel_dash.formatting import visible


def foreign(text: str) -> Any:
    """Return text that turns nothing round: neither what stands beside it, nor itself."""
    return html.Bdi(visible(text))
