"""The door to Alembic."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, String, column, inspect, table, update

from fmd_otel_exporter.migrations import OLDEST_WRITER, oldest_writer, version_table

if TYPE_CHECKING:
    from sqlalchemy import Connection


_turns: dict[int, Lock] = {}


def alembic_config(prefix: str, connection: Connection | None = None) -> Config:
    """Return a configuration that needs no ini file."""
    config = Config()
    # Alembic fills in "%" in options by itself, and a path may hold one.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["prefix"] = prefix
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, prefix: str) -> None:
    """Bring the tables to the newest revision, inside the caller's transaction."""
    # Alembic knows one database at a time, by attributes of its modules: of two, each would get some of the
    # other's tables. A child that is forked meanwhile takes a lock of its own.
    with _turns.setdefault(os.getpid(), Lock()):
        command.upgrade(alembic_config(prefix, connection), "head")
    _note_oldest_writer(connection, version_table(prefix))


def _note_oldest_writer(connection: Connection, name: str) -> None:
    """Tell older releases whether they may go on writing."""
    if OLDEST_WRITER not in {column["name"] for column in inspect(connection).get_columns(name)}:
        Operations(MigrationContext.configure(connection)).add_column(
            name, Column(OLDEST_WRITER, String(32), nullable=True)
        )
    connection.execute(update(table(name, column(OLDEST_WRITER))).values({OLDEST_WRITER: oldest_writer()}))
