"""Rows with documents, of which SQLite gives each a page of its own, together on pages.

Nothing changes but how SQLite keeps them, so whoever knows the tables before may write to them after. To copy
a table keeps others from writing meanwhile, though: one that is large waits until somebody vacuums the file,
which does that anyway, and without which the file would be no smaller.
"""

from __future__ import annotations

from alembic import context, op

from fmd_otel_exporter.dialects.sqlite_layout import keep_by_number

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOST_ROWS = 1000
"""Copied in a fraction of a second."""

_TABLES = ("outlier", "exception_occurrence", "request_trace", "subject_pack")


def upgrade() -> None:
    """Copy what is small, in a new database nothing."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        prefix = context.config.attributes["prefix"]
        keep_by_number(connection, [f"{prefix}_{name}" for name in _TABLES], most_rows=MOST_ROWS)


def downgrade() -> None:
    """Older releases know no difference."""
    raise NotImplementedError
