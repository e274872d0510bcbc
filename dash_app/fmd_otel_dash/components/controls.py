"""Controls whose value is a parameter of the address: choosing changes the link, and the link the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc

from fmd_otel_dash import ids
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.formatting import visible

if TYPE_CHECKING:
    from collections.abc import Sequence


def url_select(
    param: str, label: str, options: Sequence[tuple[str, str]], selected: str, **kwargs: Any
) -> Any:
    """Return a choice of one; ``options`` are pairs of value and text."""
    return dmc.Select(
        id=ids.url_filter(param),
        data=_data(options),
        value=selected,
        allowDeselect=False,
        size="xs",
        comboboxProps={"shadow": "md"},
        **(attributes(aria_label=label) | kwargs),
    )


def url_multiselect(
    param: str, label: str, options: Sequence[tuple[str, str]], selected: Sequence[str], **kwargs: Any
) -> Any:
    """Return a choice of several; nothing chosen means all."""
    return dmc.MultiSelect(
        id=ids.url_filter(param),
        data=_data(options),
        value=list(selected),
        placeholder=label if not selected else "",
        clearable=True,
        searchable=True,
        hidePickedOptions=True,
        maxDropdownHeight=280,
        size="xs",
        className="fmd-multiselect",
        comboboxProps={"shadow": "md"},
        **(attributes(aria_label=label) | kwargs),
    )


def url_segments(
    param: str, label: str, options: Sequence[tuple[str, str]], selected: str, **kwargs: Any
) -> Any:
    """Return a choice of one out of very few, all in sight."""
    return dmc.SegmentedControl(
        id=ids.url_filter(param),
        data=_data(options),
        value=selected,
        size="xs",
        **(attributes(aria_label=label) | kwargs),
    )


def url_text(param: str, label: str, value: str, **kwargs: Any) -> Any:
    """Return a text that is looked for when typing pauses."""
    return dmc.TextInput(
        id=ids.url_filter(param),
        value=value,
        placeholder=label,
        debounce=600,
        size="xs",
        **(attributes(aria_label=label) | kwargs),
    )


def _data(options: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"value": value, "label": visible(text)} for value, text in options]
