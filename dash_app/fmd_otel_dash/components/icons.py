"""Icons: a class each, drawn in ``assets/icons.css`` as masks, so that they take the colour of their text."""

from __future__ import annotations

from typing import Any

from dash import html

from fmd_otel_dash.components.attributes import attributes


def icon(name: str, *, size: int = 18) -> Any:
    """Return an icon; decoration only, so screen readers skip it."""
    return html.Span(
        className=f"i i-{name}", style={"--i-size": f"{size}px"}, **attributes(aria_hidden="true")
    )
