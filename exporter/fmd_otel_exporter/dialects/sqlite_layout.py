"""How SQLite keeps a table: as one tree of rows by their key, or of rows by number and an index for the key.

A page of the first kind of tree (``WITHOUT ROWID``) keeps no more than a quarter of itself of any row, 1,002
of 4,096 bytes, and a row that is longer by one byte has another page to itself. A page of the second kind
keeps a row that fills it. So tables whose rows hold documents are of the second kind; those of databases that
older releases have made are not, and can be made so. Whoever uses them notices nothing but the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Table

_BY_KEY = "WITHOUT ROWID"


def wanted_by_number(tables: Iterable[Table]) -> list[str]:
    """Return the names of those tables that this release does not want as one tree by key."""
    return [table.name for table in tables if table.dialect_options["sqlite"]["with_rowid"]]


def keep_by_number(connection: Connection, names: Iterable[str], *, most_rows: int | None = None) -> None:
    """Copy tables that are one tree by key to what is a tree of rows by number, in the caller's transaction.

    A table with an index or a trigger that somebody has given it is left alone: it would go with the old one.

    Args:
        connection: In a transaction that writes.
        names: Of which tables; those that are missing, or are kept by number already, are left out.
        most_rows: Leave tables alone that have more rows.
    """
    stored = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    by_key = {name: sql.rstrip() for name, sql in stored if sql and sql.rstrip().endswith(_BY_KEY)}
    for name in names:
        if name in by_key and not _has_more(connection, name) and not _exceeds(connection, name, most_rows):
            _copy(connection, name, by_key[name])


def _has_more(connection: Connection, name: str) -> bool:
    """Tell whether somebody has given a table an index or a trigger."""
    more = "SELECT 1 FROM sqlite_master WHERE tbl_name = ? AND type <> 'table' AND sql IS NOT NULL"
    return connection.exec_driver_sql(more, (name,)).first() is not None


def _exceeds(connection: Connection, name: str, most_rows: int | None) -> bool:
    if most_rows is None:
        return False
    quoted = connection.dialect.identifier_preparer.quote(name)
    one_more = f"SELECT 1 FROM {quoted} LIMIT 1 OFFSET ?"  # noqa: S608 # a table's name
    return connection.exec_driver_sql(one_more, (most_rows,)).first() is not None


def _copy(connection: Connection, name: str, sql: str) -> None:
    quote = connection.dialect.identifier_preparer.quote
    old, new = quote(name), quote(f"{name}_by_number")
    # As it stands, with columns that a newer release may have added.
    columns = sql[sql.index("(") :].removesuffix(_BY_KEY)
    connection.exec_driver_sql(f"CREATE TABLE {new} {columns}")
    connection.exec_driver_sql(f"INSERT INTO {new} SELECT * FROM {old}")  # noqa: S608 # as above
    connection.exec_driver_sql(f"DROP TABLE {old}")
    # Otherwise SQLite refuses while there are views of the table that has just gone.
    legacy = connection.exec_driver_sql("PRAGMA legacy_alter_table").scalar()
    connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
    try:
        connection.exec_driver_sql(f"ALTER TABLE {new} RENAME TO {old}")
    finally:
        connection.exec_driver_sql(f"PRAGMA legacy_alter_table = {legacy or 0}")
