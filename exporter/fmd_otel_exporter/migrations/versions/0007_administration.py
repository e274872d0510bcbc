"""What admins decide about endpoints: level by rule or by hand, name, what counts together, what is deleted.

And what an application says: all rules of its endpoints, and the settings that it runs with.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""
    prefix = context.config.attributes["prefix"]

    def add(table: str, *columns: sa.Column[Any]) -> None:
        name = f"{prefix}_{table}"
        known = {each["name"] for each in sa.inspect(op.get_bind()).get_columns(name)}
        for column in columns:
            if column.name not in known:
                op.add_column(name, column)

    def create(name: str, *columns: sa.Column[Any]) -> None:
        options: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
        op.create_table(f"{prefix}_{name}", *columns, if_not_exists=True, info={"kind": "meta"}, **options)

    add(
        "endpoint",
        sa.Column("rules", sa.Text),
        sa.Column("alias", sa.String(255)),
        sa.Column("pinned", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("merged_into", sa.Integer, nullable=False, server_default="0"),
        sa.Column("removed_ts", sa.BigInteger, nullable=False, server_default="0"),
    )
    add("process", sa.Column("settings", sa.Text))
    create(
        "level_rule",
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("service", sa.String(255), nullable=False),
        sa.Column("pattern", sa.String(255), nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
    )
    create(
        "removed_endpoint",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ts", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Tables and columns nobody reads do no harm."""
    raise NotImplementedError
