"""Many rows in one block."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fmd_otel_exporter.dialects.clickhouse_block import Block
from fmd_otel_exporter.dialects.clickhouse_sql import SENDER
from fmd_otel_exporter.dialects.clickhouse_tables import kind_of, views_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.dialects.clickhouse_transaction import Transaction

_DAY_S = 86_400
_DAY_US = _DAY_S * 1_000_000


class Rows:
    """Inserts rows; SQLAlchemy, which knows what to do about errors, sees a statement without values."""

    def __init__(self, table: Table, columns: Sequence[str] | None = None) -> None:
        """Prepare for some columns of a table, or for all."""
        names = list(columns or table.columns.keys())
        self._table = table
        self._block = Block([table.columns[name] for name in names])
        self._shown = f"INSERT INTO {table.name} ({', '.join(names)})"

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Send all rows."""
        if rows:
            connection.exec_driver_sql(self._shown, rows, execution_options={SENDER: self})

    def send(self, transaction: Transaction, rows: Sequence[tuple[Any, ...]]) -> None:
        """Send them, without looking what is there: they are added up, or laid over what is there."""
        transaction.send(self._table, self._block.write(rows), self._block.names)


class NewRows(Rows):
    """Inserts rows whose keys must not be there."""

    def send(self, transaction: Transaction, rows: Sequence[tuple[Any, ...]]) -> None:
        """Look for their keys, and send them."""
        if kind_of(self._table) == "raw":
            late_days = self._late_days(rows, int(time.time()) // _DAY_S) if views_of(self._table) else ()
            if late_days:
                # Sums of other days may be under way, and nobody could tell afterwards whether with these
                # rows or without them.
                transaction.take_turn()
            transaction.send_raw(self._table, self._block, rows, late_days)
        else:
            values = [dict(zip(self._block.names, row, strict=True)) for row in rows]
            transaction.insert(self._table, values, new_only=False)

    def _late_days(self, rows: Sequence[tuple[Any, ...]], today: int) -> Sequence[int]:
        """Return the starts of the days of these rows; none if all are of today."""
        ts = self._block.names.index("ts")
        times = [row[ts] for row in rows]
        if min(times) // _DAY_US == max(times) // _DAY_US == today:
            return ()
        return sorted({each // _DAY_US * _DAY_S for each in times})


class NoRows:
    """Sends nothing: the database makes these rows of others."""

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Do nothing."""
