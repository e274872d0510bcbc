"""The link to what is shown: moving along with the clock, or frozen at the moments on the screen."""

from __future__ import annotations

from typing import Any

from dash import html

from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.icons import icon

_WAYS = (
    ("relative", "Link that moves along", "“Last 24 hours” stays the last 24 hours", "."),
    ("frozen", "Link to these moments", "Others see the range that you see now, in its time zone", ">"),
)


def share() -> Any:
    """Return what stands in the header of a wide window."""
    return html.Details(
        [
            html.Summary(
                icon("link", size=16),
                className="fmd-icon-button",
                title="Copy the link",
                **attributes(aria_label="Copy the link"),
            ),
            html.Div(
                [html.Div("Copy", className="fmd-picker-title"), *_buttons()],
                className="fmd-drop fmd-share-menu",
            ),
        ],
        className="fmd-menu fmd-wide",
    )


def share_narrow() -> Any:
    """Return the same for the range picker, where there is no room in the header."""
    return html.Div([html.Div("Copy", className="fmd-picker-title"), *_buttons()], className="fmd-narrow")


def _buttons() -> list[Any]:
    return [
        html.Button(
            [html.Span(text), html.Kbd(key)],
            type="button",
            className="fmd-quick fmd-share-way",
            title=hint,
            **attributes(data_share=way),
        )
        for way, text, hint, key in _WAYS
    ]
