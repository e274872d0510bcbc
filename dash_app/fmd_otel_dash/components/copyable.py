"""A value with a button that copies it."""

from __future__ import annotations

from typing import Any

from dash import html

from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.icons import icon


def copyable(text: str) -> Any:
    """Return a value as code, and its button."""
    # One element, not a list: lists within lists of children are more than React takes.
    return html.Span([html.Code(text), copy_button(text)])


def copy_button(text: str, name: str = "Copy") -> Any:
    """Return a small button that copies a text."""
    return html.Button(
        icon("copy", size=14),
        className="fmd-link-button fmd-copy",
        type="button",
        title=name,
        **attributes(data_copy=text, aria_label=name),
    )
