"""SQLite: one file, write-ahead log, one writer at a time who waits for its turn."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from sqlalchemy import case, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool, StaticPool

from fmd_otel_exporter.dialects import sqlite_sizes
from fmd_otel_exporter.dialects.sqlite_errors import cannot_lock, cannot_write_beside, explain, no_directory
from fmd_otel_exporter.dialects.sqlite_layout import keep_by_number, wanted_by_number
from fmd_otel_exporter.dialects.transactional import Transactional
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.schema import build_tables
from fmd_otel_exporter.settings import sqlite_path
from fmd_otel_exporter.statements import Compiled, update_one_by_one

try:
    import fcntl
except ImportError:  # Windows: there the write transaction of the migration itself is the lock
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import URL, Connection, Engine, Insert, Table

    from fmd_otel_exporter.sizes import Sizes

BUSY_TIMEOUT_S = 10.0
LOCK_TIMEOUT_S = 60.0
_LOCK_POLL_S = 0.02
_LARGEST_LOG = 64 * 1024 * 1024
_CHECKPOINT_PAGES = 4000


def create(url: str, parsed: URL) -> SqliteDialect:
    """Return the dialect of one SQLite database."""
    return SqliteDialect(sqlite_path(url), {key: str(value) for key, value in parsed.query.items()})


class SqliteDialect(Transactional):
    """One SQLite file, or one database in memory."""

    name = "sqlite"
    has_clock = False

    def __init__(self, database: str, options: dict[str, str]) -> None:
        """Work out which file is meant; nothing is opened.

        Args:
            database: Path, ``file:`` URI without options, or ``:memory:``.
            options: Those of the URL; SQLite itself knows ``mode``, ``cache``, ``immutable`` and others.
        """
        options = {key: value for key, value in options.items() if key not in ("uri", "timeout")}
        if database.startswith("file:"):
            database = unquote(database[len("file:") :])
        self.single_connection = database == ":memory:" or options.get("mode") == "memory"
        self.path = Path(os.path.abspath(database))  # noqa: PTH100 # the link itself is what the user named
        self._read_only = options.get("mode") == "ro"
        self._options = {key: value for key, value in options.items() if key != "mode"}

    # Engines

    def write_engine(self) -> Engine:
        """Return an engine whose transactions take the write lock when they begin.

        A transaction that begins as a read and writes later fails at once, however long the busy timeout is,
        when somebody else has written in between.
        """
        return self._engine("BEGIN IMMEDIATE", query_only=False)

    def read_engine(self) -> Engine:
        """Return an engine whose connections refuse to write and never hold up a writer."""
        return self._engine("BEGIN", query_only=True)

    def _engine(self, begin: str, *, query_only: bool) -> Engine:
        def connect() -> sqlite3.Connection:
            connection = self._connect("ro" if self._read_only else "rw")
            if query_only and not self.single_connection:
                connection.execute("PRAGMA query_only = ON")
            return connection

        options: dict[str, Any] = (
            {"poolclass": StaticPool}
            if self.single_connection
            else {"poolclass": QueuePool, "pool_size": 4, "max_overflow": -1}
        )
        # Parameters are what users of the monitored app typed: they stay out of messages.
        engine = create_engine("sqlite://", creator=connect, hide_parameters=True, **options)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine

    def _connect(self, mode: str) -> sqlite3.Connection:
        """Open the file, never creating it by accident: an empty file would only hide that it is gone."""
        if self.single_connection:
            target = ":memory:"
        else:
            options = "&".join(
                f"{key}={quote(value)}" for key, value in {"mode": mode, **self._options}.items()
            )
            target = f"file:{quote(str(self.path))}?{options}"
        connection = sqlite3.connect(
            target, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        # After a crash of the machine (not of a process) the last moments may be missing; the file stays
        # sound.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
        # Batches rewrite the pages of the current hour: copying them back less often spares 8 % of the CPU.
        connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
        return connection

    # Start

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold a file lock beside the database; it goes with the process, however that ends."""
        if self.single_connection or fcntl is None or self._read_only:
            yield
            return
        path = f"{self.path}.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as exc:
            raise cannot_write_beside(self.path, exc) from exc
        try:
            deadline = time.monotonic() + LOCK_TIMEOUT_S
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as exc:
                    if time.monotonic() > deadline:
                        raise StorageError(
                            f"another process has held {path} for {LOCK_TIMEOUT_S:.0f} s while it creates or "
                            "upgrades the tables; if none is running, remove that file",
                            busy=True,
                        ) from exc
                    time.sleep(_LOCK_POLL_S)
                except OSError as exc:
                    raise cannot_lock(self.path, exc) from exc
            yield
        finally:
            os.close(handle)

    def prepare(self, *, create: bool) -> bool:
        """Create the file if asked to, and switch it to its write-ahead log, which lasts."""
        if self.single_connection:
            return True
        if not self.path.parent.is_dir():
            raise no_directory(self.path)
        if self.path.is_dir():
            raise StorageError(f"the SQLite database {self.path} is a directory; name a file in it")
        if not self.path.exists() and not (create and not self._read_only):
            raise StorageError(
                f"there is no SQLite database {self.path}; "
                "the monitored app creates it with its first request"
            )
        if not self.path.exists():
            self._clear_away_logs()
        try:
            connection = self._connect("ro" if self._read_only else "rwc" if create else "rw")
            try:
                mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
                if mode != "wal" and create and not self._read_only:
                    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            finally:
                connection.close()
        except sqlite3.Error as exc:
            raise self._explain(exc) from exc
        return bool(mode == "wal") or self._read_only

    def _clear_away_logs(self) -> None:
        """Remove the logs of a database that somebody removed without them.

        A process that still has it open goes on using them, and the new database's must be others.
        """
        for suffix in ("-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def identity(self) -> object:
        """Return which file stands at the path now."""
        if self.single_connection:
            return None
        try:
            stat = self.path.stat()
        except OSError:
            return "missing" if self.path.parent.is_dir() else "nowhere"
        return stat.st_dev, stat.st_ino

    # Trouble

    def problem(self, exc: SQLAlchemyError) -> StorageError | None:
        """Tell trouble with the file from a fault in a statement or in its data."""
        if isinstance(exc, PoolTimeoutError):
            return StorageError(f"no connection to {self.path} became free", busy=True)
        if isinstance(exc, OperationalError | InterfaceError | InternalError) or type(exc) is DatabaseError:
            return self._explain(exc.orig or exc)
        return None

    def _explain(self, exc: BaseException) -> StorageError:
        return explain(exc, None if self.single_connection else self.path)

    # Statements

    def insert_new(self, table: Table) -> Insert:
        """Return ``INSERT .. ON CONFLICT DO NOTHING``."""
        return insert(table).on_conflict_do_nothing()

    def row_inserter(self, connection: Connection, table: Table) -> Compiled:
        """Return a plain insert, for the driver's ``executemany``."""
        return Compiled(insert(table), connection, table.columns.keys())

    def row_adder(
        self,
        connection: Connection,
        table: Table,
        *,
        add: Sequence[str],
        least: Sequence[str] = (),
        greatest: Sequence[str] = (),
    ) -> Compiled:
        """Return ``INSERT .. ON CONFLICT (key) DO UPDATE``."""
        statement = insert(table)
        new, old = statement.excluded, table.c
        changes: dict[str, Any] = {name: old[name] + new[name] for name in add}
        changes |= {name: case((new[name] < old[name], new[name]), else_=old[name]) for name in least}
        changes |= {name: case((new[name] > old[name], new[name]), else_=old[name]) for name in greatest}
        upsert = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)
        return Compiled(upsert, connection, table.columns.keys())

    def row_updater(
        self,
        connection: Connection,
        table: Table,
        *,
        least: Sequence[str],
        greatest: Sequence[str],
        add: Sequence[str],
    ) -> Compiled:
        """Return a plain update, for the driver's ``executemany``."""
        return update_one_by_one(connection, table, least=least, greatest=greatest, add=add)

    def vacuum(self, prefix: str) -> str:
        """Write the file anew without its gaps; others may read meanwhile, and those who write wait.

        Before that, tables that an older release has made in a wasteful way are made anew.
        """
        if self.single_connection:
            return "A database in memory leaves nothing on the disk."
        before = self._bytes()
        self._require_room()
        self._lay_out(prefix)
        self._require_room()
        try:
            connection = self._connect("rw")
            try:
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()
        except sqlite3.Error as exc:
            raise self._explain(exc) from exc
        after = self._bytes()
        return f"{self.path} had {_megabytes(before)} and has {_megabytes(after)} now."

    def _require_room(self) -> None:
        size, free = self._bytes(), shutil.disk_usage(self.path.parent).free
        if free < size:
            raise StorageError(
                f"to vacuum {self.path} takes as much space again as the file has, {_megabytes(size)}, and "
                f"{_megabytes(free)} are free beside it; make room there first"
            )

    def _lay_out(self, prefix: str) -> None:
        names = wanted_by_number(build_tables(prefix).metadata.tables.values())
        engine = self.write_engine()
        try:
            with engine.begin() as connection:
                keep_by_number(connection, names)
        except SQLAlchemyError as exc:
            raise self.problem(exc) or exc from exc
        finally:
            engine.dispose()

    def _bytes(self) -> int:
        return self.path.stat().st_size + sqlite_sizes.log_bytes(self.path)

    def version(self, connection: Connection) -> str:
        """Ask the database."""
        return f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar()}"

    def now_us(self, connection: Connection) -> int:  # noqa: ARG002 # there is no other clock
        """Return what the clock of this machine shows."""
        return time.time_ns() // 1000

    def sizes(self, connection: Connection, prefix: str) -> Sizes:
        """Measure a small file, and work out what is in a large one."""
        return sqlite_sizes.sizes(connection, prefix, None if self.single_connection else self.path)

    def total_bytes(self, connection: Connection, prefix: str) -> int:  # noqa: ARG002 # one file for all
        """Ask SQLite how many pages there are."""
        return sqlite_sizes.total_bytes(connection)

    def take_turn(self, connection: Connection, prefix: str) -> None:
        """Do nothing: there is one writer at a time."""

    def begin_batch(
        self, connection: Connection, prefix: str, *, alone: bool = False
    ) -> None:  # keys are unique
        """Do nothing: there is one writer at a time."""

    def hold_batches(self, connection: Connection, prefix: str) -> None:
        """Do nothing: there is one writer at a time."""


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"
