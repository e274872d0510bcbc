"""The tables, as SQLAlchemy Core.

One place says what is stored; the revisions under ``migrations/`` say how a database gets there, and a test
holds the two against each other. Times are ``BIGINT`` microseconds (``ts``) or seconds (``bucket``) since the
epoch, UTC: no dialect's own date type, so no server time zone can shift them. Durations are integer
microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import BINARY

from fmd_otel_exporter.detail_tables import DetailTables, blob, build_detail_tables

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PREFIX = "fmd"
NAME_LENGTH = 255
"""Longest endpoint, service or version name kept: what a MySQL index can hold twice."""
SUBJECT_LENGTH = 512
"""Longest user or IP kept; longer ones are cut and end in a digest, so that two of them stay two."""

SUBJECT_USER = 1
SUBJECT_IP = 2

HITS_BUCKET_S = 900
"""A quarter of an hour: every civil time zone's midnight falls on one."""
LATENCY_BUCKET_S = 3600
DAY_S = 86_400


@dataclass(frozen=True)
class Tables(DetailTables):
    """All tables of one prefix, ready for queries."""

    metadata: MetaData
    endpoint: Table
    version: Table
    subject: Table
    request: Table
    hits: Table
    lat_hist: Table
    hits_day: Table
    lat_hist_day: Table
    rollup_day: Table
    subject_day: Table
    subject_pack: Table
    subject_rollup: Table
    batch: Table
    lease: Table
    process: Table
    storage_day: Table
    job: Table
    custom_graph: Table
    custom_graph_value: Table
    level_rule: Table
    removed_endpoint: Table
    user: Table
    session: Table
    setup_token: Table
    login_attempt: Table


def _bytes(length: int) -> Any:
    """Fixed-length bytes; MySQL indexes no BLOB, so there it is a BINARY."""
    return LargeBinary(length).with_variant(BINARY(length), "mysql", "mariadb")


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _key(name: str, kind: Any = Integer) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _process(table: Callable[..., Table]) -> Table:
    """Return the table in which every process that writes says now and then how it is."""
    counts = (
        "accepted", "written", "replayed", "duplicate", "dropped", "dropped_hour", "details_dropped",
        "waiting", "waiting_before", "waiting_bytes", "retries", "batches", "batch_us", "batch_max_us",
    )  # fmt: skip
    return table(
        "process",
        _key("id", _bytes(16)),
        Column("role", String(16), nullable=False),
        Column("state", SmallInteger, nullable=False),  # 0 at work, 1 said goodbye, 2 found dead
        Column("host", String(NAME_LENGTH), nullable=False),
        Column("pid", Integer, nullable=False),
        Column("service", String(NAME_LENGTH), nullable=False),
        Column("version", String(NAME_LENGTH), nullable=False),  # of the application
        Column("fmd_otel", String(64), nullable=False),  # its release
        Column("python", String(64), nullable=False),
        Column("retention", String(64), nullable=False),  # days, as "30,90,0"
        _count("started_ts"),
        _count("heartbeat_ts"),
        _count("clock_us"),  # how far its clock is ahead of the database's
        *map(_count, counts),
        Column("dropped_by", Text, nullable=False),  # JSON: reason to number
        Column("failures", Text, nullable=False),  # JSON: place to number
        Column("last_error", Text),
        Column("last_error_ts", BigInteger),
        Column("settings", Text),  # JSON: key to value and who set it
        info={"kind": "meta"},
    )


@lru_cache(maxsize=8)
def build_tables(prefix: str = DEFAULT_PREFIX) -> Tables:
    """Return the tables named ``<prefix>_request``, ``<prefix>_hits`` and so on, the same ones each time.

    They take a hundredth of a second and a megabyte to make, and statements are remembered by their tables,
    so all stores of a process share them, and nobody changes them.

    Tables that are read by ranges of their key are clustered on it (``WITHOUT ROWID`` in SQLite, InnoDB does
    so anyway): one B-tree instead of a heap and an index. Not so those whose rows hold documents, of which
    SQLite would give each a page of its own (see ``dialects/sqlite_layout.py``). Their ``info`` says what a
    table is for, where that decides how a database keeps it: ``raw`` rows are only added, ``sum`` rows are
    added up by their key (and ``of`` raw rows, where nothing else goes in), ``meta`` rows are few and change.
    """
    metadata = MetaData()

    def table(name: str, *columns: Any, clustered: bool = False, **options: Any) -> Table:
        options |= {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
        if clustered:
            options["sqlite_with_rowid"] = False
        return Table(f"{prefix}_{name}", metadata, *columns, **options)

    def hits(name: str, **info: str) -> Table:
        return table(
            name,
            _key("endpoint_id"),
            _key("bucket", BigInteger),
            _key("version_id"),
            _key("status", SmallInteger),
            _count("n"),
            _count("sum_us"),
            _count("min_us"),
            _count("max_us"),
            clustered=True,
            info={"kind": "sum", **info},
        )

    def lat_hist(name: str, **info: str) -> Table:
        return table(
            name,
            _key("endpoint_id"),
            _key("bucket", BigInteger),
            _key("version_id"),
            _key("bkt", SmallInteger),
            _count("n"),
            clustered=True,
            info={"kind": "sum", **info},
        )

    return Tables(
        **vars(build_detail_tables(table)),
        metadata=metadata,
        endpoint=table(
            "endpoint",
            _id(),
            Column("service", String(NAME_LENGTH), nullable=False),
            Column("name", String(NAME_LENGTH), nullable=False),
            Column("route", Text),
            Column("method", Text),  # methods of the rule, comma separated
            Column("blueprint", String(NAME_LENGTH)),
            Column("level", SmallInteger, nullable=False),
            Column("first_ts", BigInteger),
            Column("last_ts", BigInteger),
            Column("level0_n", BigInteger, nullable=False, server_default="0"),
            # How many of its next requests shall be profiled with all there is; counts down.
            Column("profile_next", SmallInteger, nullable=False, server_default="0"),
            # All rules, a line each: methods, comma separated, a space, and the rule.
            Column("rules", Text),
            Column("alias", String(NAME_LENGTH)),  # what people call it; its name is what the app calls it
            Column("pinned", SmallInteger, nullable=False, server_default="0"),  # level set by hand
            Column("merged_into", Integer, nullable=False, server_default="0"),  # counts under that one
            # Since when it is deleted. The row stays, so that nobody gets its number again.
            Column("removed_ts", BigInteger, nullable=False, server_default="0"),
            UniqueConstraint("service", "name", name=f"{prefix}_endpoint_identity"),
        ),
        version=table(
            "version",
            _id(),
            Column("service", String(NAME_LENGTH), nullable=False),
            Column("name", String(NAME_LENGTH), nullable=False),
            Column("first_ts", BigInteger, nullable=False),
            UniqueConstraint("service", "name", name=f"{prefix}_version_identity"),
        ),
        subject=table(
            "subject",
            _id(),
            Column("kind", SmallInteger, nullable=False),
            Column("value", String(SUBJECT_LENGTH), nullable=False),
            # Start (epoch seconds) of the last UTC day on which a writer asked for its id. Unlike rows that
            # refer to it, it can be found without reading them all, once nobody needs it any more.
            Column("seen_day", BigInteger),
            UniqueConstraint("kind", "value", name=f"{prefix}_subject_identity"),
        ),
        request=table(
            "request",
            _key("endpoint_id"),
            _key("ts", BigInteger),
            _key("span_id", _bytes(8)),
            Column("duration", BigInteger, nullable=False),
            Column("bkt", SmallInteger, nullable=False),
            Column("version_id", Integer, nullable=False),
            Column("group_id", Integer),
            Column("ip_id", Integer),
            Column("status", SmallInteger, nullable=False),
            Column("method", String(16), nullable=False),
            Column("headers_us", BigInteger),
            Column("trace_id", _bytes(16), nullable=False),
            clustered=True,
            info={"kind": "raw"},
            postgresql_partition_by="RANGE (ts)",
        ),
        hits=hits("hits", of="request"),
        lat_hist=lat_hist("lat_hist", of="request"),
        hits_day=hits("hits_day"),
        lat_hist_day=lat_hist("lat_hist_day"),
        # The days (start, epoch seconds) whose *_day rows are complete. A late row takes its day out again,
        # to be summed up anew; but a day that is sealed has lost its finer sums to retention, so there the
        # row is added to the day's sums at once.
        rollup_day=table(
            "rollup_day",
            _key("day", BigInteger),
            Column("sealed", SmallInteger, nullable=False, server_default="0"),
            clustered=True,
        ),
        # What users and addresses did on a day, many of them in a row; see subject_sums.py.
        subject_pack=table(
            "subject_pack",
            _key("endpoint_id"),
            _key("day", BigInteger),
            _key("kind", SmallInteger),
            _key("version_id"),
            _key("part", Integer),  # where there are too many for one row
            Column("counts", blob(), nullable=False),
            Column("latencies", blob(), nullable=False),
            info={"kind": "raw"},
        ),
        # What is to be added to that, a row for each: of requests that came when the raw rows had gone, and
        # of days added up by releases that knew no packs. The parts of a key are added up.
        subject_day=table(
            "subject_day",
            _key("endpoint_id"),
            _key("day", BigInteger),
            _key("kind", SmallInteger),
            _key("subject_id"),
            _key("version_id"),
            _key("part", BigInteger),  # a number of the batch; 0 of those releases
            _count("n"),
            _count("errors"),
            _count("sum_us"),
            Column("buckets", Text),  # of latency, "512 530x3"; see buckets_of()
            clustered=True,
            info={"kind": "raw"},
        ),
        # What has become of these sums, by day: the state is one of subject_sums.py. The mark is another one
        # whenever they are made or changed.
        subject_rollup=table(
            "subject_rollup",
            _key("day", BigInteger),
            Column("state", SmallInteger, nullable=False),
            _count("mark"),
            clustered=True,
            info={"kind": "meta"},
        ),
        # The ledger: a batch whose id stands here is in the database, whoever sends it again.
        batch=table(
            "batch",
            _key("id", _bytes(16)),
            _count("ts"),
            clustered=True,
            info={"kind": "raw", "ledger": "batch"},
        ),
        lease=table(
            "lease",
            _key("name", String(64)),
            Column("owner", String(128), nullable=False),
            _count("expires"),
        ),
        process=_process(table),
        # What the database weighed at the end of a day (start, epoch seconds), as last measured.
        storage_day=table(
            "storage_day", _key("day", BigInteger), _count("ts"), _count("size_bytes"), info={"kind": "meta"}
        ),
        # Work that somebody has asked for in the dashboard: of each name, the latest.
        job=table(
            "job",
            _key("name", String(64)),
            Column("state", String(16), nullable=False),
            Column("owner", String(255), nullable=False),
            _count("started_ts"),
            _count("updated_ts"),
            _count("done"),
            _count("total"),
            Column("asked", Text, nullable=False),  # JSON
            Column("said", Text, nullable=False),
            info={"kind": "meta"},
        ),
        custom_graph=table(
            "custom_graph",
            _id(),
            Column("service", String(NAME_LENGTH), nullable=False),
            Column("title", String(NAME_LENGTH), nullable=False),
            Column("schedule", Text, nullable=False),
            _count("created_ts"),
            Column("last_ts", BigInteger),
            _count("runs"),
            _count("failures"),
            Column("last_error", Text),  # of the last run; none if that gave a value
            Column("last_error_ts", BigInteger),
            UniqueConstraint("service", "title", name=f"{prefix}_custom_graph_identity"),
            info={"kind": "meta"},
        ),
        custom_graph_value=table(
            "custom_graph_value",
            _key("graph_id"),
            _key("ts", BigInteger),
            Column("value", Double, nullable=False),
            clustered=True,
            info={"kind": "raw"},
        ),
        # Which level endpoints get that nobody has given one by hand: the first rule that matches decides.
        level_rule=table(
            "level_rule",
            _key("position"),
            Column("service", String(NAME_LENGTH), nullable=False),  # empty: of any
            Column("pattern", String(NAME_LENGTH), nullable=False),
            Column("level", SmallInteger, nullable=False),
            info={"kind": "meta"},
        ),
        # Asked with every batch, so that no process writes on to an endpoint that is deleted.
        removed_endpoint=table("removed_endpoint", _key("id"), _count("ts"), info={"kind": "meta"}),
        user=table(
            "user",
            _id(),
            Column("username", String(NAME_LENGTH), nullable=False),
            Column("password_hash", String(255), nullable=False),
            Column("role", String(16), nullable=False),
            _count("created_ts"),
            UniqueConstraint("username", name=f"{prefix}_user_identity"),
        ),
        # Only digests of session and set-up tokens are kept: a copy of the database opens no door.
        session=table(
            "session",
            _key("token_hash", _bytes(32)),
            Column("user_id", Integer, nullable=False),
            _count("created_ts"),
            _count("expires_ts"),
        ),
        setup_token=table("setup_token", _key("token_hash", _bytes(32)), _count("expires_ts")),
        login_attempt=table(
            "login_attempt",
            _key("client", String(NAME_LENGTH)),
            _key("ts", BigInteger),
        ),
    )
