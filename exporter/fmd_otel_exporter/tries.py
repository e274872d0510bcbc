"""What this process has tried to write, for when the database's answer is lost on the way.

A connection may break between a commit and its answer. Sent again, the batch is found in the ledger, and
nothing there says who has brought it: without this it would count as one that somebody else has delivered.
The time that a try writes into the ledger is what it is known by.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_exporter.batch import Key
    from fmd_otel_exporter.writer import WriteResult

_MOST = 8
"""Tries of a batch to remember: of those before, each later one has shown that nothing came of them."""


class Tries:
    """Remembers tries for as long as their batches may come again; belongs to one thread."""

    def __init__(self) -> None:
        """Begin with none."""
        self._stamps: dict[bytes, int] = {}
        self._results: dict[bytes, deque[tuple[int, WriteResult]]] = {}
        self._rows: dict[bytes, set[Key]] = {}

    def stamp(self, batch: bytes) -> int:
        """Begin a try; return the time to write into the ledger."""
        now_us = self._stamps[batch] = time.time_ns() // 1000
        return now_us

    def expect(self, batch: bytes, result: WriteResult) -> None:
        """Note what will have become of the batch if the try that was begun last is committed."""
        self._results.setdefault(batch, deque(maxlen=_MOST)).append((self._stamps[batch], result))

    def outcome(self, batch: bytes, stamp: int) -> WriteResult | None:
        """Return what became of a batch that the ledger has, of that time; ``None`` if another brought it."""
        return next((result for ts, result in self._results.get(batch, ()) if ts == stamp), None)

    def bring(self, batch: bytes, rows: Iterable[Key]) -> None:
        """Note rows of a batch that stay even if the rest of it does not follow."""
        self._rows.setdefault(batch, set()).update(rows)

    def brought(self, batch: bytes) -> set[Key]:
        """Return the rows of a batch that were noted so."""
        return self._rows.get(batch, set())

    def forget(self) -> None:
        """Forget everything: what was tried is done with."""
        self._stamps.clear()
        self._results.clear()
        self._rows.clear()
