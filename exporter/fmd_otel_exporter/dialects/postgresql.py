"""PostgreSQL through psycopg 3: rows by binary COPY, sums by one upsert from arrays."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import NullPool

from fmd_otel_exporter.dialects import server as say
from fmd_otel_exporter.dialects.server import MIGRATION_LOCK_S, Server, missing_driver, require_driver, server_of

try:
    import psycopg
    from psycopg.types.string import StrBinaryDumper, StrDumper
except ImportError as exc:
    raise missing_driver("psycopg", "postgresql") from exc

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from sqlalchemy import URL, Connection, Engine, Insert, Table

    from fmd_otel_exporter.errors import StorageError

_SESSION = {
    "statement_timeout": f"{say.STATEMENT_TIMEOUT_S}s",
    "lock_timeout": f"{say.LOCK_TIMEOUT_S}s",
    # A process that stops in mid-transaction must not hold its locks for ever.
    "idle_in_transaction_session_timeout": f"{2 * say.STATEMENT_TIMEOUT_S}s",
    # The dashboard's statements take milliseconds; compiling them takes longer.
    "jit": "off",
}
_ADVISORY_LOCK = 0x666D645F6F74656C
"""Which lock of a database means our tables: "fmd_otel" as a number."""
_QUOTED = postgresql.dialect().identifier_preparer.quote
_TYPES = postgresql.dialect()


def create(url: str, parsed: URL) -> PostgresqlDialect:  # noqa: ARG001 # SQLite needs the text as it was written
    """Return the dialect of one PostgreSQL database."""
    require_driver(parsed, "psycopg")
    return PostgresqlDialect(parsed.set(drivername="postgresql+psycopg"))


class PostgresqlDialect:
    """One database on a PostgreSQL server."""

    name = "postgresql"
    single_connection = False

    def __init__(self, url: URL) -> None:
        """Work out what the URL means; nothing is opened."""
        self._url = url
        self.server = server_of(url, "PostgreSQL", 5432, sockets=("host",))

    # Engines

    def write_engine(self) -> Engine:
        """Return an engine whose statements each see what was committed before them."""
        return self._engine(isolation_level="READ COMMITTED")

    def read_engine(self) -> Engine:
        """Return an engine whose transactions are read only and see one moment of the database."""
        return self._engine(
            isolation_level="REPEATABLE READ", execution_options={"postgresql_readonly": True}
        )

    def _engine(self, **options: Any) -> Engine:
        engine = create_engine(
            self._url,
            connect_args={
                "client_encoding": "utf8",
                "connect_timeout": say.CONNECT_TIMEOUT_S,
                "fallback_application_name": "fmd-otel",
            },
            paramstyle="format",
            use_native_hstore=False,
            **{**say.POOL_OPTIONS, **options},
        )
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "do_execute", _copy)
        event.listen(engine, "do_executemany", _copy)
        return engine

    # Start

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold an advisory lock of the database; it goes with the connection, however that ends."""
        engine = self._engine(isolation_level="AUTOCOMMIT", poolclass=NullPool)
        try:
            with engine.connect() as connection:
                take = text("SELECT pg_try_advisory_lock(:key)").bindparams(key=_ADVISORY_LOCK)
                deadline = time.monotonic() + MIGRATION_LOCK_S
                while not connection.scalar(take):
                    if time.monotonic() > deadline:
                        raise say.MIGRATION_LOCKED.error(self.server, f"{MIGRATION_LOCK_S:.0f} s")
                    time.sleep(say.MIGRATION_POLL_S)
                yield
        except SQLAlchemyError as exc:
            raise self.problem(exc) or exc from exc
        finally:
            engine.dispose()

    def prepare(self, *, create: bool) -> bool:  # noqa: ARG002 # a database is its owner's to create
        """Do nothing: the first statement tells what is amiss."""
        return True

    def identity(self) -> object:
        """Return what never changes: nobody moves a server's database away unnoticed."""
        return self.name
