"""Local variables as short texts, without running any of the application's code.

An object's own ``__repr__`` may ask the database, wait, or raise: only values of Python's own types are
shown, of everything else its type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

MOST_VARIABLES = 20
MOST_CHARACTERS = 200
_MOST_ITEMS = 6
_MOST_DEPTH = 3
_MOST_BITS = 256


def shown_variables(frame: FrameType) -> dict[str, Any]:
    """Return a frame's local variables, to be scrubbed by their names before they become text."""
    found: dict[str, Any] = {}
    for name, value in frame.f_locals.items():
        if len(found) >= MOST_VARIABLES:
            break
        if type(name) is str and not name.startswith("__"):
            found[name] = plain(value)
    return found


def plain(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 # one line for each kind of value
    """Return a bounded copy made of dictionaries, lists, texts and numbers."""
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return value if value.bit_length() <= _MOST_BITS else "(a long number)"
    if kind is str:
        return _quoted(value)
    if kind is bytes:
        return repr(value[:MOST_CHARACTERS])
    if kind is dict:
        if depth >= _MOST_DEPTH:
            return "{…}"
        return {_name(name): plain(item, depth + 1) for name, item in _first(value.items())}
    if kind in (list, tuple, set, frozenset):
        if depth >= _MOST_DEPTH:
            return "[…]"
        return [plain(item, depth + 1) for item in _first(value)]
    return f"<{kind.__module__}.{kind.__qualname__}>"


def _first(items: Any) -> list[Any]:
    try:
        found = []
        for item in items:
            found.append(item)
            if len(found) >= _MOST_ITEMS:
                break
    except RuntimeError:  # another thread changes it meanwhile
        pass
    return found


def _name(name: Any) -> str:
    return name[:MOST_CHARACTERS] if type(name) is str else str(plain(name))


def _quoted(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}…"
