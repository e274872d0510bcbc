"""Who writes to the database, how they fare, and what else tells whether it is looked after."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, select

from fmd_otel_exporter.heartbeat import FOUND_DEAD, LATE_S, SAID_GOODBYE
from fmd_otel_exporter.maintainer import LEASE
from fmd_otel_exporter.store import read_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import RowMapping

    from fmd_otel_exporter.migrations import Schema
    from fmd_otel_exporter.store import Store

MISSED_S = 3600
"""Whoever has been silent for longer is not waited for any more."""
_US = 1_000_000

State = Literal["live", "late", "gone", "ended", "killed"]


@dataclass(frozen=True)
class Process:
    """One process, as it described itself last. Times are by the database's clock."""

    id: str
    role: str
    state: State
    host: str
    pid: int
    service: str
    version: str
    fmd_otel: str
    python: str
    retention: str
    started_us: int
    heard_us: int
    clock_us: int
    """How far its clock is ahead."""
    accepted: int = 0
    written: int = 0
    replayed: int = 0
    duplicate: int = 0
    dropped: int = 0
    dropped_hour: int = 0
    details_dropped: int = 0
    waiting: int = 0
    waiting_before: int = 0
    waiting_bytes: int = 0
    retries: int = 0
    batches: int = 0
    batch_us: int = 0
    batch_max_us: int = 0
    dropped_by: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)
    last_error: str | None = None
    last_error_us: int | None = None
    settings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """What it runs with: value and who set it, by setting; empty where it does not say."""

    @property
    def name(self) -> str:
        """What people call it: host and pid."""
        return f"{self.host}:{self.pid}"

    @property
    def writes(self) -> bool:
        """Whether it is one of those that bring requests, rather than show them."""
        return self.role != "dashboard"

    @property
    def batch_mean_us(self) -> float | None:
        """How long a batch takes, on average."""
        return self.batch_us / self.batches if self.batches else None


@dataclass(frozen=True)
class Facts:
    """All that a judgement on the whole is made from."""

    now_us: int
    """By the database's clock."""
    clock_us: int
    """How far ours is ahead."""
    processes: tuple[Process, ...]
    """Those at work first, and those that write before those that show."""
    schema: Schema | None
    maintainer: str | None
    """Who deletes what is old, or did last: host and pid."""
    maintained_until_us: int | None
    """When another one takes over unless this one goes on."""
    last_request_us: int | None

    @property
    def revision(self) -> str | None:
        """Of the tables."""
        return None if self.schema is None else self.schema.revision


def facts(store: Store) -> Facts:
    """Read a few small rows."""
    tables = store.tables
    schema = read_schema(store)
    with store.read() as connection:
        now_us = store.dialect.now_us(connection)
        clock_us = time.time_ns() // 1000 - now_us
        rows = connection.execute(select(tables.process)).mappings().all()
        lease = connection.execute(
            select(tables.lease.c.owner, tables.lease.c.expires).where(tables.lease.c.name == LEASE)
        ).first()
        last_us = connection.scalar(select(func.max(tables.endpoint.c.last_ts)))
    found = [_process(row, now_us) for row in rows]
    order = ("live", "late", "killed", "gone", "ended")
    return Facts(
        now_us=now_us,
        clock_us=clock_us,
        processes=tuple(
            sorted(found, key=lambda one: (order.index(one.state), not one.writes, one.host, one.pid))
        ),
        schema=schema,
        maintainer=None if lease is None else lease[0],
        maintained_until_us=None if lease is None else lease[1],
        last_request_us=last_us,
    )


def _process(row: RowMapping, now_us: int) -> Process:
    # As the database's clock showed it, however wrong the process's own was.
    ahead_us = row["clock_us"]
    heard_us = row["heartbeat_ts"] - ahead_us
    error_us = row["last_error_ts"]
    values: dict[str, Any] = {name: row[name] for name in _PLAIN}
    return Process(
        **values,
        id=bytes(row["id"]).hex(),
        state=_state(row["state"], now_us - heard_us),
        started_us=row["started_ts"] - ahead_us,
        heard_us=heard_us,
        dropped_by=_numbers(row["dropped_by"]),
        failures=_numbers(row["failures"]),
        last_error_us=None if error_us is None else error_us - ahead_us,
        settings=_settings(row.get("settings")),
    )


_PLAIN = (
    "role", "host", "pid", "service", "version", "fmd_otel", "python", "retention", "clock_us", "accepted",
    "written", "replayed", "duplicate", "dropped", "dropped_hour", "details_dropped", "waiting",
    "waiting_before", "waiting_bytes", "retries", "batches", "batch_us", "batch_max_us", "last_error",
)  # fmt: skip


def _state(said: int, silent_us: int) -> State:
    if said == SAID_GOODBYE:
        return "ended"
    if said == FOUND_DEAD:
        return "killed"
    if silent_us <= LATE_S * _US:
        return "live"
    return "late" if silent_us <= MISSED_S * _US else "gone"


def _settings(text: str | None) -> dict[str, tuple[str, str]]:
    try:
        found = json.loads(text or "{}")
        return {str(name): (str(value), str(origin)) for name, (value, origin) in found.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _numbers(text: str) -> dict[str, int]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return (
        {str(name): n for name, n in found.items() if isinstance(n, int)} if isinstance(found, dict) else {}
    )
