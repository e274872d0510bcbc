"""What users and addresses did on a day, many of them in a row."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.mysql import MEDIUMBLOB

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""
    prefix = context.config.attributes["prefix"]

    def column(name: str, kind: Any) -> sa.Column[Any]:
        return sa.Column(name, kind, nullable=False)

    blob = sa.LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb")
    op.create_table(
        f"{prefix}_subject_pack",
        column("endpoint_id", sa.Integer),
        column("day", sa.BigInteger),
        column("kind", sa.SmallInteger),
        column("version_id", sa.Integer),
        column("part", sa.Integer),
        column("counts", blob),
        column("latencies", blob),
        sa.PrimaryKeyConstraint("endpoint_id", "day", "kind", "version_id", "part"),
        if_not_exists=True,
        sqlite_with_rowid=False,
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        info={"kind": "raw"},
    )


def downgrade() -> None:
    """A table nobody reads does no harm."""
    raise NotImplementedError
