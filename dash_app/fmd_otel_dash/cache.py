"""A few seconds of memory, so that the cards of one page ask each question once."""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

T = TypeVar("T")


class TtlCache:
    """Bounded, thread-safe, and single-flight: while one thread computes a value, the others wait for it.

    An error is handed to those who wait, and forgotten: the next one to ask tries again.
    """

    def __init__(
        self, ttl_s: float = 3.0, size: int = 256, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ttl_s = ttl_s
        self._size = size
        self._clock = clock
        self._lock = Lock()
        self._entries: OrderedDict[Hashable, tuple[float, Future[object]]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of a key, computed at most once per lifetime."""
        now = self._clock()
        with self._lock:
            entry = self._entries.get(key)
            mine = entry is None or (entry[1].done() and entry[0] <= now)
            if mine:
                entry = (now + self._ttl_s, Future())
                self._entries[key] = entry
                self._entries.move_to_end(key)
                while len(self._entries) > self._size:
                    self._entries.popitem(last=False)
        future = cast("tuple[float, Future[object]]", entry)[1]
        if mine:
            try:
                future.set_result(compute())
            except BaseException as error:  # noqa: BLE001 - handed on to whoever asked
                with self._lock:
                    if self._entries.get(key, (0, None))[1] is future:
                        del self._entries[key]
                future.set_exception(error)
        return cast("T", future.result())

    def clear(self) -> None:
        """Forget everything: after a change, the next answer is a fresh one."""
        with self._lock:
            self._entries.clear()
