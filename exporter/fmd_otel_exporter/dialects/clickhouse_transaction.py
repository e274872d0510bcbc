"""What our store takes for granted of a database, on one that has no transactions.

Each statement is kept as soon as it is run. What makes good for that:

* Changes of ``meta`` tables wait for their turn (:mod:`.clickhouse_mutex`) and hold it to the end, so what a
  transaction finds in them stays so, keys are unique, and ids are counted. If it fails, the rows that it
  changed get their old values back (:mod:`.clickhouse_undo`).
* In a transaction with a row of the ledger, see :mod:`.clickhouse_batch`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from clickhouse_connect import dbapi
from sqlalchemy import Column, String, Table

from fmd_otel_exporter.dialects import clickhouse_late as late
from fmd_otel_exporter.dialects.clickhouse_batch import AS_NATIVE, BatchOfTransaction
from fmd_otel_exporter.dialects.clickhouse_block import Block
from fmd_otel_exporter.dialects.clickhouse_cleaning import clean, is_cleaned
from fmd_otel_exporter.dialects.clickhouse_keys import AS_STORED, versions_of
from fmd_otel_exporter.dialects.clickhouse_mutex import Mutex
from fmd_otel_exporter.dialects.clickhouse_tables import VERSION, identity_of, is_laid_over, kind_of
from fmd_otel_exporter.dialects.clickhouse_undo import MOST, Undo, versions_block
from fmd_otel_exporter.dialects.clickhouse_wire import Wire, settings_clause
from fmd_otel_exporter.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE_S = 30
"""Longest wait for a turn."""
THEN = "\n-- then\n"
"""Between statements that stand for one."""
IF_NONE = "-- if none: "
"""Begins a statement that is needed only where a value, whose name follows, is None."""


class Transaction:
    """What one connection has done since its last commit or rollback."""

    def __init__(self, connection: Any) -> None:
        """Begin the first."""
        self.client = connection.client
        self.wire = Wire(self.client)
        self.batch = BatchOfTransaction(self.client, self.wire)
        self._mutex = Mutex(self.client, "meta")
        self._deleted_from: dict[str, Table] = {}
        self._undo = Undo()

    def commit(self) -> None:
        """Send what had to wait for the rest; let others have their turn."""
        self.batch.complete(self.send)
        begun = self.batch.begun
        for table in self._deleted_from.values():
            with contextlib.suppress(dbapi.Error):  # they are gone for whoever reads; next time, then
                clean(self.client, table)
        self._end(None if begun is None else late.name_of_days(begun))

    def rollback(self) -> None:
        """Undo changes of ``meta`` rows; let others have their turn."""
        self.batch.forget()
        with contextlib.suppress(
            dbapi.Error
        ):  # what cannot be reached has been told; the turn ends by itself
            if self._mutex.held:
                for table, block, names in self._undo.blocks():
                    self.send(table, block, names)
            self._end()
        self._forget()

    def _end(self, crossed_out: str | None = None) -> None:
        self._forget()
        self._mutex.release(crossed_out)

    def _forget(self) -> None:
        self.batch.forget()
        self._deleted_from.clear()
        self._undo.forget()

    # Turns

    def take_turn(self) -> None:
        """Wait until no other transaction changes ``meta`` tables, and let further ones wait.

        Raises:
            StorageError: Others did not let go in time.
        """
        if self._mutex.held:
            self._mutex.check()
        elif not self._mutex.acquire(PATIENCE_S):
            raise StorageError(
                f"other processes have been writing names and settings for {PATIENCE_S} s", busy=True
            )

    def keep_turn(self) -> None:
        """Say that the turn is still needed, where there is one."""
        if self._mutex.held:
            self._mutex.check()

    # Inserts

    def send_raw(
        self, table: Table, block: Block, rows: Sequence[tuple[Any, ...]], late_days: Sequence[int] = ()
    ) -> None:
        """Insert rows of a ``raw`` table, see :meth:`.BatchOfTransaction.send_raw`."""
        self.batch.send_raw(table, block, rows, self._send_in_turn, late_days)

    def _send_in_turn(self, *arguments: Any, **options: Any) -> None:
        self.keep_turn()
        self.send(*arguments, **options)

    def send(
        self, table: Table, data: bytes, names: Sequence[str], *, source: bytes = AS_NATIVE, of: str = ""
    ) -> None:
        """Insert a block of rows.

        Args:
            table: Where.
            data: The rows, or a query for them.
            names: Of their columns.
            source: What the data are.
            of: Goes into the token, where there is one.
        """
        self.batch.prove()
        settings = settings_clause(self.batch.token_settings(table.name, of))
        columns = ", ".join([f"`{name}`" for name in names])
        query = f"INSERT INTO `{table.name}` ({columns}) {settings} "  # names of the schema
        self.wire.post(query.encode() + source + data)

    def insert(self, table: Table, values: Sequence[dict[str, Any]], *, new_only: bool) -> int | None:
        """Insert rows; return the id of the last one where the database gives it.

        Args:
            table: Where.
            values: Of each row, by column; what is missing has a default.
            new_only: Leave rows alone whose key is there, instead of refusing them.

        Raises:
            IntegrityError: A key is there already.
        """
        if "ledger" in table.info and len(values) == 1:
            self.batch.begin(table, values[0])
            return None
        self.batch.prove()
        counted = table.autoincrement_column
        if counted is not None and counted.name in values[0]:
            counted = None
        if kind_of(table) == "meta" and (counted is not None or not new_only):
            self.take_turn()
        unique = self._unique_columns(table, counted)
        fresh, versions = self._fresh(table, unique, values, new_only=new_only)
        if not fresh:
            return None
        last = 0
        if counted is not None:
            query = f"SELECT max(`{counted.name}`) FROM `{table.name}`"  # noqa: S608 # names of the schema
            found = self.client.query(query, settings=AS_STORED)
            last = (found.result_rows[0][0] or 0) + len(fresh)
        rows = [
            [
                last - len(fresh) + 1 + index if column is counted else _value(column, row)
                for column in table.columns
            ]
            for index, row in enumerate(fresh)
        ]
        if kind_of(table) == "meta" and not is_laid_over(table):
            for row, version in zip(rows, versions, strict=True):
                self._undo.remember(table, row, version, gone=1)
            self.send(table, *versions_block(table, rows, versions, 0))
        else:
            self.send(table, Block(list(table.columns)).write(rows), table.columns.keys())
        return last or None

    def insert_from(self, table: Table, statement: str, parameters: Any) -> int:
        """Insert what a query finds; return how many rows that are, as far as the server says.

        Args:
            table: Where to.
            statement: An insert of what a query finds.
            parameters: Its values.
        """
        self.batch.prove()
        settings = self.batch.token_settings(table.name)
        done = self.client.command(statement, parameters or None, settings=settings)
        return int(getattr(done, "written_rows", 0))

    @staticmethod
    def _unique_columns(table: Table, counted: Column[Any] | None) -> list[Column[Any]]:
        if counted is not None or kind_of(table) != "meta":
            columns = identity_of(table)
            if is_laid_over(table):
                columns = next(
                    (
                        list(each.columns)
                        for each in table.constraints
                        if hasattr(each, "columns") and "name" in each.columns
                    ),
                    columns,
                )
            return columns
        # Also where the id is given: a row that is gone has left its version under the same identity.
        return identity_of(table) if not is_laid_over(table) else list(table.primary_key)

    def _fresh(
        self,
        table: Table,
        unique: Sequence[Column[Any]],
        values: Sequence[dict[str, Any]],
        *,
        new_only: bool,
    ) -> tuple[list[dict[str, Any]], list[int]]:
        """Return the rows that are not there yet, and the version that each begins with."""
        if kind_of(table) == "sum":
            return list(values), [1] * len(values)
        names = [column.name for column in unique]
        keys = [tuple(row[name] for name in names) for row in values]
        stored = versions_of(self.client, table, names, keys)
        fresh: dict[tuple[Any, ...], tuple[dict[str, Any], int]] = {}
        for key, row in zip(keys, values, strict=True):
            version, gone = stored.get(key, (0, 1))
            if key in fresh or not gone:
                if new_only:
                    continue
                raise dbapi.IntegrityError(f"the table {table.name} has a row of that key already")
            fresh[key] = row, version + 1
        return [row for row, _ in fresh.values()], [version for _, version in fresh.values()]

    # Changes

    def change(
        self, table: Table, statements: Sequence[str], parameters: Any, *, deletes: bool = False
    ) -> int:
        """Run what stands for an update or delete; return how many rows that was, counted first."""
        count, *changes = statements
        self.batch.prove()
        versioned = kind_of(table) == "meta" and not is_laid_over(table)
        if kind_of(table) == "meta":
            self.take_turn()
        changed = int(self.client.query(count, parameters).result_rows[0][0])
        if not changed:
            return 0
        if versioned and isinstance(table, Table) and changed <= MOST:
            names = [*table.columns.keys(), VERSION]
            columns = ", ".join(f"`{name}`" for name in names)
            old = self.client.query(count.replace("count()", columns, 1), parameters).result_rows
            for *row, version in old:
                self._undo.remember(table, row, version, gone=0)
        for statement in changes:
            if statement.startswith(IF_NONE):
                name = statement[len(IF_NONE) : statement.index("\n")]
                if parameters[name] is not None:
                    continue
            self.client.command(statement, parameters or None, settings={"insert_deduplicate": 0})
        if deletes and versioned and is_cleaned(table) and not changes[0].startswith("TRUNCATE"):
            self._deleted_from[table.name] = table
        return changed


def _value(column: Column[Any], row: dict[str, Any]) -> Any:
    if column.name in row:
        return row[column.name]
    default = getattr(column.server_default, "arg", None)
    if default is None:
        return None
    text = getattr(default, "text", default)
    return text if isinstance(column.type, String) else int(str(text).strip("'"))
