"""What retention has to know: whose finer sums are gone, and when a user or address was last seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns that are not there yet: not every database undoes half an upgrade."""
    prefix = context.config.attributes["prefix"]

    def add(table: str, column: sa.Column[int]) -> None:
        name = f"{prefix}_{table}"
        if column.name not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(name)}:
            op.add_column(name, column)

    add("rollup_day", sa.Column("sealed", sa.SmallInteger, nullable=False, server_default="0"))
    add("subject", sa.Column("seen_day", sa.BigInteger))


def downgrade() -> None:
    """Columns nobody reads do no harm."""
    raise NotImplementedError
