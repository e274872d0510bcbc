"""One colour per endpoint: the one from the settings, or one that its name always gets."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Told apart on white and on dark grey alike, by people who see red and green as one colour too.
PALETTE = (
    "#4263eb", "#e8590c", "#0c8599", "#9c36b5", "#2f9e44", "#c2255c",
    "#1c7ed6", "#f08c00", "#099268", "#6741d9", "#e03131", "#66a80f",
)  # fmt: skip
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_RGB = re.compile(r"[\[(]\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*[\])]")
_FULL = 255


def endpoint_color(name: str, colors: Mapping[str, str]) -> str:
    """Return the colour of an endpoint as CSS; a setting that is no colour counts as none."""
    wanted = colors.get(name, "").strip()
    if _HEX.fullmatch(wanted):
        return wanted
    if match := _RGB.fullmatch(wanted):
        parts = [int(part) for part in match.groups()]
        if max(parts) <= _FULL:
            return "#{:02x}{:02x}{:02x}".format(*parts)
    return PALETTE[zlib.crc32(name.encode()) % len(PALETTE)]
