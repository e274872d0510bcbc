"""What ``group_by`` may be, and the text it becomes."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

from werkzeug.local import LocalProxy

MAX_LENGTH = 512
"""Longest text kept, as long as the column it goes to."""
_DIGEST_LENGTH = 16
_MAX_DEPTH = 16
"""Deeper than any meaningful grouping; a function that returns itself, or a list that holds itself, ends
here."""


def group_text(value: Any) -> str | None:
    """Turn what ``group_by`` is set to into text.

    Args:
        value: A primitive, or a function to be called (again, if it returns another), or a tuple or list of
            such.

    Returns:
        The text, or None where there is nothing to group by. It raises whatever the user's function raises:
        the caller counts that.
    """
    resolved = _resolve(value, 0)
    return None if resolved is None else plain_text(resolved)


def plain_text(text: str) -> str:
    """Return an ordinary string that every database accepts and that has a bounded length.

    Two values that differ only far behind stay two: what is cut off goes into a digest.
    """
    # A subclass of str may do anything in its methods; the base class's own slicing gives a true str.
    text = str.__getitem__(text, slice(None))
    if not text.isascii():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    if "\0" in text:
        text = text.replace("\0", "\\x00")
    if len(text) > MAX_LENGTH:
        digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
        text = f"{text[: MAX_LENGTH - _DIGEST_LENGTH - 1]}~{digest}"
    return text


def _resolve(value: Any, depth: int) -> str | None:  # noqa: PLR0911 # one line for each kind of value
    if depth > _MAX_DEPTH:
        raise RecursionError(f"group_by is nested more than {_MAX_DEPTH} deep")
    kind = type(value)
    if kind is str or value is None:
        return value  # type: ignore[no-any-return]  # just told apart
    if kind is LocalProxy:
        # Every proxy looks callable, whatever stands behind it.
        return _resolve(value._get_current_object(), depth + 1)  # noqa: SLF001 # documented by Werkzeug  # documented by Werkzeug
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return str.__getitem__(value, slice(None))
    if isinstance(value, (tuple, list)):
        return f"({','.join(str(_resolve(item, depth + 1)) for item in value)})"
    if callable(value):
        return _resolve(value(), depth + 1)
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("group_by is an async function; it has to be an ordinary one")
    return str(value)
