"""What users and addresses did, a day a row."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def _column(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""
    prefix = context.config.attributes["prefix"]

    def create(name: str, *columns: Any) -> None:
        op.create_table(
            f"{prefix}_{name}",
            *columns,
            if_not_exists=True,
            sqlite_with_rowid=False,
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
            info={"kind": "raw" if name == "subject_day" else "meta"},
        )

    create(
        "subject_day",
        _column("endpoint_id", sa.Integer),
        _column("day", sa.BigInteger),
        _column("kind", sa.SmallInteger),
        _column("subject_id", sa.Integer),
        _column("version_id", sa.Integer),
        _column("part", sa.BigInteger),
        _column("n", sa.BigInteger),
        _column("errors", sa.BigInteger),
        _column("sum_us", sa.BigInteger),
        sa.Column("buckets", sa.Text),
        sa.PrimaryKeyConstraint("endpoint_id", "day", "kind", "subject_id", "version_id", "part"),
    )
    create(
        "subject_rollup",
        _column("day", sa.BigInteger),
        _column("state", sa.SmallInteger),
        _column("mark", sa.BigInteger),
        sa.PrimaryKeyConstraint("day"),
    )


def downgrade() -> None:
    """Tables nobody reads do no harm."""
    raise NotImplementedError
