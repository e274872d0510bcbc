"""ClickHouse through clickhouse-connect: raw rows in blocks of columns, sums made by the server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    and_,
    case,
    create_engine,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.dialects import registry
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.server import Server, missing_driver, server_of
from fmd_otel_exporter.errors import StorageError, safe_url

try:
    from fmd_otel_exporter.dialects import clickhouse_expiry, clickhouse_sizes
    from fmd_otel_exporter.dialects.clickhouse_errors import as_of_sqlalchemy, trouble_of
    from fmd_otel_exporter.dialects.clickhouse_guard import Guard
    from fmd_otel_exporter.dialects.clickhouse_mutex import Mutex
    from fmd_otel_exporter.dialects.clickhouse_rows import NewRows, NoRows, Rows
    from fmd_otel_exporter.dialects.clickhouse_sql import NEW_ONLY
    from fmd_otel_exporter.dialects.clickhouse_tables import (
        is_filled_by_database,
        is_laid_over,
        merge_of,
        tallies_of,
        views_of,
    )
    from fmd_otel_exporter.statements import update_one_by_one
except ImportError as exc:
    raise missing_driver("clickhouse-connect", "clickhouse", exc) from exc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import URL, Column, ColumnElement, Connection, Engine, Insert, Select, Table

    from fmd_otel_exporter.dialects.base import RowStatement
    from fmd_otel_exporter.dialects.clickhouse_transaction import Transaction
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.sizes import Sizes

_DRIVER = "fmdclickhouse"
registry.register(_DRIVER, "fmd_otel_exporter.dialects.clickhouse_sql", "FmdClickhouseDialect")
_MIGRATION_LASTS_S = 300
"""Longer than a migration takes, for so long nobody begins one where another was killed in the middle."""
_SETTINGS = {
    # Rows of one key are put together by whoever reads, however far merging in the background has got.
    "final": 1,
    "do_not_merge_across_partitions_select_final": 1,
    # As in every other database.
    "aggregate_functions_null_for_empty": 1,
    "cast_keep_nullable": 1,
    "join_use_nulls": 1,
    "prefer_column_name_to_alias": 1,
    "allow_experimental_correlated_subqueries": 1,
    # A statement is over when what it has done can be seen.
    "async_insert": 0,
    "mutations_sync": 1,
    "lightweight_deletes_sync": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    # Newer servers take a block for one sent again even where an insert says that it is none.
    "deduplicate_insert": "backward_compatible_choice",
    "max_partitions_per_insert_block": 0,
}

_ZERO_IF_EMPTY = "SETTINGS aggregate_functions_null_for_empty = 0"


def create(url: str, parsed: URL) -> ClickhouseDialect:
    """Return the dialect of one database on a ClickHouse server.

    Raises:
        StorageError: The URL names no database, or another driver.
    """
    backend, _, asked = parsed.drivername.partition("+")
    if asked not in ("", "connect"):
        raise StorageError(
            f"database {safe_url(url)!r}: fmd-otel uses the driver clickhouse-connect, not {asked}; write it "
            f"as {backend}://…"
        )
    if not parsed.database:
        raise StorageError(
            f"database {safe_url(url)!r} does not say which database of the server; write it like "
            "'clickhousedb://user:password@host:8123/name'"
        )
    return ClickhouseDialect(parsed)


class ClickhouseDialect:
    """One database on a ClickHouse server."""

    name = "clickhouse"
    single_connection = False
    undoes = False
    has_clock = True
    sums_itself = True
    in_one_go = True
    plans_long = True
    raw_by_day = False
    forgets_itself = True

    def __init__(self, url: URL) -> None:
        """Work out what the URL means; nothing is opened."""
        self._server: Server = server_of(url, "ClickHouse", 8123, sockets=())
        self._url = url.set(drivername=_DRIVER)

    # Engines

    def write_engine(self) -> Engine:
        """Return an engine whose statements each are kept at once, see :mod:`.clickhouse_transaction`."""
        return self._engine({})

    def read_engine(self) -> Engine:
        """Return an engine whose connections refuse to write."""
        return self._engine({"readonly": 2})

    def _engine(self, settings: dict[str, Any]) -> Engine:
        return create_engine(
            self._url,
            connect_args={
                "connect_timeout": say.CONNECT_TIMEOUT_S,
                "send_receive_timeout": say.ANSWER_TIMEOUT_S,
                "autogenerate_session_id": False,
                "client_name": "fmd-otel",
                "compress": False,
                "fmd_settings": {
                    **_SETTINGS,
                    "max_execution_time": say.STATEMENT_TIMEOUT_S,
                    **settings,
                },
            },
            # Parameters are what users of the monitored app typed: they stay out of messages.
            hide_parameters=True,
            # Each statement is a request of its own, which the driver repeats where a connection had ended.
            **{**say.POOL_OPTIONS, "pool_pre_ping": False},
        )

    # Start

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Take a turn that lasts as long as a migration may; a holder that is killed loses it by then."""
        from fmd_otel_exporter.dialects import clickhouse_alembic  # noqa: F401, PLC0415 # lets Alembic know the dialect

        engine = self._engine({})
        try:
            with engine.connect() as connection:
                mutex = Mutex(_transaction(connection).client, "migration")
                with as_of_sqlalchemy(connection, "mutex"):
                    if not mutex.acquire(say.MIGRATION_LOCK_S, lasts_s=_MIGRATION_LASTS_S):
                        raise say.MIGRATION_LOCKED.error(self._server, f"{say.MIGRATION_LOCK_S} s")
                try:
                    yield
                finally:
                    mutex.release()
        except SQLAlchemyError as exc:
            problem = self.problem(exc)
            if problem is None:
                raise
            raise problem from exc
        finally:
            engine.dispose()

    def prepare(self, *, create: bool) -> bool:  # noqa: ARG002 # a database is its owner's to create
        """Do nothing: the first statement tells what is amiss."""
        return True

    def make_parts(self, *_: Any, **__: Any) -> None:
        """Do nothing: the server makes them."""

    def expire(self, connection: Connection, kept_days: Mapping[Table, int]) -> None:
        """Give tables a TTL."""
        clickhouse_expiry.expire(connection, kept_days)

    def expiry_days(self, connection: Connection, table: Table) -> int | None:
        """Return what its TTL says, if it is ours."""
        return clickhouse_expiry.expiry_days(connection, table)

    def parts_within(self, *_: Any, **__: Any) -> Sequence[Any]:
        """Return none: rows go in one go, and their parts with them."""
        return ()

    def drop_part(self, *_: Any, **__: Any) -> int:
        """Be asked never."""
        raise NotImplementedError

    def require_text(self, connection: Connection) -> None:
        """Do nothing: text is bytes."""

    def complete(self, connection: Connection, tables: Tables) -> None:
        """Have sums made of raw rows, and fill columns that are newer than the rows."""
        for table in tables.metadata.sorted_tables:
            for view in views_of(table):
                connection.exec_driver_sql(view)
            if is_laid_over(table):
                for column in _with_default(table):
                    default: Any = column.server_default
                    change = update(table).where(column.is_(None)).values({column: default.arg})
                    connection.execute(change)

    def identity(self) -> object:
        """Return what never changes: a database that was dropped shows by its missing tables."""
        return self.name

    # Trouble

    def problem(self, exc: SQLAlchemyError) -> StorageError | None:
        """Tell trouble with the server from a fault in a statement or in its data."""
        if isinstance(exc, PoolTimeoutError):
            return say.POOL_EMPTY.error(self._server, exc)
        if not isinstance(exc, DBAPIError) or exc.orig is None:
            return None
        trouble = trouble_of(exc, exc.orig)
        return None if trouble is None else trouble.error(self._server, exc.orig)

    # Statements

    def insert_new(self, table: Table) -> Insert:
        """Return an insert that looks for the keys first."""
        return insert(table).execution_options(**{NEW_ONLY: True})

    def row_inserter(self, connection: Connection, table: Table) -> NewRows:  # noqa: ARG002 # others ask for its types
        """Return an insert of one block, after a look for the keys."""
        return NewRows(table)

    def row_adder(
        self,
        connection: Connection,  # noqa: ARG002 # as above
        table: Table,
        *,
        add: Sequence[str],  # noqa: ARG002 # the columns' types say what becomes of them
        least: Sequence[str] = (),  # noqa: ARG002
        greatest: Sequence[str] = (),  # noqa: ARG002
    ) -> RowStatement:
        """Return an insert of one block, or of nothing where the rows come from raw ones."""
        return NoRows() if is_filled_by_database(table) else Rows(table)

    def row_updater(
        self,
        connection: Connection,
        table: Table,
        *,
        least: Sequence[str],
        greatest: Sequence[str],
        add: Sequence[str],
    ) -> RowStatement:
        """Return an insert of what is to be laid over rows that are there."""
        names = [*least, *greatest, *add]
        if is_laid_over(table) and tallies_of(table).keys() >= {*names}:
            return Rows(table, [*(column.name for column in table.primary_key), *names])
        return update_one_by_one(connection, table, least=least, greatest=greatest, add=add)

    def batch_guard(self, tables: Tables) -> Guard:
        """Return what finds it within the statements that there are anyway."""
        return Guard(tables)

    def ends_of_each(
        self, endpoint: Table, time: Column[Any], *, newest: bool, within: Sequence[ColumnElement[bool]] = ()
    ) -> Select[Any]:
        """Return a query that goes through the column once: it knows no look-up for each endpoint."""
        of = next(iter(time.table.primary_key))
        found = (func.max if newest else func.min)(time)
        return select(of, found).where(of.in_(select(endpoint.c.id)), *within).group_by(of)

    def earliest(
        self,
        endpoint: Table,  # noqa: ARG002 # others go from one to the next
        time: Column[Any],
        within: Sequence[ColumnElement[bool]] = (),
    ) -> Select[Any]:
        """Ask for what the server knows of its parts, as long as it need not tell an empty table by it."""
        first = case((func.count() > 0, func.min(time)))
        query = select(literal_column("0"), first).select_from(time.table).where(*within)
        return query.suffix_with(literal_column(_ZERO_IF_EMPTY))

    def replace_sums(
        self, connection: Connection, table: Table, old: ColumnElement[bool], new: Select[Any]
    ) -> None:
        """Add the difference, in one statement: sums are all it takes, and nothing is ever half done."""
        found = new.subquery()
        before = [-column if merge_of(table, column) == "sum" else column for column in table.columns]
        both = union_all(select(*found.c), select(*before).where(old)).subquery()
        columns = dict(zip(table.columns.keys(), both.c, strict=True))
        merges = {column.name: merge_of(table, column) for column in table.columns}
        summed = [
            columns[name] if merge is None else getattr(func, merge)(columns[name])
            for name, merge in merges.items()
        ]
        keys = [columns[name] for name, merge in merges.items() if merge is None]
        changed = or_(*(func.sum(columns[name]) != 0 for name, merge in merges.items() if merge == "sum"))
        query = select(*summed).group_by(*keys).having(changed)
        connection.execute(insert(table).from_select(table.columns.keys(), query))
        # What has come to nothing by that was there, and is not any more.
        nothing = and_(old, *(table.c[name] == 0 for name, merge in merges.items() if merge == "sum"))
        gone = connection.execute(select(*table.primary_key).where(nothing)).all()
        if gone:
            connection.execute(
                delete(table).where(tuple_(*table.primary_key).in_([tuple(row) for row in gone]))
            )

    def delete_times(
        self, connection: Connection, table: Table, time: Column[Any], ranges: Sequence[tuple[int, int]]
    ) -> int:
        """Drop months that go as a whole, and delete what is left by one statement."""
        old = or_(*(and_(time >= start, time < end) for start, end in ranges))
        rows: int = connection.scalar(select(func.count()).select_from(table).where(old)) or 0
        if not rows:
            return 0
        partition: ColumnElement[str] = literal_column("_partition_id")
        parts = select(partition, func.min(time), func.max(time)).select_from(table).group_by(partition)
        for name, first, last in connection.execute(parts).all():
            if any(start <= first and last < end for start, end in ranges):
                connection.exec_driver_sql(f"ALTER TABLE `{table.name}` DROP PARTITION ID '{name}'")
        connection.execute(delete(table).where(old))
        return rows

    def vacuum(self, prefix: str) -> str:
        """Do nothing: merging is what the server does all day."""
        return (
            "The server gives the space of deleted rows back by itself when it merges. To have that done at "
            f"once, run this there at a quiet hour: OPTIMIZE TABLE {prefix}_request FINAL;"
        )

    def version(self, connection: Connection) -> str:
        """Ask the database."""
        return f"ClickHouse {connection.exec_driver_sql('SELECT version()').scalar()}"

    def now_us(self, connection: Connection) -> int:
        """Return what the server's clock shows."""
        return int(connection.exec_driver_sql("SELECT toUnixTimestamp64Micro(now64(6))").scalar() or 0)

    def sizes(self, connection: Connection, prefix: str) -> Sizes:
        """Return what the server says of its parts."""
        return clickhouse_sizes.sizes(connection, prefix)

    def total_bytes(self, connection: Connection, prefix: str) -> int:
        """Return the same."""
        return self.sizes(connection, prefix).total_bytes or 0

    def take_turn(self, connection: Connection, prefix: str) -> None:  # noqa: ARG002 # one for the database
        """Wait for the turn to change small tables."""
        _take_turn(connection)

    def begin_batch(self, connection: Connection, prefix: str, *, alone: bool = False) -> None:  # noqa: ARG002 # one for the database
        """Wait for the turn if others may send the same rows now: between a look for keys and the insert."""
        if alone:
            _take_turn(connection)

    def hold_batches(self, connection: Connection, prefix: str) -> None:  # noqa: ARG002 # as above
        """Wait for the turn; rows are seen as soon as they are sent, so none is on its way unseen."""
        _take_turn(connection)


def _transaction(connection: Connection) -> Transaction:
    driver: Any = connection.connection.dbapi_connection
    transaction: Transaction = driver.fmd_transaction
    return transaction


def _take_turn(connection: Connection) -> None:
    with as_of_sqlalchemy(connection, "mutex"):
        _transaction(connection).take_turn()


def _with_default(table: Table) -> list[Column[Any]]:
    return [
        column
        for column in table.columns
        if column.server_default is not None and column.name not in tallies_of(table)
    ]


__all__ = ["ClickhouseDialect", "create"]
