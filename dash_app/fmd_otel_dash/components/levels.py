"""The monitor level of one endpoint, as buttons for whoever may set it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components.attributes import attributes

if TYPE_CHECKING:
    from collections.abc import Mapping


def level_control(levels: Mapping[int, str], current: int, *, store: str, may_change: bool) -> Any:
    """Return the levels, the current one marked.

    Args:
        levels: what each does, to follow "it".
        current: the level that is set.
        store: id of the store that a button writes ``{"level": …}`` to.
        may_change: whether there are buttons; if not, the current level alone.
    """
    return html.Div(
        [
            html.Span("Monitor level", className="fmd-level-label"),
            html.Span(
                [_button(level, text, current, store) for level, text in levels.items()]
                if may_change
                else html.Span(current, className=f"fmd-level-fixed level-{current}"),
                className="fmd-levels",
                **attributes(role="group", aria_label="Monitor level"),
            ),
            html.Span(levels.get(current, ""), className="fmd-faint"),
        ],
        className="fmd-level-control",
    )


def _button(level: int, does: str, current: int, store: str) -> Any:
    here = level == current
    text = f"Level {level}: {does}"
    return html.Button(
        level,
        type="button",
        className="fmd-level" + (f" on level-{level}" if here else ""),
        title=text,
        **attributes(
            aria_label=text,
            aria_pressed="true" if here else "false",
            data_store=store,
            data_send=json.dumps({"level": level}),
        ),
    )
