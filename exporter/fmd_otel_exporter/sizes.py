"""How much a database holds, in numbers that are cheap to come by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, update

from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fmd_otel_exporter.store import Store


class TableSize(NamedTuple):
    """One table, with all of its indexes and parts."""

    rows: int | None
    """None: it would take reading the table."""
    size_bytes: int | None
    estimated: bool = True
    row_bytes: int = 0
    """About how many a row takes; 0 where nobody has looked."""


@dataclass(frozen=True)
class Sizes:
    """A database, as far as it is ours."""

    product: str
    """The server, or library, and its version."""
    total_bytes: int | None
    log_bytes: int = 0
    """Not among these: what is about to go into them, and comes and goes."""
    reusable_bytes: int | None = None
    """Of deleted rows, not given back to the disk yet."""
    disk_free_bytes: int | None = None
    """Where the database lies, for those who share its disk."""
    unmeasured_bytes: int = 0
    """Of the tables whose size is None, together."""
    tables: dict[str, TableSize] = field(default_factory=dict)
    """By their names without the prefix."""


def note_size(store: Store, now_us: int) -> None:
    """Keep today's size, of which there is one a day: the last.

    Raises:
        StorageError: The database cannot be used now.
    """
    with store.read() as connection:
        size = store.dialect.total_bytes(connection, store.prefix)
    table = store.tables.storage_day
    day = now_us // 1_000_000 // DAY_S * DAY_S
    values = {"ts": now_us, "size_bytes": size}

    def put(connection: Connection) -> None:
        if connection.execute(update(table).where(table.c.day == day).values(values)).rowcount == 0:
            connection.execute(insert(table).values(day=day, **values))

    store.run(put)
