"""The door to Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config

if TYPE_CHECKING:
    from sqlalchemy import Connection


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
    command.upgrade(alembic_config(prefix, connection), "head")
