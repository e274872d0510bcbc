"""Many rows in one statement of MariaDB or MySQL.

PyMySQL looks at each value's type anew, and sends updates one by one: three times the CPU, and a journey to
the server and back for each update. Here the type of a column decides how its values are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Float, LargeBinary, String
from sqlalchemy.types import Integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Column, Connection, Table

_BYTES_AN_UPDATE = 500
"""More than a row of an update takes, with its numbers in every change."""
_SENDER = "fmd_otel_sender"
"""Execution option: what writes the rows of this statement."""


class InsertRows:
    """Inserts rows, or does something else where the key exists."""

    def __init__(self, connection: Connection, table: Table, suffix: str = "") -> None:
        """Prepare for a table.

        Args:
            connection: Any connection to the server.
            table: Where to insert.
            suffix: What follows the rows, such as ``ON DUPLICATE KEY UPDATE ..``.
        """
        quote = connection.dialect.identifier_preparer
        columns = ", ".join(quote.quote(column.name) for column in table.columns)
        self._prefix = f"INSERT INTO {quote.format_table(table)} ({columns}) VALUES "  # noqa: S608 # names of the schema
        self._suffix = suffix
        self._columns = list(table.columns)

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Send all rows."""
        run_by(self, connection, f"{self._prefix}(..){self._suffix}", rows)

    def send(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        """Write and send them, in as few statements as the server takes."""
        driver = cursor.connection
        writers = [_writer(column, driver.escape) for column in self._columns]
        texts = [
            "(" + ",".join([write(value) for write, value in zip(writers, row, strict=True)]) + ")"
            for row in rows
        ]
        room = driver.most_bytes - len(self._prefix) - len(self._suffix)
        for chunk in chunks(texts, room):
            cursor.execute(f"{self._prefix}{','.join(chunk)}{self._suffix}")


class UpdateRows:
    """Updates rows of numbers by the key."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        *,
        least: Sequence[str],
        greatest: Sequence[str],
        add: Sequence[str],
    ) -> None:
        """Prepare for a table."""
        self._table = connection.dialect.identifier_preparer.format_table(table)
        self._key = next(iter(table.primary_key)).name
        self._changes = [
            *(f"{each} = LEAST(COALESCE({each}, {{new}}), {{new}})" for each in least),
            *(f"{each} = GREATEST(COALESCE({each}, {{new}}), {{new}})" for each in greatest),
            *(f"{each} = {each} + {{new}}" for each in add),
        ]

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Send all rows."""
        run_by(self, connection, f"UPDATE {self._table} SET {', '.join(self._changes)}", rows)  # noqa: S608 # names of the schema

    def send(self, cursor: Any, rows: list[tuple[Any, ...]]) -> None:
        """Write and send them; the server takes them in the order of the key."""
        step = max(cursor.connection.most_bytes // _BYTES_AN_UPDATE, 1)
        for start in range(0, len(rows), step):
            keys, *columns = zip(*rows[start : start + step], strict=True)
            changes = [
                change.format(new=self._by_key(keys, values))
                for change, values in zip(self._changes, columns, strict=True)
            ]
            cursor.execute(
                f"UPDATE {self._table} SET {', '.join(changes)} "  # noqa: S608 # numbers, and names of the schema
                f"WHERE {self._key} IN ({','.join(map(_number, keys))}) ORDER BY {self._key}"
            )

    def _by_key(self, keys: Iterable[Any], values: Iterable[Any]) -> str:
        cases = [
            f"WHEN {_number(key)} THEN {_number(value)}" for key, value in zip(keys, values, strict=True)
        ]
        return f"CASE {self._key} {' '.join(cases)} END"


def run_by(sender: InsertRows | UpdateRows, connection: Connection, shown: str, rows: list[Any]) -> None:
    """Run through SQLAlchemy, which knows what to do about errors; it sees no values, and so shows none."""
    if rows:
        connection.exec_driver_sql(shown, rows, execution_options={_SENDER: sender})


def send_rows(cursor: Any, statement: str, parameters: Any, context: Any) -> bool | None:  # noqa: ARG001 # SQLAlchemy's signature
    """Let the sender send, as a listener to SQLAlchemy's execution of statements."""
    sender = context.execution_options.get(_SENDER)
    if sender is None:
        return None  # SQLAlchemy goes on as usual
    sender.send(cursor, [parameters] if isinstance(parameters, tuple) else parameters)
    return True


def chunks(texts: Sequence[str], room: int) -> Iterator[Sequence[str]]:
    """Cut a sequence so that each part, joined by a character, has room; a text alone always has."""
    start = used = 0
    for index, text in enumerate(texts):
        needed = len(text.encode()) + 1 if not text.isascii() else len(text) + 1
        if used + needed > room and index > start:
            yield texts[start:index]
            start, used = index, 0
        used += needed
    if start < len(texts):
        yield texts[start:]


_number = "%d".__mod__
"""Write a number; takes nothing else, so nothing else can get into a statement."""


_decimal = "%.17g".__mod__
"""The same for what may have a fraction; all of its digits."""


def _writer(column: Column[Any], escape: Callable[[str], str]) -> Callable[[Any], str]:
    if isinstance(column.type, Integer):
        write: Callable[[Any], str] = _number
    elif isinstance(column.type, Float):
        write = _decimal
    elif isinstance(column.type, LargeBinary):
        write = _bytes
    elif isinstance(column.type, String):
        write = escape
    else:
        raise TypeError(f"no way to write {column.type!r}")
    return _nullable(write) if column.nullable else write


def _bytes(value: bytes) -> str:
    return f"x'{value.hex()}'"


def _nullable(write: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: "NULL" if value is None else write(value)
