"""What parts of a plan came to when they were last read, with the number of requests for which that holds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T", bound=Mapping[int, Mapping[int, Any]])

MOST_REMEMBERED = 300_000
"""Values remembered of one database, if nothing else is said; an integer takes about 100 bytes."""


class Remembered(Generic[T]):
    """What parts of a plan come to, those asked for last; safe to share between threads."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        """Remember up to so many values in all."""
        self._most = most
        self._size = 0
        self._lock = Lock()
        self._known: OrderedDict[Hashable, tuple[int, int, T]] = OrderedDict()

    def get(self, key: Hashable, n: int) -> T | None:
        """Return what is remembered under a key, if it was of as many requests; nobody may change it."""
        with self._lock:
            found = self._known.get(key)
            if found is None or found[0] != n:
                return None
            self._known.move_to_end(key)
            return found[2]

    def put(self, key: Hashable, n: int, sample: T) -> None:
        """Remember what ``n`` requests come to."""
        size = sum(map(len, sample.values()))
        with self._lock:
            self._size += size - self._known.pop(key, (0, 0, {}))[1]
            self._known[key] = n, size, sample
            while self._size > self._most:
                self._size -= self._known.popitem(last=False)[1][1]
