"""Calls that are known to wait: found once, believed from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

_MOST = 4096


class WaitingSites:
    """Instructions at which a thread was seen to wait when nobody could have interrupted it."""

    def __init__(self) -> None:
        """Know none."""
        # The code object is kept with its id, which must not go to another one.
        self._known: dict[tuple[int, int], CodeType] = {}

    def add(self, code: CodeType, position: int) -> None:
        """Remember one."""
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[id(code), position] = code

    def known(self, code: CodeType, position: int) -> bool:
        """Tell whether a thread has been seen waiting there."""
        return (id(code), position) in self._known
