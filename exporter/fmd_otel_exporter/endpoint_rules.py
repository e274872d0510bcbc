"""All rules of an endpoint with their methods, as one text: a line each, ``GET,POST /cart``.

A text and no table: nobody looks for an endpoint by its rules, and they change together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import SUBJECT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CHARACTERS = 8000
"""Of the text; rules beyond it are counted."""
_METHODS_LENGTH = 255
_MORE = "+"


class Rules(NamedTuple):
    """Rules, read back."""

    known: tuple[tuple[str, str], ...] = ()
    """Methods, comma separated, and the rule."""
    more: int = 0
    """How many did not fit."""


def written(rules: Iterable[tuple[str, str]]) -> str | None:
    """Return the text; None where there are no rules."""
    lines: list[str] = []
    size = more = 0
    for methods, rule in rules:
        line = f"{_plain(methods, _METHODS_LENGTH)} {_plain(rule, SUBJECT_LENGTH)}"
        size += len(line) + 1
        if size > MOST_CHARACTERS:
            more += 1
        else:
            lines.append(line)
    if more:
        lines.append(f"{_MORE}{more}")
    return "\n".join(lines) or None


def read(text: str | None) -> Rules:
    """Return what :func:`written` has written."""
    known: list[tuple[str, str]] = []
    more = 0
    for line in (text or "").split("\n"):
        methods, found, rule = line.partition(" ")
        if found:
            known.append((methods, rule))
        elif line.startswith(_MORE) and line[1:].isdecimal():
            more = int(line[1:])
    return Rules(tuple(known), more)


def _plain(text: str, length: int) -> str:
    return storable(text.replace("\n", " ").replace("\r", " "), length)
