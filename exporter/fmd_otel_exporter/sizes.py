"""How much a database holds, in numbers that are cheap to come by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class TableSize(NamedTuple):
    """One table, with all of its indexes and parts."""

    rows: int | None
    """None: it would take reading the table."""
    size_bytes: int | None
    estimated: bool = True


@dataclass(frozen=True)
class Sizes:
    """A database, as far as it is ours."""

    product: str
    """The server, or library, and its version."""
    total_bytes: int | None
    reusable_bytes: int | None = None
    """Of deleted rows, not given back to the disk yet."""
    disk_free_bytes: int | None = None
    """Where the database lies, for those who share its disk."""
    tables: dict[str, TableSize] = field(default_factory=dict)
    """By their names without the prefix."""
