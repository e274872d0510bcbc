"""Many rows in one statement of MariaDB or MySQL.

PyMySQL looks at each value's type anew, and sends updates one by one: three times the CPU, and a journey to
the server and back for each update. Here the type of a column decides how its values are written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, String
from sqlalchemy.types import Integer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Column, Connection, Table


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
        """Send all rows, in as few statements as the server takes."""
        driver: Any = connection.connection.dbapi_connection
        writers = [_writer(column, driver.escape) for column in self._columns]
        texts = [
            "(" + ",".join([write(value) for write, value in zip(writers, row, strict=True)]) + ")"
            for row in rows
        ]
        room = driver.most_bytes - len(self._prefix) - len(self._suffix)
        for chunk in chunks(texts, room):
            execute(connection, f"{self._prefix}{','.join(chunk)}{self._suffix}")


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
        quote = connection.dialect.identifier_preparer
        self._table = quote.format_table(table)
        self._key = next(iter(table.primary_key)).name
        self._changes = [
            *(f"{each} = LEAST(COALESCE({each}, {{new}}), {{new}})" for each in least),
            *(f"{each} = GREATEST(COALESCE({each}, {{new}}), {{new}})" for each in greatest),
            *(f"{each} = {each} + {{new}}" for each in add),
        ]

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Send all rows; the server takes them in the order of the key."""
        most = connection.connection.dbapi_connection.most_bytes  # type: ignore[union-attr]  # ours has it
        step = max(most // 1000, 1)
        for start in range(0, len(rows), step):
            keys, *columns = zip(*rows[start : start + step], strict=True)
            changes = [
                change.format(new=self._by_key(keys, values))
                for change, values in zip(self._changes, columns, strict=True)
            ]
            execute(
                connection,
                f"UPDATE {self._table} SET {', '.join(changes)} "  # noqa: S608 # numbers and names of the schema
                f"WHERE {self._key} IN ({','.join(map(_number, keys))}) ORDER BY {self._key}",
            )

    def _by_key(self, keys: Iterable[Any], values: Iterable[Any]) -> str:
        cases = [
            f"WHEN {_number(key)} THEN {_number(value)}" for key, value in zip(keys, values, strict=True)
        ]
        return f"CASE {self._key} {' '.join(cases)} END"


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


def execute(connection: Connection, sql: str) -> None:
    """Run SQL that takes no parameters, whatever percent signs are in it."""
    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


_number = "%d".__mod__
"""Write a number; takes nothing else, so nothing else can get into a statement."""


def _writer(column: Column[Any], escape: Callable[[str], str]) -> Callable[[Any], str]:
    if isinstance(column.type, Integer):
        write: Callable[[Any], str] = _number
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
