"""What our store takes for granted of a database, on one that has no transactions.

Each statement is kept as soon as it is run. What makes good for that:

* Changes of ``meta`` tables wait for their turn (:mod:`.clickhouse_mutex`) and hold it to the end, so what a
  transaction finds in them stays so, keys are unique, and ids are counted. If it fails, the rows that it
  changed get their old values back.
* In a transaction with a row of the ledger, every insert carries the batch's id as its token: sent again, it
  does nothing but add what is missing (:mod:`.clickhouse_cut`). The row of the ledger itself is sent last, so
  a batch in the ledger is there as a whole.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from clickhouse_connect import dbapi
from clickhouse_connect.driver.binding import format_str
from sqlalchemy import BigInteger, Column, Integer, SmallInteger, String, Table
from urllib3.exceptions import HTTPError

from fmd_otel_exporter.dialects import clickhouse_cut as cut
from fmd_otel_exporter.dialects.clickhouse_block import Block
from fmd_otel_exporter.dialects.clickhouse_cleaning import clean, is_cleaned
from fmd_otel_exporter.dialects.clickhouse_mutex import Mutex
from fmd_otel_exporter.dialects.clickhouse_tables import GONE, VERSION, identity_of, is_laid_over, kind_of
from fmd_otel_exporter.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PATIENCE_S = 30
"""Longest wait for a turn."""
_CHUNK = 2000
_MOST_UNDONE = 1000
_UNDONE = 1_000_000
"""How much newer a row is that undoes a change: newer than any change of that transaction."""
_AS_STORED = {"final": 0}
_OF_READING = {
    "final",
    "do_not_merge_across_partitions_select_final",
    "aggregate_functions_null_for_empty",
    "cast_keep_nullable",
    "join_use_nulls",
    "allow_experimental_correlated_subqueries",
    "mutations_sync",
    "lightweight_deletes_sync",
}
"""Settings that neither an insert nor a look for keys as they are stored has any use for."""
THEN = "\n-- then\n"
"""Between statements that stand for one."""
IF_NONE = "-- if none: "
"""Begins a statement that is needed only where a value, whose name follows, is None."""
_OWN = (Column(VERSION, BigInteger, nullable=False), Column(GONE, SmallInteger, nullable=False))


class Transaction:
    """What one connection has done since its last commit or rollback."""

    def __init__(self, connection: Any) -> None:
        """Begin the first."""
        self.client = connection.client
        self.batch: str | None = None
        """The batch's id, which makes tokens."""
        self._unproved: tuple[Table, bytes] | None = None
        self._address: tuple[Any, str] | None = None
        self._mutex = Mutex(self.client, "meta")
        self._last: list[Callable[[], None]] = []
        self._deleted_from: dict[str, Table] = {}
        self._numbers: dict[str, int] = {}
        self._before: dict[tuple[str, tuple[Any, ...]], tuple[Table, list[Any], int, int]] = {}

    def commit(self) -> None:
        """Send what had to wait for the rest; let others have their turn."""
        self._prove()
        for send in self._last:
            send()
        for table in self._deleted_from.values():
            with contextlib.suppress(dbapi.Error):  # they are gone for whoever reads; next time, then
                clean(self.client, table)
        self._end()

    def rollback(self) -> None:
        """Undo changes of ``meta`` rows; let others have their turn."""
        before, self.batch, self._unproved = list(self._before.values()), None, None
        with contextlib.suppress(
            dbapi.Error
        ):  # what cannot be reached has been told; the turn ends by itself
            if self._mutex.held:
                for table, row, version, gone in before:
                    self._send_versions(table, [row], [version + _UNDONE], gone)
            self._end()
        self._forget()

    def _end(self) -> None:
        self._forget()
        self._mutex.release()

    def _forget(self) -> None:
        self.batch = self._unproved = None
        self._last.clear()
        self._deleted_from.clear()
        self._numbers.clear()
        self._before.clear()

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

    # The ledger

    def _begin_batch(self, table: Table, row: dict[str, Any]) -> None:
        """Let a batch's id make the tokens, and have it sent with the commit; it is looked for later."""
        self._prove()
        self.batch, self._unproved = row["id"].hex(), (table, row["id"])
        block = Block(list(table.columns)).write([[row[column.name] for column in table.columns]])
        self._last.append(lambda: self.send(table, block, table.columns.keys()))

    def _prove(self) -> None:
        """Make sure that the batch is new, before anything of it is written.

        Raises:
            IntegrityError: It is in the ledger.
        """
        if self._unproved is not None:
            (table, batch), self._unproved = self._unproved, None
            if self.stored(table, ["id"], [(batch,)]):
                raise dbapi.IntegrityError("the batch is in the ledger")

    def send_raw(self, table: Table, block: Block, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows of a ``raw`` table, none of which is there yet, or all by this insert cut short.

        Raises:
            IntegrityError: One is, or its batch is in the ledger.
        """
        width = len(table.primary_key)
        keys = {row[:width] for row in rows}
        if len(keys) < len(rows):
            raise dbapi.IntegrityError("two rows have the same key")
        name = f"{table.name} {self.batch}"
        ledger, self._unproved = self._unproved, None
        for number, query in enumerate(_queries_for(table, rows)):
            if ledger is not None and not number:
                empty = ", ".join("0" if isinstance(c.type, Integer) else "''" for c in table.primary_key)
                query += f" UNION ALL SELECT {empty} FROM `{ledger[0].name}` WHERE id = {literal(ledger[1])}"  # noqa: S608, PLW2901 # names of the schema
            if self._finds(query) and self._meet(query, keys, len(_numbers(table))):
                self._unproved = ledger
                self._prove()
                if self.batch is None or not (cut.is_noted(self.client, name) and self._has(table, rows)):
                    raise dbapi.IntegrityError("a row of that key is there already")
                break
        data = block.write(rows)
        self.keep_turn()
        try:
            self.send(table, data, block.names)
        except dbapi.Error:
            if self.batch is not None:
                self._note_what_is_there(table, rows, name)
            raise
        cut.forget(self.client, name)

    def _note_what_is_there(self, table: Table, rows: Sequence[tuple[Any, ...]], name: str) -> None:
        try:
            if self._has(table, rows):
                cut.note(self.client, name)
        except dbapi.Error:
            cut.remember(self.client, name)

    def _has(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> bool:
        """Tell whether all of these rows are there."""
        width = len(table.primary_key)
        keys = {row[:width] for row in rows}
        return keys <= {key for query in _queries_for(table, rows) for key in self._keys(query)}

    def _finds(self, query: str) -> bool:
        """Tell whether a query finds anything; the driver would first look at every character of it."""
        return bool(self._post({}, f"{query} FORMAT RowBinary".encode()))

    def _post(self, parameters: dict[str, Any], body: bytes) -> bytes:
        """Send a request over the driver's connections, and return the answer.

        What is asked goes into the body, and of the settings only those that matter to it into the address:
        urllib3 goes through an address letter by letter, several times.

        Raises:
            dbapi.Error: As the driver's own.
        """
        client = self.client
        if self._address is None:
            place = urlsplit(client.url)
            kept = {name: value for name, value in client.params.items() if name not in _OF_READING}
            query = urlencode({**kept, "database": client.database})
            self._address = client.http.connection_from_url(client.url), f"{place.path}/?{query}"
        pool, target = self._address
        try:
            answer = pool.urlopen(
                "POST",
                f"{target}&{urlencode(parameters)}" if parameters else target,
                body=body,
                headers=client.headers,
                timeout=client.timeout,
                retries=False,
            )
        except HTTPError as exc:
            raise dbapi.OperationalError(f"{type(exc).__name__}: {exc}") from exc
        if answer.status == HTTPStatus.OK:
            return bytes(answer.data)
        code = answer.headers.get("X-ClickHouse-Exception-Code", "")
        text = answer.data.decode(errors="replace")
        raise dbapi.DatabaseError(text, code=int(code) if code.isdigit() else None)

    def _meet(self, query: str, keys: set[tuple[Any, ...]], numbers: int) -> bool:
        """Tell whether any of these rows, or a ledger's, is among the keys."""
        return any(not any(key[:numbers]) or key in keys for key in self._keys(query))

    def _keys(self, query: str) -> list[tuple[Any, ...]]:
        found = self.client.query(query, settings=_AS_STORED, query_formats={"String": "bytes"}).result_rows
        return [tuple(row) for row in found]

    # Inserts

    def token_settings(self, table: str) -> dict[str, Any]:
        """Return the settings of the next insert into a table."""
        if self.batch is None:
            return {"insert_deduplicate": 0}
        number = self._numbers[table] = self._numbers.get(table, 0) + 1
        return {"insert_deduplicate": 1, "insert_deduplication_token": f"{self.batch}:{table}:{number}"}

    def send(self, table: Table, block: bytes, names: Sequence[str]) -> None:
        """Insert a block of rows."""
        self._prove()
        settings = self.token_settings(table.name)
        columns = ", ".join(f"`{name}`" for name in names)
        query = f"INSERT INTO `{table.name}` ({columns}) FORMAT Native\n"  # names of the schema
        self._post(settings, query.encode() + block)

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
            self._begin_batch(table, values[0])
            return None
        self._prove()
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
            found = self.client.query(query, settings=_AS_STORED)
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
                self._remember(table, row, version, gone=1)
            self._send_versions(table, rows, versions, 0)
        else:
            self.send(table, Block(list(table.columns)).write(rows), table.columns.keys())
        return last or None

    def insert_from(self, table: Table, statement: str, parameters: Any, once: str | None = None) -> int:
        """Insert what a query finds; return how many rows that are, as far as the server says.

        Args:
            table: Where to.
            statement: An insert of what a query finds.
            parameters: Its values.
            once: What makes the statement do nothing when it comes again, since nobody can tell whether a
                statement whose answer was lost has been run.
        """
        self._prove()
        settings = self.token_settings(table.name)
        if once is not None:
            # One thread, so that the same rows come in the same blocks.
            token = {"insert_deduplicate": 1, "insert_deduplication_token": f"{table.name}:{once}"}
            settings = {**token, "max_threads": 1}
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
        stored = self.stored(table, names, keys)
        fresh: dict[tuple[Any, ...], tuple[dict[str, Any], int]] = {}
        for key, row in zip(keys, values, strict=True):
            version, gone = stored.get(key, (0, 1))
            if key in fresh or not gone:
                if new_only:
                    continue
                raise dbapi.IntegrityError(f"the table {table.name} has a row of that key already")
            fresh[key] = row, version + 1
        return [row for row, _ in fresh.values()], [version for _, version in fresh.values()]

    def stored(
        self, table: Table, names: Sequence[str], keys: Iterable[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], tuple[int, int]]:
        """Return which of these keys are or were there: their newest version, and whether that is gone."""
        columns = ", ".join(f"`{name}`" for name in names)
        versions = "1, 0"
        # Where rows are laid over each other, a name that is no more stands below the one that is.
        settings = {} if is_laid_over(table) else _AS_STORED
        if kind_of(table) == "meta" and not is_laid_over(table):
            versions = f"max({VERSION}), argMax({GONE}, {VERSION})"
        found: dict[tuple[Any, ...], tuple[int, int]] = {}
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), _CHUNK):
            chosen = ", ".join(f"({', '.join(map(literal, key))})" for key in wanted[start : start + _CHUNK])
            query = (
                f"SELECT {columns}, {versions} FROM `{table.name}` "  # noqa: S608 # names of the schema, and literals
                f"WHERE ({columns}) IN ({chosen}) GROUP BY {columns}"
            )
            for row in self.client.query(query, settings=settings).result_rows:
                found[tuple(row[:-2])] = row[-2], row[-1]
        return found

    # Changes

    def change(
        self, table: Table, statements: Sequence[str], parameters: Any, *, deletes: bool = False
    ) -> int:
        """Run what stands for an update or delete; return how many rows that was, counted first."""
        count, *changes = statements
        self._prove()
        versioned = kind_of(table) == "meta" and not is_laid_over(table)
        if kind_of(table) == "meta":
            self.take_turn()
        changed = int(self.client.query(count, parameters).result_rows[0][0])
        if not changed:
            return 0
        if versioned and isinstance(table, Table) and changed <= _MOST_UNDONE:
            names = [*table.columns.keys(), VERSION]
            columns = ", ".join(f"`{name}`" for name in names)
            old = self.client.query(count.replace("count()", columns, 1), parameters).result_rows
            for *row, version in old:
                self._remember(table, row, version, gone=0)
        for statement in changes:
            if statement.startswith(IF_NONE):
                name = statement[len(IF_NONE) : statement.index("\n")]
                if parameters[name] is not None:
                    continue
            self.client.command(statement, parameters or None, settings={"insert_deduplicate": 0})
        if deletes and versioned and is_cleaned(table) and not changes[0].startswith("TRUNCATE"):
            self._deleted_from[table.name] = table
        return changed

    def _remember(self, table: Table, row: list[Any], version: int, *, gone: int) -> None:
        places = [list(table.columns).index(column) for column in identity_of(table)]
        self._before.setdefault(
            (table.name, tuple(row[place] for place in places)), (table, row, version, gone)
        )

    def _send_versions(self, table: Table, rows: list[list[Any]], versions: list[int], gone: int) -> None:
        columns = list(table.columns)
        block = Block([*columns, *_OWN]).write(
            [[*row, version, gone] for row, version in zip(rows, versions, strict=True)]
        )
        self.send(table, block, [*table.columns.keys(), VERSION, GONE])


def _queries_for(table: Table, rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    """Yield queries for the keys that are there, and for others that begin with the same numbers: few."""
    numbers = _numbers(table)
    columns = ", ".join(f"`{column.name}`" for column in table.primary_key)
    by = ", ".join(f"`{column.name}`" for column in numbers)
    pattern = f"({', '.join(['%d'] * len(numbers))})"
    width = len(numbers)
    wanted = sorted({row[:width] for row in rows})
    for start in range(0, len(wanted), _CHUNK):
        chosen = ", ".join([pattern % each for each in wanted[start : start + _CHUNK]])
        yield f"SELECT {columns} FROM `{table.name}` WHERE ({by}) IN ({chosen})"  # noqa: S608 # names of the schema, and numbers


def _numbers(table: Table) -> list[Column[Any]]:
    """Return the columns that a key begins with."""
    return [column for column in table.primary_key if isinstance(column.type, Integer)]


def literal(value: Any) -> str:
    """Return a value as SQL."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"unhex('{value.hex()}')"
    return str(format_str(value)) if isinstance(value, str) else f"{value:d}"


def _value(column: Column[Any], row: dict[str, Any]) -> Any:
    if column.name in row:
        return row[column.name]
    default = getattr(column.server_default, "arg", None)
    if default is None:
        return None
    text = getattr(default, "text", default)
    return text if isinstance(column.type, String) else int(str(text).strip("'"))
