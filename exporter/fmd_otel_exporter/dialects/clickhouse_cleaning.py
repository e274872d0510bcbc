"""Makes deleted rows go for good where they are many, or personal.

A deleted ``meta`` row is a version that says so, on top of those before it, and merging keeps all that is
newest: without this, whoever was forgotten would still be there to read for who asks for rows as stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_exporter.dialects.clickhouse_tables import GONE, VERSION, identity_of

if TYPE_CHECKING:
    from sqlalchemy import Table

_CLEANED = ("subject", "login_attempt", "code_line", "stack", "exception_group", "process")
"""Tables whose rows retention deletes, many at a time. Others have few, and are changed while users wait."""
_SETTINGS = {"mutations_sync": 1, "allow_nondeterministic_mutations": 1, "final": 0}


def is_cleaned(table: Table) -> bool:
    """Tell whether deleted rows of this table go for good."""
    return table.name.endswith(tuple(f"_{name}" for name in _CLEANED))


def clean(client: Any, table: Table) -> None:
    """Remove all versions of rows that are gone.

    What says that a row is gone stays until the versions before it are, which may lie in different parts of
    the table: no reader ever sees a deleted row again. A row that comes again meanwhile is in a part of its
    own, which neither statement looks at.
    """
    keys = ", ".join(f"`{column.name}`" for column in identity_of(table))
    for gone, when in ((0, f"argMax({GONE}, {VERSION}) = 1"), (1, f"min({GONE}) = 1")):
        client.command(
            f"ALTER TABLE `{table.name}` DELETE WHERE {GONE} = {gone} AND ({keys}) IN "  # noqa: S608 # names of the schema
            f"(SELECT {keys} FROM `{table.name}` GROUP BY {keys} HAVING {when})",
            settings=_SETTINGS,
        )
