"""Graphs that an application draws of itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""
    prefix = context.config.attributes["prefix"]

    def create(name: str, *parts: sa.Column[object] | sa.Constraint, **options: object) -> None:
        options |= {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
        op.create_table(f"{prefix}_{name}", *parts, if_not_exists=True, **options)

    create(
        "custom_graph",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("service", sa.String(255), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("schedule", sa.Text, nullable=False),
        sa.Column("created_ts", sa.BigInteger, nullable=False),
        sa.Column("last_ts", sa.BigInteger),
        sa.Column("runs", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_error_ts", sa.BigInteger),
        sa.UniqueConstraint("service", "title", name=f"{prefix}_custom_graph_identity"),
        info={"kind": "meta"},
    )
    create(
        "custom_graph_value",
        sa.Column("graph_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ts", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Double, nullable=False),
        sqlite_with_rowid=False,
        info={"kind": "raw"},
    )


def downgrade() -> None:
    """Tables nobody reads do no harm."""
    raise NotImplementedError
