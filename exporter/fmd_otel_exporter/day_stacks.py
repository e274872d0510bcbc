"""Bounds the sums of a day: how many call paths of an endpoint and version they tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_exporter.profile_data import TRUNCATED_LINE, fold

if TYPE_CHECKING:
    from fmd_otel_exporter.code_book import CodeBook
    from fmd_otel_exporter.profile_data import Trie
    from fmd_otel_exporter.store import Store

MOST_STACKS = 4000
"""Call paths of an endpoint, version and day; what lies beyond goes into ``[truncated]`` below its caller."""
_MOST_KNOWN = 100_000
"""Call paths remembered over all days; beyond it the days met first are forgotten, and looked up again."""

Day = tuple[int, int, int]
"""Endpoint, day, version."""


class DayStacks:
    """Knows which call paths are in the sums of days.

    What other processes add meanwhile is not noticed, so that all of them together may exceed the bound, and
    so may as many ``[truncated]`` as there are callers.
    """

    def __init__(self, store: Store, book: CodeBook, most: int = MOST_STACKS) -> None:
        """Begin with nothing known."""
        self._store = store
        self._book = book
        self._most = most
        self._known: dict[Day, set[int]] = {}

    def bounded(self, trie: Trie, day: Day) -> Trie:
        """Return the call paths of a request as they go into the sums of their day."""
        known = self._known.get(day)
        if known is None:
            known = self._load(day)
        if len(known) + len(trie) <= self._most or trie.keys() <= known:
            known.update(trie)
            return trie

        def keep(own: int) -> bool:
            if own in known:
                return True
            if len(known) >= self._most:
                return False
            known.add(own)
            return True

        return fold(trie, keep, self._book.stacks, self._book.lines[TRUNCATED_LINE])

    def _load(self, day: Day) -> set[int]:
        columns = self._store.tables.profile_day.c
        query = select(columns.stack_id).where(
            columns.endpoint_id == day[0], columns.day == day[1], columns.version_id == day[2]
        )
        with self._store.read() as connection:
            found = set(connection.scalars(query))
        self._known[day] = found
        while len(self._known) > 1 and sum(map(len, self._known.values())) > _MOST_KNOWN:
            self._known.pop(next(iter(self._known)))
        return found
