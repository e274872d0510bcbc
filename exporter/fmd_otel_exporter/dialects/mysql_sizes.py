"""What MariaDB and MySQL say of their tables, without reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from fmd_otel_exporter.sizes import Sizes, TableSize

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES = text(
    "SELECT table_name, table_rows, data_length + index_length, data_free, @@lower_case_table_names "
    "FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND left(table_name, char_length(:start)) = :start"
)
"""Of any case: that is how both compare these names."""


def sizes(connection: Connection, prefix: str) -> Sizes:
    """Return what is in our tables; InnoDB guesses their rows from a few pages."""
    found: dict[str, TableSize] = {}
    free = 0
    start = f"{prefix}_"
    for name, rows, size, unused, folds in connection.execute(_TABLES, {"start": start}):
        if not folds and not name.startswith(start):  # somebody else's
            continue
        found[name[len(start) :].lower()] = TableSize(None if rows is None else int(rows), int(size or 0))
        free += int(unused or 0)
    version = str(connection.exec_driver_sql("SELECT VERSION()").scalar())
    product, _, _ = version.partition("-")
    name = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    return Sizes(
        product=f"{name} {product}",
        total_bytes=sum(size.size_bytes or 0 for size in found.values()),
        reusable_bytes=free,
        tables=found,
    )
