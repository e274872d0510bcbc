"""A bounded cache that costs one dictionary look-up."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class TwoGenerations(Generic[K, V]):
    """Keeps what was used lately, at most twice ``size`` entries.

    A new generation starts when the current one is full, and the one before the last is forgotten; what is used
    moves to the new one. That is nearly "least recently used" without touching a list on every hit.
    """

    def __init__(self, size: int) -> None:
        """Start empty."""
        self._size = size
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __len__(self) -> int:
        """Count the entries kept."""
        return len(self._new.keys() | self._old.keys())

    def get(self, key: K) -> V | None:
        """Return the entry, or ``None``."""
        value = self._new.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self[key] = value
        return value

    def __setitem__(self, key: K, value: V) -> None:
        """Keep an entry."""
        if len(self._new) >= self._size:
            self._old, self._new = self._new, {}
        self._new[key] = value

    def clear(self) -> None:
        """Forget everything."""
        self._new.clear()
        self._old.clear()
