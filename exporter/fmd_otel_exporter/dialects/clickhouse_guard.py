"""What keeps a batch from being written without further ado, found by the statements that write it.

A batch is written in three requests: one that looks for whatever is in its way, its rows, and the ledger's
row, which is refused if one of its days has been summed up meanwhile. Each of them would otherwise take one
of its own.

Endpoints need no second look: requests that are on their way by then were answered before the endpoint was
deleted, and go with it as if they had been written a moment earlier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fmd_otel_exporter.dialects import clickhouse_late as late
from fmd_otel_exporter.dialects.clickhouse_errors import as_of_sqlalchemy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from fmd_otel_exporter.schema import Tables

REFUSED = 395
"""The server's number of an error that a statement asks for."""


class Obstacles(NamedTuple):
    """Queries without what they select; each finds something if a batch has to be looked at closely."""

    deleted: str
    closed: tuple[str, str]

    def before_rows(self, selected: str) -> list[str]:
        """Return the queries to ask before anything is written."""
        return [f"SELECT {selected} FROM {each}" for each in (self.deleted, *self.closed)]  # noqa: S608 # names of the schema, and numbers

    def refusal(self) -> str:
        """Return a condition that lets a statement fail if a day is closed by now."""
        counts = " + ".join(f"(SELECT count() FROM {each})" for each in self.closed)  # noqa: S608 # as above
        return f"throwIf({counts} > 0, 'a day of the batch has been summed up') = 0"


class Guard:
    """Tells the transaction that writes a batch what to look for, and what is owed for its rows."""

    def __init__(self, tables: Tables) -> None:
        """Look in these tables."""
        self._tables = tables

    def watch(self, connection: Connection, endpoints: Collection[int], days: Collection[int]) -> None:
        """Have the batch refused if one of these endpoints is deleted, or one of these days summed up."""
        tables = self._tables
        among = f"IN ({', '.join(map(str, sorted(days)))})"
        _transaction(connection).batch.obstacles = Obstacles(
            f"`{tables.removed_endpoint.name}` FINAL WHERE id IN ({', '.join(map(str, sorted(endpoints)))})",
            (
                f"`{tables.rollup_day.name}` FINAL WHERE day {among}",
                f"`{tables.subject_rollup.name}` FINAL WHERE day {among}",
            ),
        )

    def owe(self, connection: Connection, batch: bytes, rows: Iterable[late.Key]) -> None:
        """Note for which rows something is owed, before they are written."""
        with as_of_sqlalchemy(connection, "late"):
            late.note(_transaction(connection).client, self._name(batch), rows)

    def owed(self, connection: Connection, batch: bytes) -> set[late.Key]:
        """Return the rows for which something is owed."""
        transaction = _transaction(connection)
        transaction.batch.begun = self._name(batch)
        with as_of_sqlalchemy(connection, "late"):
            return late.noted(transaction.client, self._name(batch))

    def unfinished(self, connection: Connection) -> Collection[int]:
        """Return the days that somebody may be in the middle of, or was."""
        with as_of_sqlalchemy(connection, "late"):
            return late.unfinished(_transaction(connection).client, f"{self._tables.request.name} ")

    def _name(self, batch: bytes) -> str:
        return f"{self._tables.request.name} {batch.hex()}"


def _transaction(connection: Connection) -> Any:
    driver: Any = connection.connection.dbapi_connection
    return driver.fmd_transaction
