"""The first tables."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.mysql import BINARY

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Written out, not taken from schema.py: that file will move on, and this revision must go on meaning what it
# meant.


def _bytes(length: int) -> Any:
    return sa.LargeBinary(length).with_variant(BINARY(length), "mysql", "mariadb")


def _column(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _hits() -> list[Any]:
    return [
        _column("endpoint_id", sa.Integer),
        _column("bucket", sa.BigInteger),
        _column("version_id", sa.Integer),
        _column("status", sa.SmallInteger),
        _column("n", sa.BigInteger),
        _column("sum_us", sa.BigInteger),
        _column("min_us", sa.BigInteger),
        _column("max_us", sa.BigInteger),
        sa.PrimaryKeyConstraint("endpoint_id", "bucket", "version_id", "status"),
    ]


def _lat_hist() -> list[Any]:
    return [
        _column("endpoint_id", sa.Integer),
        _column("bucket", sa.BigInteger),
        _column("version_id", sa.Integer),
        _column("bkt", sa.SmallInteger),
        _column("n", sa.BigInteger),
        sa.PrimaryKeyConstraint("endpoint_id", "bucket", "version_id", "bkt"),
    ]


def upgrade() -> None:
    """Create all tables that are not there yet."""
    prefix = context.config.attributes["prefix"]

    def create(name: str, *columns: Any, clustered: bool = False, by_time: bool = False, **info: str) -> None:
        options: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin", "info": info}
        if clustered:
            options["sqlite_with_rowid"] = False
        if by_time:
            options["postgresql_partition_by"] = "RANGE (ts)"
        op.create_table(f"{prefix}_{name}", *columns, if_not_exists=True, **options)

    create(
        "endpoint",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _column("service", sa.String(255)),
        _column("name", sa.String(255)),
        sa.Column("route", sa.Text),
        sa.Column("method", sa.Text),
        sa.Column("blueprint", sa.String(255)),
        _column("level", sa.SmallInteger),
        sa.Column("first_ts", sa.BigInteger),
        sa.Column("last_ts", sa.BigInteger),
        sa.Column("level0_n", sa.BigInteger, nullable=False, server_default="0"),
        sa.UniqueConstraint("service", "name", name=f"{prefix}_endpoint_identity"),
    )
    create(
        "version",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _column("service", sa.String(255)),
        _column("name", sa.String(255)),
        _column("first_ts", sa.BigInteger),
        sa.UniqueConstraint("service", "name", name=f"{prefix}_version_identity"),
    )
    create(
        "subject",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _column("kind", sa.SmallInteger),
        _column("value", sa.String(512)),
        sa.UniqueConstraint("kind", "value", name=f"{prefix}_subject_identity"),
    )
    create(
        "request",
        _column("endpoint_id", sa.Integer),
        _column("ts", sa.BigInteger),
        _column("span_id", _bytes(8)),
        _column("duration", sa.BigInteger),
        _column("bkt", sa.SmallInteger),
        _column("version_id", sa.Integer),
        sa.Column("group_id", sa.Integer),
        sa.Column("ip_id", sa.Integer),
        _column("status", sa.SmallInteger),
        _column("method", sa.String(16)),
        sa.Column("headers_us", sa.BigInteger),
        _column("trace_id", _bytes(16)),
        sa.PrimaryKeyConstraint("endpoint_id", "ts", "span_id"),
        clustered=True,
        kind="raw",
        by_time=True,
    )
    for name in ("hits", "hits_day"):
        create(name, *_hits(), clustered=True, kind="sum")
    for name in ("lat_hist", "lat_hist_day"):
        create(name, *_lat_hist(), clustered=True, kind="sum")
    create("rollup_day", _column("day", sa.BigInteger), sa.PrimaryKeyConstraint("day"), clustered=True)
    create(
        "batch",
        _column("id", _bytes(16)),
        _column("ts", sa.BigInteger),
        sa.PrimaryKeyConstraint("id"),
        clustered=True,
        kind="raw",
    )
    create(
        "lease",
        _column("name", sa.String(64)),
        _column("owner", sa.String(128)),
        _column("expires", sa.BigInteger),
        sa.PrimaryKeyConstraint("name"),
    )
    create(
        "user",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        _column("username", sa.String(255)),
        _column("password_hash", sa.String(255)),
        _column("role", sa.String(16)),
        _column("created_ts", sa.BigInteger),
        sa.UniqueConstraint("username", name=f"{prefix}_user_identity"),
    )
    create(
        "session",
        _column("token_hash", _bytes(32)),
        _column("user_id", sa.Integer),
        _column("created_ts", sa.BigInteger),
        _column("expires_ts", sa.BigInteger),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    create(
        "setup_token",
        _column("token_hash", _bytes(32)),
        _column("expires_ts", sa.BigInteger),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    create(
        "login_attempt",
        _column("client", sa.String(255)),
        _column("ts", sa.BigInteger),
        sa.PrimaryKeyConstraint("client", "ts"),
    )


def downgrade() -> None:
    """Nothing is older than the first tables."""
    raise NotImplementedError
