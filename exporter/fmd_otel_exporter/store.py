"""One database, open: its tables, short transactions for reading and for writing."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager, nullcontext
from threading import RLock
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from fmd_otel_exporter.dialects import dialect_for
from fmd_otel_exporter.errors import StorageError, safe_url
from fmd_otel_exporter.loading import made_for_good
from fmd_otel_exporter.migrations import (
    HEAD,
    OLDEST_WRITER,
    Schema,
    by_hand_after,
    oldest_writer,
    version_table,
)
from fmd_otel_exporter.schema import DEFAULT_PREFIX, Tables, build_tables
from fmd_otel_exporter.settings import absolute_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine

    from fmd_otel_exporter.dialects.base import Dialect

T = TypeVar("T")

_ATTEMPTS = 6
_PAUSE_S = 0.02
_ABANDONED: list[Engine] = []
"""Engines of a parent process, kept for ever: closing their connections here could disturb the parent."""


class Store:
    """A database whose tables are there; made by :func:`open_store`.

    Safe to share between threads. After a fork the child opens connections of its own.
    """

    def __init__(self, url: str, prefix: str, dialect: Dialect) -> None:
        """Keep what is needed; engines are made when first used."""
        self.url = url
        self.prefix = prefix
        self.dialect = dialect
        self.tables: Tables = build_tables(prefix)
        self.schema: Schema | None = None
        """Of which revision the tables were when it was opened."""
        self._identity = dialect.identity()
        self._engines: dict[str, Engine] = {}
        self._pid = os.getpid()
        self._making = RLock()
        self._turn: AbstractContextManager[object] = RLock() if dialect.single_connection else nullcontext()

    def __repr__(self) -> str:
        """Show where, without the password."""
        return f"Store({safe_url(self.url)!r}, prefix={self.prefix!r})"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a short transaction that sees one moment of the database and never holds up a writer.

        Raises:
            StorageError: The database cannot be used just now.
        """
        with self._turn, self._transaction(self._engine("read")) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that commits at the end of the block and rolls back on any exception.

        There is one at a time, over all processes: what it finds stays so until it ends, if others change it
        this way only. For changes that many make at once see :meth:`run`.

        Raises:
            StorageError: The database cannot be used just now; nothing of the block was kept.
        """
        with self._together() as connection:
            self.dialect.take_turn(connection, self.prefix)
            yield connection

    def run(self, work: Callable[[Connection], T]) -> T:
        """Do something in a transaction, beside others where the database can, again if it ended by chance.

        Args:
            work: May run several times, also when a run before it was committed after all: the connection may
                break in the very moment of the commit.

        Raises:
            StorageError: The database cannot be used just now, or chance struck too often.
        """
        attempt = 1
        while True:
            try:
                with self._together() as connection:
                    return work(connection)
            except StorageError as exc:
                if not exc.again or attempt == _ATTEMPTS:
                    raise
            # Those who got in each other's way must not do so again in step.
            time.sleep(random.uniform(0, _PAUSE_S * attempt))  # noqa: S311 # no secret
            attempt += 1

    @property
    def current(self) -> bool:
        """Whether the tables are exactly those of this release, so that it knows all that depends on what."""
        return self.schema is not None and self.schema.revision == HEAD

    def replaced(self) -> bool:
        """Tell whether somebody has moved the database away since it was opened."""
        return self.dialect.identity() != self._identity

    def require_in_place(self) -> None:
        """Make sure that what was written just now is where others will look for it.

        A file that somebody is removing takes what is written into it until the last moment.

        Raises:
            StorageError: The database was moved away.
        """
        if self.replaced():
            raise StorageError(f"{safe_url(self.url)} has been moved away")

    def dispose(self) -> None:
        """Close all connections; the store may be used again afterwards."""
        with self._making:
            engines, self._engines = self._engines, {}
        for engine in engines.values():
            engine.dispose(close=self._pid == os.getpid())

    @contextmanager
    def _together(self) -> Iterator[Connection]:
        with self._turn, self._transaction(self._engine("write")) as connection:
            yield connection

    @contextmanager
    def _transaction(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.begin() as connection:
                yield connection
        except SQLAlchemyError as exc:
            problem = self.dialect.problem(exc)
            if problem is None:
                raise
            raise problem from exc

    def _engine(self, kind: str) -> Engine:
        if self._pid != os.getpid():
            self._leave_parent_behind()
        engine = self._engines.get(kind)
        if engine is not None:
            return engine
        with self._making:
            if kind not in self._engines:
                if kind == "read" and not self.dialect.single_connection:
                    self._engines["read"] = self.dialect.read_engine()
                elif self.dialect.single_connection:
                    self._engines["read"] = self._engines["write"] = self.dialect.write_engine()
                else:
                    self._engines["write"] = self.dialect.write_engine()
            return self._engines[kind]

    def _leave_parent_behind(self) -> None:
        # The parent's lock may have been held by a thread that does not exist here.
        self._making = RLock()
        if self.dialect.single_connection:
            self._turn = RLock()
        _ABANDONED.extend(self._engines.values())
        self._engines = {}
        self._pid = os.getpid()


def open_store(
    url: str,
    prefix: str = DEFAULT_PREFIX,
    *,
    migrate: bool = True,
    by_hand: bool = False,
    on_step: Callable[[], object] = lambda: None,
) -> Store:
    """Open a database, creating or upgrading its tables under a lock when they are behind.

    Args:
        url: SQLAlchemy URL.
        prefix: What all table names begin with.
        migrate: Create and upgrade; ``False`` only looks, and refuses a database that is behind.
        by_hand: Somebody asked for it: also upgrade to what older processes could not write to.
        on_step: Called after each statement that creates or upgrades them, which may take seconds together.

    Raises:
        StorageError: It cannot be opened; the text says why and what to do.
    """
    url = absolute_url(url)
    dialect = dialect_for(url)
    if not migrate or dialect.identity() not in (None, "missing"):
        ready = dialect.prepare(create=False)
        store = Store(url, prefix, dialect)
        behind = _is_behind(store)
        if not behind and (ready or not migrate):
            return store
        store.dispose()
        if not migrate:
            found = store.schema
            state = "missing" if found is None else f"of revision {found.revision!r}, and {HEAD!r} is needed"
            raise StorageError(
                f"the tables {prefix}_* of {safe_url(url)} are {state}; "
                "the monitored app creates and upgrades them, and so does: fmd-otel db upgrade"
            )
    with dialect.migration_lock():
        dialect.prepare(create=True)
        store = Store(url, prefix, dialect)
        if _is_behind(store):  # it may have been done while this process waited for the lock
            if not by_hand:
                _require_additive(store)
            _upgrade(store, on_step)
            store.schema = Schema(HEAD, oldest_writer())
        return store


def read_schema(store: Store) -> Schema | None:
    """Return of which revision the tables are, known or not; ``None`` where there are none.

    Raises:
        StorageError: The database cannot be read.
    """
    try:
        with store.read() as connection:
            name = connection.dialect.identifier_preparer.quote(version_table(store.prefix))
            # All columns there are: who may write is noted since not so long ago. And as plain text, of whose
            # answer SQLAlchemy remembers no columns.
            found = connection.exec_driver_sql(f"SELECT * FROM {name}").mappings().first()  # noqa: S608 # ours
    except StorageError as exc:
        if exc.no_tables:
            return None
        raise
    return None if found is None else Schema(found["version_num"], found.get(OLDEST_WRITER))


def read_revision(store: Store) -> str | None:
    """Return the schema's revision, known or not; ``None`` where there are no tables.

    Raises:
        StorageError: The database cannot be read.
    """
    found = read_schema(store)
    return None if found is None else found.revision


def look_again(store: Store) -> None:
    """Read again of which revision the tables are.

    Raises:
        StorageError: This release must not write to them any more, or there are none.
    """
    if _is_behind(store):
        raise StorageError(f"the tables {store.prefix}_* of {safe_url(store.url)} are gone", no_tables=True)


def _is_behind(store: Store) -> bool:
    """Tell whether the tables are missing or older than this release, by one query and without Alembic.

    Raises:
        StorageError: A newer fmd-otel has been here, after which this one must not write, or the database
            cannot be read.
    """
    found = store.schema = read_schema(store)
    if found is not None and not found.writable:
        store.dispose()
        raise StorageError(
            f"the tables {store.prefix}_* of {safe_url(store.url)} are of revision {found.revision!r}, newer "
            f"than this fmd-otel knows ({HEAD!r}); upgrade fmd-otel here, or use another database or table "
            "prefix"
        )
    return found is None or (found.known and found.revision != HEAD)


def _require_additive(store: Store) -> None:
    """Let alone what older processes, which may be running, could not write to afterwards.

    Raises:
        StorageError: There is such a revision.
    """
    by_hand = None if store.schema is None else by_hand_after(store.schema.revision)
    if store.schema is not None and by_hand is not None:
        store.dispose()
        raise StorageError(
            f"the tables {store.prefix}_* of {safe_url(store.url)} are of revision "
            f"{store.schema.revision!r}; revision {by_hand!r} changes what is there, and an older fmd-otel "
            "cannot write afterwards. When none is needed any more, run: fmd-otel db upgrade"
        )


def _upgrade(store: Store, on_step: Callable[[], object]) -> None:
    with made_for_good():
        from fmd_otel_exporter.migrations.run import upgrade  # noqa: PLC0415 # Alembic is slow to import and rarely needed

    with store._together() as connection:  # noqa: SLF001 # the same module; there is nothing to take turns on yet
        if store.schema is None:
            store.dialect.require_text(connection)
        event.listen(connection, "after_cursor_execute", lambda *_: on_step())
        upgrade(connection, store.prefix)
        store.dialect.complete(connection, store.tables)
