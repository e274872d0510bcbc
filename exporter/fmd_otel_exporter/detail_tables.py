"""The tables for details of single requests: profiles, outliers, exceptions, spans.

Lines of code and call stacks are known by a hash of their content, 63 bits of BLAKE2b: any process writes
the same id without asking, twice is the same as once, and a release's code stays readable after the file has
changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.mysql import BINARY, MEDIUMBLOB, MEDIUMTEXT

if TYPE_CHECKING:
    from collections.abc import Callable

PLACE_LENGTH = 512
"""Longest file, function, or type of an exception kept."""

OPEN = 0
RESOLVED = 1
REOPENED = 2


@dataclass(frozen=True)
class DetailTables:
    """Those tables, ready for queries."""

    code_line: Table
    stack: Table
    profile: Table
    profile_day: Table
    profile_day_n: Table
    outlier: Table
    exception_group: Table
    exception_hits: Table
    exception_subject: Table
    exception_occurrence: Table
    request_trace: Table


def _key(name: str, kind: Any = Integer) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _column(name: str, kind: Any = BigInteger) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _request_key() -> list[Column[Any]]:
    return [_key("endpoint_id"), _key("ts", BigInteger), _key("span_id", _fixed(8))]


def _fixed(length: int) -> Any:
    return LargeBinary(length).with_variant(BINARY(length), "mysql", "mariadb")


def blob() -> Any:
    """Bytes of any length; MySQL's own BLOB ends at 64 kB."""
    return LargeBinary().with_variant(MEDIUMBLOB(), "mysql", "mariadb")


def _days() -> list[Column[Any]]:
    """Return what says when a row is needed no longer, without looking for what refers to it.

    The last UTC day (epoch seconds) on which a writer had to do with it, as for subjects, and the last day of
    whose sums it is part, 0 if of none.
    """
    return [_column("seen_day"), _column("summed_day")]


def build_detail_tables(table: Callable[..., Table]) -> DetailTables:
    """Return the tables.

    Args:
        table: Makes one, from the name without the prefix, columns, and options.
    """
    return DetailTables(
        code_line=table(
            "code_line",
            _key("id", BigInteger),
            _column("file", String(PLACE_LENGTH)),
            _column("function", String(PLACE_LENGTH)),
            _column("line", Integer),
            Column("source", Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")),
            _column("in_app", SmallInteger),
            *_days(),
            clustered=True,
            info={"kind": "meta"},
        ),
        stack=table(
            "stack",
            _key("id", BigInteger),
            _column("parent_id"),
            _column("line_id"),
            _column("depth", SmallInteger),
            *_days(),
            clustered=True,
            info={"kind": "meta"},
        ),
        profile=table(
            "profile",
            *_request_key(),
            _column("version_id", Integer),
            _column("duration"),
            _column("cpu_us"),
            _column("samples", Integer),
            _column("period_us", Integer),
            _column("exact", SmallInteger),
            _column("truncated", SmallInteger),
            _column("trace_id", _fixed(16)),
            _column("data", blob()),
            clustered=True,
            info={"kind": "raw"},
        ),
        profile_day=table(
            "profile_day",
            _key("endpoint_id"),
            _key("day", BigInteger),
            _key("version_id"),
            _key("stack_id", BigInteger),
            _column("n"),
            _column("hits"),
            _column("self_us"),
            _column("self_cpu_us"),
            _column("total_us"),
            _column("total_us2", Double),
            clustered=True,
            info={"kind": "sum"},
        ),
        profile_day_n=table(
            "profile_day_n",
            _key("endpoint_id"),
            _key("day", BigInteger),
            _key("version_id"),
            _column("n"),
            _column("duration_us"),
            clustered=True,
            info={"kind": "sum"},
        ),
        outlier=table(
            "outlier",
            *_request_key(),
            _column("version_id", Integer),
            _column("duration"),
            _column("average_us"),
            _column("threshold_us"),
            _column("status", SmallInteger),
            Column("group_id", Integer),
            Column("ip_id", Integer),
            Column("cpu_percent", Double),
            Column("rss_bytes", BigInteger),
            _column("trace_id", _fixed(16)),
            _column("data", blob()),
            info={"kind": "raw"},
        ),
        exception_group=table(
            "exception_group",
            _key("id", BigInteger),
            _column("type", String(PLACE_LENGTH)),
            _column("message", Text),
            _column("place", String(PLACE_LENGTH)),
            _column("first_ts"),
            _column("last_ts"),
            _column("first_version_id", Integer),
            _column("last_version_id", Integer),
            _column("state", SmallInteger),
            Column("resolved_ts", BigInteger),
            Column("resolved_version_id", Integer),
            clustered=True,
            info={"kind": "meta"},
        ),
        exception_hits=table(
            "exception_hits",
            _key("group_id", BigInteger),
            _key("bucket", BigInteger),
            _key("endpoint_id"),
            _key("version_id"),
            _key("kind", SmallInteger),
            _column("n"),
            clustered=True,
            info={"kind": "sum"},
        ),
        # By the day, to go with raw rows: a subject's id may belong to somebody else later.
        exception_subject=table(
            "exception_subject",
            _key("group_id", BigInteger),
            _key("day", BigInteger),
            _key("subject_id"),
            _column("n"),
            clustered=True,
            info={"kind": "sum"},
        ),
        exception_occurrence=table(
            "exception_occurrence",
            _key("group_id", BigInteger),
            _key("ts", BigInteger),
            _key("span_id", _fixed(8)),
            _column("endpoint_id", Integer),
            _column("version_id", Integer),
            Column("user_id", Integer),
            _column("trace_id", _fixed(16)),
            _column("kind", SmallInteger),
            _column("data", blob()),
            info={"kind": "raw"},
        ),
        request_trace=table(
            "request_trace",
            *_request_key(),
            _column("trace_id", _fixed(16)),
            _column("data", blob()),
            info={"kind": "raw"},
        ),
    )
