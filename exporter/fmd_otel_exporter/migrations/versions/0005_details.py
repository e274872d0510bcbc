"""What is kept of single requests: profiles, outliers, exceptions, spans."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.mysql import BINARY, MEDIUMBLOB, MEDIUMTEXT

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Written out, not taken from detail_tables.py: that file will move on.

_MYSQL = ("mysql", "mariadb")

_KINDS = {
    **dict.fromkeys(("profile", "outlier", "exception_occurrence", "request_trace"), "raw"),
    **dict.fromkeys(("profile_day", "profile_day_n", "exception_hits", "exception_subject"), "sum"),
}


def _column(name: str, kind: Any = sa.BigInteger) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _fixed(length: int) -> Any:
    return sa.LargeBinary(length).with_variant(BINARY(length), *_MYSQL)


def _blob() -> Any:
    return sa.LargeBinary().with_variant(MEDIUMBLOB(), *_MYSQL)


def _request_key() -> list[sa.Column[Any]]:
    return [_column("endpoint_id", sa.Integer), _column("ts"), _column("span_id", _fixed(8))]


def upgrade() -> None:
    """Add what is not there yet: not every database undoes half an upgrade."""
    prefix = context.config.attributes["prefix"]

    endpoint = f"{prefix}_endpoint"
    if "profile_next" not in {each["name"] for each in sa.inspect(op.get_bind()).get_columns(endpoint)}:
        op.add_column(
            endpoint, sa.Column("profile_next", sa.SmallInteger, nullable=False, server_default="0")
        )

    def create(name: str, *columns: Any, key: tuple[str, ...]) -> None:
        options: dict[str, Any] = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
        options |= {"sqlite_with_rowid": False, "info": {"kind": _KINDS.get(name, "meta")}}
        op.create_table(
            f"{prefix}_{name}", *columns, sa.PrimaryKeyConstraint(*key), if_not_exists=True, **options
        )

    request = ("endpoint_id", "ts", "span_id")
    create(
        "code_line",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        _column("file", sa.String(512)),
        _column("function", sa.String(512)),
        _column("line", sa.Integer),
        sa.Column("source", sa.Text().with_variant(MEDIUMTEXT(), *_MYSQL)),
        _column("in_app", sa.SmallInteger),
        _column("seen_day"),
        _column("summed_day"),
        key=("id",),
    )
    create(
        "stack",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        _column("parent_id"),
        _column("line_id"),
        _column("depth", sa.SmallInteger),
        _column("seen_day"),
        _column("summed_day"),
        key=("id",),
    )
    create(
        "profile",
        *_request_key(),
        _column("version_id", sa.Integer),
        _column("duration"),
        _column("cpu_us"),
        _column("samples", sa.Integer),
        _column("period_us", sa.Integer),
        _column("exact", sa.SmallInteger),
        _column("truncated", sa.SmallInteger),
        _column("trace_id", _fixed(16)),
        _column("data", _blob()),
        key=request,
    )
    create(
        "profile_day",
        _column("endpoint_id", sa.Integer),
        _column("day"),
        _column("version_id", sa.Integer),
        _column("stack_id"),
        _column("n"),
        _column("hits"),
        _column("self_us"),
        _column("self_cpu_us"),
        _column("total_us"),
        _column("total_us2", sa.Double),
        key=("endpoint_id", "day", "version_id", "stack_id"),
    )
    create(
        "profile_day_n",
        _column("endpoint_id", sa.Integer),
        _column("day"),
        _column("version_id", sa.Integer),
        _column("n"),
        _column("duration_us"),
        key=("endpoint_id", "day", "version_id"),
    )
    create(
        "outlier",
        *_request_key(),
        _column("version_id", sa.Integer),
        _column("duration"),
        _column("average_us"),
        _column("threshold_us"),
        _column("status", sa.SmallInteger),
        sa.Column("group_id", sa.Integer),
        sa.Column("ip_id", sa.Integer),
        sa.Column("cpu_percent", sa.Double),
        sa.Column("rss_bytes", sa.BigInteger),
        _column("trace_id", _fixed(16)),
        _column("data", _blob()),
        key=request,
    )
    create(
        "exception_group",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        _column("type", sa.String(512)),
        _column("message", sa.Text),
        _column("place", sa.String(512)),
        _column("first_ts"),
        _column("last_ts"),
        _column("first_version_id", sa.Integer),
        _column("last_version_id", sa.Integer),
        _column("state", sa.SmallInteger),
        sa.Column("resolved_ts", sa.BigInteger),
        sa.Column("resolved_version_id", sa.Integer),
        key=("id",),
    )
    create(
        "exception_hits",
        _column("group_id"),
        _column("bucket"),
        _column("endpoint_id", sa.Integer),
        _column("version_id", sa.Integer),
        _column("kind", sa.SmallInteger),
        _column("n"),
        key=("group_id", "bucket", "endpoint_id", "version_id", "kind"),
    )
    create(
        "exception_subject",
        _column("group_id"),
        _column("day"),
        _column("subject_id", sa.Integer),
        _column("n"),
        key=("group_id", "day", "subject_id"),
    )
    create(
        "exception_occurrence",
        _column("group_id"),
        _column("ts"),
        _column("span_id", _fixed(8)),
        _column("endpoint_id", sa.Integer),
        _column("version_id", sa.Integer),
        sa.Column("user_id", sa.Integer),
        _column("trace_id", _fixed(16)),
        _column("kind", sa.SmallInteger),
        _column("data", _blob()),
        key=("group_id", "ts", "span_id"),
    )
    create(
        "request_trace",
        *_request_key(),
        _column("trace_id", _fixed(16)),
        _column("data", _blob()),
        key=request,
    )


def downgrade() -> None:
    """Tables nobody reads do no harm."""
    raise NotImplementedError
