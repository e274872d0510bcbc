"""What the processes that write say of themselves, what the database weighs, and work asked for by people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.mysql import BINARY

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTS = (
    "accepted", "written", "replayed", "duplicate", "dropped", "dropped_hour", "details_dropped", "waiting",
    "waiting_before", "waiting_bytes", "retries", "batches", "batch_us", "batch_max_us",
)  # fmt: skip


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""
    prefix = context.config.attributes["prefix"]

    def create(name: str, *columns: sa.Column[object]) -> None:
        options = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "info": {"kind": "meta"}}
        op.create_table(f"{prefix}_{name}", *columns, if_not_exists=True, **options)

    def number(name: str) -> sa.Column[object]:
        return sa.Column(name, sa.BigInteger, nullable=False)

    def text(name: str, length: int) -> sa.Column[object]:
        return sa.Column(name, sa.String(length), nullable=False)

    create(
        "process",
        sa.Column(
            "id",
            sa.LargeBinary(16).with_variant(BINARY(16), "mysql", "mariadb"),
            primary_key=True,
            autoincrement=False,
        ),
        text("role", 16),
        sa.Column("state", sa.SmallInteger, nullable=False),
        text("host", 255),
        sa.Column("pid", sa.Integer, nullable=False),
        text("service", 255),
        text("version", 255),
        text("fmd_otel", 64),
        text("python", 64),
        text("retention", 64),
        number("started_ts"),
        number("heartbeat_ts"),
        number("clock_us"),
        *map(number, _COUNTS),
        sa.Column("dropped_by", sa.Text, nullable=False),
        sa.Column("failures", sa.Text, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_error_ts", sa.BigInteger),
    )
    create(
        "storage_day",
        sa.Column("day", sa.BigInteger, primary_key=True, autoincrement=False),
        number("ts"),
        number("size_bytes"),
    )
    create(
        "job",
        sa.Column("name", sa.String(64), primary_key=True, autoincrement=False),
        text("state", 16),
        text("owner", 255),
        number("started_ts"),
        number("updated_ts"),
        number("done"),
        number("total"),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
    )


def downgrade() -> None:
    """Tables nobody reads do no harm."""
    raise NotImplementedError
