"""Fields of forms, for what is sent by a button rather than kept in the address."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.formatting import visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def text_field(field_id: str, label: str, value: str = "") -> Any:
    """Return a field for a line of text."""
    return dmc.TextInput(id=field_id, label=label, size="sm", value=value)


def password_field(field_id: str, label: str, hint: str = "") -> Any:
    """Return a field whose text is hidden until its owner wants to see it."""
    return dmc.PasswordInput(id=field_id, label=label, description=hint, size="sm", value="")


def number_field(  # noqa: PLR0913 # each keyword answers a question of its own
    field_id: str, label: str, value: int, *, least: int, most: int, unit: str = ""
) -> Any:
    """Return a field for a whole number."""
    return dmc.NumberInput(
        id=field_id,
        label=label,
        value=value,
        min=least,
        max=most,
        allowDecimal=False,
        allowNegative=False,
        suffix=unit,
        size="sm",
    )


def segments(field_id: str, label: str, options: Sequence[tuple[str, str]], selected: str) -> Any:
    """Return a choice of one out of very few."""
    data = [{"value": value, "label": text} for value, text in options]
    control = dmc.SegmentedControl(id=field_id, data=data, value=selected, size="sm", fullWidth=True)
    return dmc.InputWrapper(control, label=label, size="sm")


def select_field(field_id: str, label: str, options: Sequence[tuple[str, str]], selected: str | None) -> Any:
    """Return a choice of one out of many, found by typing; ``options`` are pairs of value and text."""
    return dmc.Select(
        id=field_id,
        label=label,
        data=[{"value": value, "label": visible(text)} for value, text in options],
        value=selected,
        searchable=True,
        allowDeselect=False,
        size="sm",
        comboboxProps={"shadow": "md"},
    )


def send_button(  # noqa: PLR0913 # each keyword answers a question of its own
    face: Any,
    store: str,
    wanted: Mapping[str, Any],
    *,
    label: str = "",
    confirm: str = "",
    look: str = "fmd-button",
    off: bool = False,
) -> Any:
    """Return a button that writes what is wanted to a store, whose callback does it.

    Args:
        face: What stands on it.
        store: Id of the store.
        wanted: What is written there, with the moment of the click.
        label: What it does, in words, where its face does not say so.
        confirm: A question to be answered first.
        look: Its CSS class.
        off: Whether it does nothing now.
    """
    return html.Button(
        face,
        className=look,
        type="button",
        title=visible(label) or None,
        disabled=off,
        **attributes(
            aria_label=visible(label) or None,
            data_store=store,
            data_send=json.dumps(wanted),
            data_confirm=visible(confirm) or None,
        ),
    )
