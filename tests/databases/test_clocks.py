"""A host whose clock is wrong costs nobody else their data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from fmd_otel_exporter import jobs, lease
from fmd_otel_exporter.clock import PATIENCE_S, database_now_us
from fmd_otel_exporter.maintainer import EVERY_S, LEASE, LOOK_EVERY_S, Maintainer
from fmd_otel_exporter.retention import Retention
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

SERVERS = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)
SQLITE = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
DAY_S = 86_400
S_US = 1_000_000


@pytest.fixture
def ahead_by(monkeypatch) -> Callable[[float], None]:
    """Set the clock of this machine, as this process sees it."""
    now, now_ns = time.time, time.time_ns

    def set_clock(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: now() + seconds)
        monkeypatch.setattr(time, "time_ns", lambda: now_ns() + int(seconds * 1e9))

    return set_clock


def maintain(store: Store, **options: Any) -> Maintainer:
    maintainer = Maintainer(Retention(raw_days=30), rest=lambda _: None, **options)
    while maintainer.work(store, 60):
        pass
    return maintainer


@SERVERS
def test_the_server_s_clock_says_what_is_old(store: Store, record, noon_us, see, ahead_by):
    old = noon_us - 40 * DAY_S * S_US
    Writer(store).write([record(), record(ts_us=old), record()])
    ahead_by(40 * DAY_S)
    assert maintain(store).deleted["request"] <= 1
    assert len([row for row in see.rows("request") if row["ts"] > old]) == 2
    ahead_by(0)
    (held,) = [row for row in see.rows("lease") if row["name"] == LEASE]
    assert abs(held["expires"] - database_now_us(store) - EVERY_S * S_US) < 600 * S_US


@SERVERS
def test_a_host_whose_clock_is_ahead_takes_nobody_s_lease(store: Store, ahead_by):
    assert lease.acquire(store, "x", "one", for_us=60 * S_US)
    job = jobs.begin(store, "prune", {})
    ahead_by(DAY_S)
    assert not lease.acquire(store, "x", "other", for_us=60 * S_US)
    assert jobs.latest(store)["prune"].state == jobs.RUNNING
    ahead_by(-DAY_S)
    assert lease.acquire(store, "x", "one", for_us=60 * S_US)
    ahead_by(0)
    assert not lease.acquire(store, "x", "other", for_us=60 * S_US)
    job.end("")


@SQLITE
@pytest.mark.parametrize("before", ["it started", "it looked"])
def test_without_a_server_a_clock_far_ahead_is_doubted_for_an_hour(
    store: Store, record, see, ahead_by, before: str
):
    at = [time.monotonic()]
    Writer(store).write([record(), record(ts_us=time.time_ns() // 1000)])
    compact_days(store, now_ts_us=database_now_us(store))
    if before == "it started":
        ahead_by(40 * DAY_S)
    maintainer = maintain(store, timer=lambda: at[0])
    ahead_by(40 * DAY_S)
    if before == "it looked":
        # The newest request is as wrong as the clock.
        Writer(store).write([record(ts_us=time.time_ns() // 1000)])
        at[0] += EVERY_S
    wrong = at[0] + 2 * LOOK_EVERY_S
    while at[0] < wrong + PATIENCE_S - 4 * LOOK_EVERY_S:
        at[0] += LOOK_EVERY_S
        maintainer.work(store, 60)
    assert see.sums()["requests"] == 2 + (before == "it looked")
    while at[0] < wrong + PATIENCE_S:
        at[0] += LOOK_EVERY_S
        while maintainer.work(store, 60):
            pass
    assert maintainer.deleted["request"] > 0


@SQLITE
def test_without_a_server_a_clock_that_agrees_with_the_requests_is_believed(
    store: Store, record, noon_us, see
):
    Writer(store).write([record(ts_us=time.time_ns() // 1000), record(ts_us=noon_us - 40 * DAY_S * S_US)])
    compact_days(store, now_ts_us=database_now_us(store))
    assert maintain(store).deleted["request"] == 1
    assert see.sums()["requests"] == 1
