"""What databases with transactions, unique keys and indexes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select, Table

    from fmd_otel_exporter.schema import Tables


class Transactional:
    """The answers of such a database to what others have to do in their own way."""

    undoes = True
    has_clock = True
    sums_itself = False
    in_one_go = False
    plans_long = False
    raw_by_day = False
    forgets_itself = False

    def batch_guard(self, tables: Tables) -> None:
        """Return nothing: what goes wrong in a transaction has not been."""

    def require_text(self, connection: Connection) -> None:
        """Do nothing: tables hold any text."""

    def complete(self, connection: Connection, tables: Tables) -> None:
        """Do nothing: tables are all there is."""

    def make_parts(self, *_: Any, **__: Any) -> None:
        """Do nothing: tables are whole."""

    def expire(self, *_: Any, **__: Any) -> None:
        """Do nothing: these databases delete what they are told to."""

    def expiry_days(self, *_: Any, **__: Any) -> None:
        """Return nothing, as above."""

    def parts_within(self, *_: Any, **__: Any) -> Sequence[Any]:
        """Return nothing: tables are whole."""
        return ()

    def drop_part(self, *_: Any, **__: Any) -> int:
        """Be asked never."""
        raise NotImplementedError

    def ends_of_each(
        self, endpoint: Table, time: Column[Any], *, newest: bool, within: Sequence[ColumnElement[bool]] = ()
    ) -> Select[Any]:
        """Return one look-up for each endpoint: the least of all times would take reading all rows."""
        end = (
            select(time)
            .where(next(iter(time.table.primary_key)) == endpoint.c.id, *within)
            .order_by(time.desc() if newest else time)
            .limit(1)
            .scalar_subquery()
        )
        return select(endpoint.c.id, end.label("at"))

    def earliest(
        self, endpoint: Table, time: Column[Any], within: Sequence[ColumnElement[bool]] = ()
    ) -> Select[Any]:
        """Look up the first of each endpoint."""
        return self.ends_of_each(endpoint, time, newest=False, within=within)

    def replace_sums(
        self, connection: Connection, table: Table, old: ColumnElement[bool], new: Select[Any]
    ) -> None:
        """Delete, and insert what was found."""
        connection.execute(delete(table).where(old))
        connection.execute(insert(table).from_select(table.columns.keys(), new))

    def delete_times(
        self, connection: Connection, table: Table, time: Column[Any], ranges: Sequence[tuple[int, int]]
    ) -> int:
        """Delete them, which holds up others for as long as it takes."""
        old = or_(*(and_(time >= start, time < end) for start, end in ranges))
        return connection.execute(delete(table).where(old)).rowcount
