"""What is known of lines of code and call paths, so that a profile met before costs only its times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select, update

from fmd_otel_exporter.detail_tables import PLACE_LENGTH
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.profile_data import LineIds, StackIds
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Table

    from fmd_otel_exporter.profile_data import Trie
    from fmd_otel_exporter.records import CodeLine
    from fmd_otel_exporter.store import Store

MOST_KNOWN = 20_000
"""Lines and stacks remembered; beyond it all are forgotten and looked up again."""
LONGEST_SOURCE = 500
_LARGEST_LINE = 2**31 - 1
_ATTEMPTS = 5
_CHUNK = 500


class CodeBook:
    """Gives lines and stacks their ids, and sees to it that the database has them.

    They are written in short transactions of their own, before the profile's: content-addressed, so that it
    does not matter who writes them, or whether a profile follows. Retention deletes what has not been noted
    for long: so what is remembered here is forgotten once a day, and noted again.
    """

    def __init__(self, store: Store) -> None:
        """Start with nothing remembered."""
        self._store = store
        self.lines = LineIds()
        self.stacks = StackIds()
        self._noted: dict[str, dict[int, int]] = {"code_line": {}, "stack": {}}
        """Ids that are in the database, and the latest day of whose sums they are noted to be part."""
        self._day = 0

    def begin(self) -> None:
        """Forget what has to be noted again, and what has become too much."""
        today = int(time.time()) // DAY_S * DAY_S
        if today != self._day:
            self._day = today
            for noted in self._noted.values():
                noted.clear()
        everything: list[dict[Any, int]] = [self.lines, self.stacks, *self._noted.values()]
        for known in everything:
            if len(known) > MOST_KNOWN:
                known.clear()

    def note(self, lines: Mapping[int, CodeLine], tries: Sequence[tuple[Trie, int]]) -> None:
        """Let the database have all these lines and stacks.

        Args:
            lines: By id.
            tries: Call paths, each with the day (epoch seconds) of whose sums they are part; 0 if of none.

        Raises:
            StorageError: They could not be written.
        """
        noted_lines, noted_stacks = self._noted["code_line"], self._noted["stack"]
        new_lines: dict[int, int] = {}
        new_stacks: dict[int, int] = {}
        where: dict[int, tuple[int, int, int]] = {}
        for trie, day in tries:
            for own, node in trie.items():
                # A stack that is noted has been noted together with its line, for the same day.
                if noted_stacks.get(own, -1) < day:
                    new_stacks[own] = max(day, new_stacks.get(own, 0))
                    where[own] = node[:3]
                    if noted_lines.get(node.line_id, -1) < day:
                        new_lines[node.line_id] = max(day, new_lines.get(node.line_id, 0))
        tables = self._store.tables
        # Lines first: a stack whose line is missing could not be shown.
        self._keep(tables.code_line, new_lines, lambda own: _line_row(lines[own]))
        self._keep(
            tables.stack,
            new_stacks,
            lambda own: dict(zip(("parent_id", "line_id", "depth"), where[own], strict=True)),
        )
        noted_lines |= new_lines
        noted_stacks |= new_stacks

    def _keep(self, table: Table, wanted: Mapping[int, int], row_of: Callable[[int], dict[str, Any]]) -> None:
        for chunk in _chunks(sorted(wanted)):
            for _ in range(_ATTEMPTS):
                if self._is_kept(table, chunk, wanted, row_of):
                    break
            else:
                raise StorageError(f"{table.name} is cleared as fast as it is written", busy=True)

    def _is_kept(
        self,
        table: Table,
        ids: Sequence[int],
        wanted: Mapping[int, int],
        row_of: Callable[[int], dict[str, Any]],
    ) -> bool:
        """Write what is missing or noted for an older day; ``False`` if some of it has just been deleted."""
        columns = table.c
        query = select(columns.id, columns.seen_day, columns.summed_day).where(columns.id.in_(ids))
        with self._store.read() as connection:
            found = {row[0]: (row[1], row[2]) for row in connection.execute(query)}
        rows = [
            {"id": own, **row_of(own), "seen_day": self._day, "summed_day": wanted[own]}
            for own in ids
            if own not in found
        ]
        if rows:
            insert = self._store.dialect.insert_new(table)
            self._store.run(lambda connection: connection.execute(insert, rows))
            # Another process may have been quicker, and for an older day.
            return False
        stale: dict[int, list[int]] = {}
        for own, (seen, summed) in found.items():
            if seen < self._day or summed < wanted[own]:
                stale.setdefault(max(wanted[own], summed), []).append(own)
        return all(self._update(table, day, owns) == len(owns) for day, owns in sorted(stale.items()))

    def _update(self, table: Table, day: int, ids: Sequence[int]) -> int:
        columns = table.c
        change = (
            update(table)
            .where(columns.id.in_(ids), or_(columns.seen_day < self._day, columns.summed_day < day))
            .values(seen_day=self._day, summed_day=day)
        )
        return self._store.run(lambda connection: connection.execute(change).rowcount)


def _line_row(line: CodeLine) -> dict[str, Any]:
    return {
        "file": storable(line.file, PLACE_LENGTH),
        "function": storable(line.function, PLACE_LENGTH),
        "line": min(max(line.line, 0), _LARGEST_LINE),
        "source": None if line.source is None else storable(line.source, LONGEST_SOURCE),
        "in_app": int(line.in_app),
    }


def _chunks(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
