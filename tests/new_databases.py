"""An empty SQLite database with our tables: made once, and copied for each test that wants one."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store


def new_store(path: Path) -> Store:
    """Open a new database; making its tables by all revisions takes ten times as long."""
    path.write_bytes(_empty())
    return open_store(f"sqlite:///{path}")


@cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        open_store(f"sqlite:///{path}").dispose()
        return path.read_bytes()
