"""A batch that counts once, in a database that has no transactions.

Every insert carries the batch's id as its token: sent again, it does nothing but add what is missing
(:mod:`.clickhouse_cut`). The row of the ledger is sent last, so a batch in the ledger is there as a whole.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from clickhouse_connect import dbapi

from fmd_otel_exporter.dialects import clickhouse_cut as cut
from fmd_otel_exporter.dialects import clickhouse_late as late
from fmd_otel_exporter.dialects.clickhouse_block import Block
from fmd_otel_exporter.dialects.clickhouse_guard import REFUSED, Obstacles
from fmd_otel_exporter.dialects.clickhouse_keys import (
    are_met,
    are_there,
    keys_of,
    nothing_of,
    queries_for,
    versions_of,
)
from fmd_otel_exporter.dialects.clickhouse_wire import literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Table

    from fmd_otel_exporter.dialects.clickhouse_wire import Wire

AS_NATIVE = b"FORMAT Native\n"


class BatchOfTransaction:
    """The batch that a transaction writes, if it writes one."""

    def __init__(self, client: Any, wire: Wire) -> None:
        """There is none yet."""
        self._client = client
        self._wire = wire
        self.id: str | None = None
        """Makes tokens."""
        self.obstacles: Obstacles | None = None
        """What lets it be refused, see :mod:`.clickhouse_guard`."""
        self.begun: str | None = None
        """By which name its days may have been noted, see :mod:`.clickhouse_late`."""
        self._ledger: tuple[Table, dict[str, Any]] | None = None
        self._unproved = False
        self._numbers: dict[str, int] = {}

    def begin(self, table: Table, row: dict[str, Any]) -> None:
        """Let a batch's id make the tokens, and have it sent with the commit; it is looked for later."""
        self.prove()
        self.id, self._ledger, self._unproved = row["id"].hex(), (table, row), True

    def forget(self) -> None:
        """End it, however it went."""
        self.id = self.obstacles = self.begun = self._ledger = None
        self._unproved = False
        self._numbers.clear()

    def prove(self) -> None:
        """Make sure that the batch is new, before anything of it is written.

        Raises:
            IntegrityError: It is in the ledger.
        """
        if self._ledger is not None and self._unproved:
            self._unproved = False
            table, row = self._ledger
            if versions_of(self._client, table, ["id"], [(row["id"],)]):
                raise dbapi.IntegrityError("the batch is in the ledger")

    def token_settings(self, table: str, of: str = "") -> dict[str, Any]:
        """Return the settings of the next insert into a table; ``of`` tells what the batch is sent for."""
        if self.id is None:
            return {"insert_deduplicate": 0}
        number = self._numbers[table] = self._numbers.get(table, 0) + 1
        return {"insert_deduplicate": 1, "insert_deduplication_token": f"{self.id}:{table}:{number}{of}"}

    def send_raw(
        self,
        table: Table,
        block: Block,
        rows: Sequence[tuple[Any, ...]],
        send: Callable[..., None],
        late_days: Sequence[int] = (),
    ) -> None:
        """Insert rows of a ``raw`` table, none of which is there yet, or all by this insert cut short.

        Args:
            table: Where.
            block: Writes them.
            rows: The rows.
            send: Sends them.
            late_days: The days they are of, if any is not today.

        Raises:
            IntegrityError: One is, its batch is in the ledger, or something else is in its way.
        """
        keys = keys_of(table, rows)
        if len(keys) < len(rows):
            raise dbapi.IntegrityError("two rows have the same key")
        name = f"{table.name} {self.id}"
        for query in self._looks(table, rows):
            if self._wire.finds(query) and are_met(self._client, table, query, keys):
                self.prove()
                if self.id is None or not (
                    cut.is_noted(self._client, name) and are_there(self._client, table, rows)
                ):
                    raise dbapi.IntegrityError("a row of that key is there already, or its day is closed")
                break
        self._unproved = False
        if late_days and self.id is not None:
            late.begin(self._client, name, late_days)
            self.begun = name
        # An endpoint that was deleted meanwhile may have got another number.
        of = f":{zlib.crc32(repr(sorted({row[0] for row in rows})).encode())}"
        try:
            send(table, block.write(rows), block.names, of=of)
        except dbapi.Error:
            if self.id is not None:
                self._note_what_is_there(table, rows, name)
            raise
        cut.forget(self._client, name)

    def _looks(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> list[str]:
        """Return what finds whatever is in the way of these rows; the first is all, mostly."""
        first, *others = queries_for(table, rows)
        selected = nothing_of(table)
        parts = [first]
        if self._ledger is not None and self._unproved:
            ledger, row = self._ledger
            parts.append(f"SELECT {selected} FROM `{ledger.name}` WHERE id = {literal(row['id'])}")  # noqa: S608 # names of the schema
        if self.obstacles is not None:
            parts += self.obstacles.before_rows(selected)
        return [" UNION ALL ".join(parts), *others]

    def _note_what_is_there(self, table: Table, rows: Sequence[tuple[Any, ...]], name: str) -> None:
        try:
            if are_there(self._client, table, rows):
                cut.note(self._client, name)
        except dbapi.Error:
            cut.remember(self._client, name)

    def complete(self, send: Callable[..., None]) -> None:
        """Send the row of the ledger.

        Raises:
            IntegrityError: A day of the batch has been summed up while it was written.
        """
        self.prove()
        if self._ledger is None:
            return
        self._send_ledger(send, *self._ledger)

    def _send_ledger(self, send: Callable[..., None], table: Table, row: dict[str, Any]) -> None:
        names = table.columns.keys()
        if self.obstacles is None:
            send(table, Block(list(table.columns)).write([[row[name] for name in names]]), names)
            return
        values = ", ".join([literal(row[name]) for name in names])
        query = f"SELECT {values} WHERE {self.obstacles.refusal()}"
        try:
            send(table, query.encode(), names, source=b"")
        except dbapi.DatabaseError as exc:
            if getattr(exc, "code", None) == REFUSED:
                raise dbapi.IntegrityError("a day of the batch is closed") from exc
            raise
