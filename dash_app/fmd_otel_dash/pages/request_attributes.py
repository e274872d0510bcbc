"""What a request's own span says of it, as a table with a copy of each value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import empty, icon, plain_table
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.copyable import copy_button
from fmd_otel_dash.roles import ADMIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_dash.view import View

KEPT_OF = (
    "Steps and attributes are kept of outliers, failures and profiled requests, and of a few others each "
    "hour, from monitor level 2 on."
)


def shown(view: View, trace: Mapping[str, Any] | None) -> Any:
    """Return the attributes, or why there are none; they may be personal, and are for admins."""
    if trace is None:
        return None  # as the steps say, which are kept together with them
    if not view.user.may(ADMIN):
        return empty("For admins only", "What a request carried may be personal.", symbol="key")
    found = trace.get("attributes")
    if not isinstance(found, dict) or not found:
        return empty("No attributes were kept", "Its span had none, or an earlier release kept its steps.")
    scrubbed = trace.get("scrubbed")
    hidden = set(scrubbed) if isinstance(scrubbed, list) else set()
    return [
        html.Div(
            html.Button(
                [icon("copy", size=14), "Copy all as JSON"],
                className="fmd-button fmd-copy",
                type="button",
                **attributes(data_copy=json.dumps(found, indent=2, ensure_ascii=False)),
            ),
            className="fmd-toolbar",
        ),
        html.Div(
            plain_table(
                ("Attribute", "Value"),
                [
                    _row(str(name), value, is_cut=f"attributes.{name}" in hidden)
                    for name, value in found.items()
                ],
            ),
            className="fmd-attributes",
        ),
        html.Div(_note(hidden), className="fmd-caption") if hidden else None,
    ]


def _row(name: str, value: Any, *, is_cut: bool) -> tuple[Any, Any]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    parts: list[Any] = [html.Code(text), copy_button(text, f"Copy {name}")]
    if is_cut:
        parts.append(html.Span("scrubbed", className="fmd-chip", title="Secrets were taken out"))
    return html.Code(name), html.Span(parts)


def _note(hidden: set[str]) -> str:
    n = len(hidden)
    return f"Of {n} {'value' if n == 1 else 'values'}, secrets were taken out before anything was stored"
