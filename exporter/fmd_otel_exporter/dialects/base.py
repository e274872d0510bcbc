"""What a database has to offer to the rest of the exporter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine, Insert, Table
    from sqlalchemy.exc import SQLAlchemyError

    from fmd_otel_exporter.errors import StorageError


class Dialect(Protocol):
    """One database, as the store and the writer see it.

    Engines are made on demand and belong to the caller. Statements come back as SQLAlchemy constructs, which
    the writer compiles once.
    """

    name: str
    single_connection: bool
    """Reads and writes have to share one connection and take turns (a database that lives in memory)."""

    def write_engine(self) -> Engine:
        """Return an engine whose transactions may write and never fail for having begun as a read."""

    def read_engine(self) -> Engine:
        """Return an engine that cannot write, and whose transactions see one moment of the database."""

    def migration_lock(self) -> AbstractContextManager[None]:
        """Hold every other process off the schema; raises ``StorageError`` when that takes too long."""

    def prepare(self, *, create: bool) -> bool:
        """Tell whether the database is ready for engines.

        With ``create``, which needs the migration lock, make it ready.

        Raises:
            StorageError: It is not there (or cannot be created), and what to do about it.
        """

    def identity(self) -> object:
        """Return a value that changes when somebody puts another database in this one's place."""

    def problem(self, exc: SQLAlchemyError) -> StorageError | None:
        """Translate trouble with the database; ``None`` when the statement or its data were at fault."""

    def insert_new(self, table: Table) -> Insert:
        """Return an insert that leaves rows alone whose unique key is there already."""

    def insert_or_add(
        self, table: Table, *, add: Sequence[str], least: Sequence[str] = (), greatest: Sequence[str] = ()
    ) -> Insert:
        """Return an insert that, where the key exists, adds up some columns and keeps extremes of others."""

    def insert_rows(self, connection: Connection, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Run a compiled insert for many rows, the fastest way this database has."""
