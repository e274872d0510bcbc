"""PostgreSQL through psycopg 3: rows by binary COPY, sums by one upsert from arrays."""

from __future__ import annotations

import time
from contextlib import contextmanager
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool

from fmd_otel_exporter.dialects import postgresql_sizes
from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.postgresql_parts import Parts, Places
from fmd_otel_exporter.dialects.server import Server, missing_driver, require_driver, server_of
from fmd_otel_exporter.dialects.transactional import Transactional
from fmd_otel_exporter.statements import Compiled, update_one_by_one

try:
    import psycopg

    from fmd_otel_exporter.dialects.postgresql_connection import connect
    from fmd_otel_exporter.dialects.postgresql_errors import NOT_UTF8, trouble_of
except ImportError as exc:
    raise missing_driver("psycopg", "postgresql", exc) from exc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import URL, Connection, Engine, Insert, Table

    from fmd_otel_exporter.errors import StorageError
    from fmd_otel_exporter.sizes import Sizes

_ADVISORY_LOCK = 0x666D645F6F74656C
"""Which of a database's locks means our tables: "fmd_otel" as a number."""
_LOCK_POLL_S = 0.05
_COPY = "fmd_otel_copy"
"""Execution option of a COPY: the types of its columns."""


def create(url: str, parsed: URL) -> PostgresqlDialect:  # noqa: ARG001 # SQLite needs the text as it was written
    """Return the dialect of one PostgreSQL database."""
    require_driver(parsed, "psycopg")
    return PostgresqlDialect(parsed.set(drivername="postgresql+psycopg"))


class PostgresqlDialect(Parts, Transactional):
    """One database on a PostgreSQL server."""

    name = "postgresql"
    single_connection = False

    def __init__(self, url: URL) -> None:
        """Work out what the URL means; nothing is opened."""
        self._url = url
        self._server: Server = server_of(url, "PostgreSQL", 5432, sockets=("host",))

    # Engines

    def write_engine(self) -> Engine:
        """Return an engine whose statements each see all that was committed before them."""
        return self._engine(isolation_level="READ COMMITTED", **say.POOL_OPTIONS)

    def read_engine(self) -> Engine:
        """Return an engine whose transactions are read only and see one moment of the database.

        Its values are sent within the statement: apart from it, PostgreSQL takes ``GROUP BY ts / $1`` for
        another expression than the ``ts / $2`` that is selected.
        """
        return self._engine(
            {"cursor_factory": psycopg.ClientCursor},
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
            **say.POOL_OPTIONS,
        )

    def _engine(self, arguments: Mapping[str, Any] = MappingProxyType({}), **options: Any) -> Engine:
        engine = create_engine(
            self._url,
            connect_args={
                **arguments,
                "client_encoding": "utf8",
                "connect_timeout": say.CONNECT_TIMEOUT_S,
                "fallback_application_name": "fmd-otel",
            },
            # Parameters are what users of the monitored app typed: they stay out of messages.
            hide_parameters=True,
            paramstyle="format",
            use_native_hstore=False,
            **options,
        )
        event.listen(engine, "do_connect", connect)
        event.listen(engine, "do_execute", _copy)
        event.listen(engine, "do_executemany", _copy)
        return engine

    # Start

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold an advisory lock of the database; it goes with its transaction, however that ends.

        One of the session's would stay in it where a pooler gives that to somebody else.
        """
        engine = self._engine(isolation_level="READ COMMITTED", poolclass=NullPool)
        try:
            with engine.connect() as connection:
                deadline = time.monotonic() + say.MIGRATION_LOCK_S
                while not connection.scalar(select(func.pg_try_advisory_xact_lock(_ADVISORY_LOCK))):
                    connection.rollback()
                    if time.monotonic() > deadline:
                        raise say.MIGRATION_LOCKED.error(self._server, f"{say.MIGRATION_LOCK_S} s")
                    time.sleep(_LOCK_POLL_S)
                connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
                yield
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

    def identity(self) -> object:
        """Return what never changes: PostgreSQL drops no database that is in use."""
        return self.name

    def require_text(self, connection: Connection) -> None:
        """Refuse a database of another encoding than UTF8, which its owner cannot change later on.

        Raises:
            StorageError: It is of another.
        """
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
        if encoding != "UTF8":
            raise NOT_UTF8.error(self._server, encoding)

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
        """Return ``INSERT .. ON CONFLICT DO NOTHING``."""
        return insert(table).on_conflict_do_nothing()

    def row_inserter(self, connection: Connection, table: Table) -> CopyRows:
        """Return a binary ``COPY``."""
        return CopyRows(connection, table)

    def row_adder(
        self,
        connection: Connection,
        table: Table,
        *,
        add: Sequence[str],
        least: Sequence[str] = (),
        greatest: Sequence[str] = (),
    ) -> AddRows:
        """Return an upsert whose rows come as one array a column: one statement however many rows."""
        return AddRows(connection, table, add=add, least=least, greatest=greatest)

    def row_updater(
        self,
        connection: Connection,
        table: Table,
        *,
        least: Sequence[str],
        greatest: Sequence[str],
        add: Sequence[str],
    ) -> Compiled:
        """Return a plain update; psycopg sends many of them in one go."""
        return update_one_by_one(connection, table, least=least, greatest=greatest, add=add)

    def vacuum(self, prefix: str) -> str:
        """Do nothing: what gives space back to the disk locks whole tables while it lasts."""
        return (
            "The server fills the space of deleted rows again by itself (autovacuum). To give it back to the "
            "disk as well, run this there at a quiet hour, for it locks the tables: "
            f"VACUUM (FULL, ANALYZE) {prefix}_request, {prefix}_hits, {prefix}_lat_hist, {prefix}_profile, "
            f"{prefix}_profile_day, {prefix}_outlier;"
        )

    def version(self, connection: Connection) -> str:
        """Ask the database."""
        return f"PostgreSQL {connection.exec_driver_sql('SHOW server_version').scalar()}"

    def now_us(self, connection: Connection) -> int:
        """Return what the server's clock shows."""
        seconds = connection.scalar(select(func.extract("epoch", func.clock_timestamp())))
        return round(float(seconds or 0) * 1_000_000)

    def sizes(self, connection: Connection, prefix: str) -> Sizes:
        """Return what the catalogue says."""
        return postgresql_sizes.sizes(connection, prefix)

    def total_bytes(self, connection: Connection, prefix: str) -> int:
        """Return what the catalogue says."""
        return self.sizes(connection, prefix).total_bytes or 0

    def take_turn(self, connection: Connection, prefix: str) -> None:
        """Take an advisory lock, which ends with the transaction."""
        number = int.from_bytes(blake2b(prefix.encode(), digest_size=8).digest(), "big", signed=True)
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({number})")

    def begin_batch(
        self, connection: Connection, prefix: str, *, alone: bool = False
    ) -> None:  # keys are unique
        """Do nothing: the locks that inserts take on their tables say enough."""

    def hold_batches(self, connection: Connection, prefix: str) -> None:
        """Lock the sums against changes, not against readers; in the order in which batches change them."""
        quote = connection.dialect.identifier_preparer.quote
        tables = ", ".join(quote(f"{prefix}_{name}") for name in ("hits", "lat_hist"))
        connection.exec_driver_sql(f"LOCK TABLE {tables} IN SHARE MODE")


class CopyRows:
    """Inserts rows by ``COPY``."""

    def __init__(self, connection: Connection, table: Table) -> None:
        """Prepare for a table."""
        name, columns, types = _names(connection, table)
        self._sql = f"COPY {name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
        self._options = {_COPY: types}
        self._places = Places(connection, table)

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Send all rows, through SQLAlchemy, which knows what to do about errors, to the listener below."""
        self._places.prepare(connection, rows)
        connection.exec_driver_sql(self._sql, rows, execution_options=self._options)


class AddRows:
    """Inserts rows of numbers, or adds them to those that are there."""

    def __init__(
        self,
        connection: Connection,
        table: Table,
        *,
        add: Sequence[str],
        least: Sequence[str],
        greatest: Sequence[str],
    ) -> None:
        """Prepare for a table."""
        name, columns, types = _names(connection, table)
        key = ", ".join(column.name for column in table.primary_key)
        changes = [f"{each} = old.{each} + excluded.{each}" for each in add]
        changes += [f"{each} = LEAST(old.{each}, excluded.{each})" for each in least]
        changes += [f"{each} = GREATEST(old.{each}, excluded.{each})" for each in greatest]
        self._sql = (
            f"INSERT INTO {name} AS old ({', '.join(columns)}) "  # noqa: S608 # names are the schema's own
            f"SELECT * FROM unnest({', '.join(f'%s::{kind}[]' for kind in types)}) "
            f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(changes)}"
        )

    def run(self, connection: Connection, rows: list[tuple[Any, ...]]) -> None:
        """Send all rows; the server takes them in their order."""
        if rows:
            # As text, which is several times faster than psycopg's lists; "%d" takes nothing but numbers.
            arrays = ["{" + ",".join(map("%d".__mod__, column)) + "}" for column in zip(*rows, strict=True)]
            connection.exec_driver_sql(self._sql, tuple(arrays))


def _names(connection: Connection, table: Table) -> tuple[str, list[str], list[str]]:
    """Return the name of a table and of its columns, quoted where needed, and the names of their types."""
    dialect = connection.dialect
    quote = dialect.identifier_preparer
    types = [column.type.compile(dialect).partition("(")[0].lower() for column in table.columns]
    return quote.format_table(table), [quote.quote(column.name) for column in table.columns], types


def _copy(cursor: psycopg.Cursor[Any], statement: str, parameters: Any, context: Any) -> bool | None:
    types = context.execution_options.get(_COPY)
    if types is None:
        return None  # SQLAlchemy goes on as usual
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in [parameters] if isinstance(parameters, tuple) else parameters:
            copy.write_row(row)
    return True
