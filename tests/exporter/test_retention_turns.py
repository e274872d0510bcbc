"""Who deletes what is old, and when; what becomes of it when one dies, and when others write meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from fmd_otel_exporter import lease
from fmd_otel_exporter.maintainer import EVERY_S, LEASE, LEASE_S, LOOK_EVERY_S, Maintainer
from fmd_otel_exporter.retention import Deleted, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer
from tests.exporter.conftest import WEEK

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

S_US = 1_000_000
HOUR_US = 3_600 * S_US
DAY_US = 86_400 * S_US


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store)


@pytest.fixture(autouse=True)
def _writers_clock(at) -> None:
    """Writers live on the day on which old things are old."""


def day_of(ts_us: int) -> int:
    return ts_us // DAY_US * 86_400


class Clock:
    """Stands still until it is told not to."""

    def __init__(self, now_us: int) -> None:
        self.now_s = now_us / S_US

    def __call__(self) -> float:
        return self.now_s

    def rest(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(today_us: int) -> Clock:
    return Clock(today_us)


@pytest.fixture
def process(clock: Clock) -> Callable[..., Maintainer]:
    return lambda name, policy=WEEK: Maintainer(policy, owner=name, clock=clock, timer=clock, rest=clock.rest)


def _old(writer: Writer, record: Any, today_us: int, n: int = 20) -> None:
    writer.write([record(ts_us=today_us - 10 * DAY_US) for _ in range(n)])
    compact_days(writer._store, now_ts_us=today_us)
    for _ in sum_up_subjects(writer._store):
        pass


@pytest.fixture
def slow(clock: Clock, monkeypatch) -> None:
    """Steps of four rows, 20 ms each."""
    monkeypatch.setattr("fmd_otel_exporter.deleting.CHUNK", 4)

    def step_of(step: Deleted) -> Deleted:
        clock.now_s += 0.02
        return step

    monkeypatch.setattr(
        "fmd_otel_exporter.maintainer.prune", lambda *arguments: map(step_of, prune(*arguments))
    )


@pytest.mark.usefixtures("slow")
def test_a_run_is_done_in_as_many_calls_as_the_time_allows(
    store: Store, writer: Writer, record, today_us: int, process, see
):
    _old(writer, record, today_us)
    one = process("one")
    left = []
    while one.work(store, 0.1):
        left.append(see.sums()["requests"])
    # Two chunks a call: between them a rest that is twice as long, and after them what is left of the time.
    assert left[:3] == [12, 4, 0]
    assert one.deleted["request"] == 20


def test_one_process_of_many_does_it_once_an_hour(
    store: Store, writer: Writer, record, today_us: int, process, clock: Clock
):
    one, other = process("one"), process("other")
    _old(writer, record, today_us)
    while one.work(store, 1):
        assert not other.work(store, 1)
    _old(writer, record, today_us)
    for _ in range(int(EVERY_S / LOOK_EVERY_S) - 1):
        clock.now_s += LOOK_EVERY_S
        assert not one.work(store, 1)
        assert not other.work(store, 1)
    assert (one.deleted["request"], other.deleted["request"]) == (20, 0)
    clock.now_s += 2 * LOOK_EVERY_S
    while other.work(store, 1) or one.work(store, 1):
        pass
    assert one.deleted["request"] + other.deleted["request"] == 40


@pytest.mark.usefixtures("slow")
def test_one_that_dies_in_the_middle_is_replaced_within_its_lease(
    store: Store, writer: Writer, record, today_us: int, process, clock: Clock, see
):
    _old(writer, record, today_us)
    one, other = process("one"), process("other")
    assert one.work(store, 0.01)
    assert see.sums()["requests"] == 16
    died_s = clock.now_s
    while not other.work(store, 0.01):
        assert see.sums()["requests"] == 16
        clock.now_s += 1
    assert LEASE_S - 1 <= clock.now_s - died_s <= LEASE_S + LOOK_EVERY_S + 1
    while other.work(store, 1):
        pass
    assert see.sums()["requests"] == 0


@pytest.mark.usefixtures("slow")
def test_one_that_works_keeps_its_lease_and_one_that_slept_loses_it(
    store: Store, writer: Writer, record, today_us: int, process, clock: Clock
):
    _old(writer, record, today_us, n=100)
    one, other = process("one"), process("other")
    for _ in range(12):
        assert one.work(store, 0.01)
        clock.now_s += LEASE_S / 3
        assert not other.work(store, 0.01)
    clock.now_s += LEASE_S
    assert other.work(store, 0.01)
    assert not one.work(store, 0.01)
    assert (one.deleted["request"], other.deleted["request"]) == (48, 4)


def test_a_lease_from_the_far_future_binds_nobody(
    store: Store, writer: Writer, record, today_us: int, process, see
):
    lease.acquire(store, LEASE, "wrong clock", now_ts_us=today_us + 9_000 * DAY_US, for_us=1)
    _old(writer, record, today_us)
    one = process("one")
    while one.work(store, 1):
        pass
    assert see.sums()["requests"] == 0


def test_trouble_is_told_once_and_tried_again_an_hour_later(
    store: Store, writer: Writer, record, today_us: int, process, clock: Clock, monkeypatch, caplog
):
    _old(writer, record, today_us)
    one = process("one")
    with monkeypatch.context() as trouble:
        trouble.setattr("fmd_otel_exporter.maintainer.prune", lambda *_: 1 / 0)
        for _ in range(3):
            assert not one.work(store, 1)
            clock.now_s += EVERY_S + 1
    assert [record.message for record in caplog.records] == [
        (
            "fmd-otel cannot delete what is older than the settings RETENTION_*_DAYS say: "
            "ZeroDivisionError: division by zero. It tries again in an hour."
        )
    ]
    while one.work(store, 1):
        pass
    assert one.deleted["request"] == 20


# Others at work


PRUNER = """
import sys
from fmd_otel_exporter import deleting
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.store import open_store
deleting.CHUNK = 7
store = open_store(sys.argv[1])
print("ready", flush=True)
for step in prune(store, Retention(7, 14).cutoffs(int(sys.argv[2]))):
    print(step.table, step.rows, flush=True)
"""


def test_one_killed_in_the_middle_leaves_everything_right(
    store: Store, writer: Writer, record, today_us: int, start, keep, see
):
    writer.write(
        [
            record(ts_us=today_us - age * DAY_US + n * HOUR_US, endpoint=f"e{n % 3}", duration_us=n)
            for age in (8, 20, 21)
            for n in range(1, 23)
        ]
    )
    compact_days(store, now_ts_us=today_us)
    days = see.rows("hits_day"), see.rows("lat_hist_day")
    for table in ("hits 7", "lat_hist 7", "request 7"):
        process = start(PRUNER, store.url, str(today_us))
        while process.stdout.readline().strip() not in {table, ""}:
            pass
        process.kill()
        process.wait()
        assert (see.rows("hits_day"), see.rows("lat_hist_day")) == days
    keep()
    assert see.sums()["requests"] == 0
    assert {day_of(row["bucket"] * S_US) for row in see.rows("hits")} == {
        day_of(today_us - 8 * DAY_US + HOUR_US)
    } | {day_of(today_us - 8 * DAY_US + 22 * HOUR_US)}
    assert (see.rows("hits_day"), see.rows("lat_hist_day")) == days


MAINTAINER = """
import sys, time
from fmd_otel_exporter import deleting, maintainer
from fmd_otel_exporter.retention import Retention
from fmd_otel_exporter.store import open_store
deleting.CHUNK = 5
maintainer.LEASE_S, maintainer.LOOK_EVERY_S = 2, 0.1
offset_s = int(sys.argv[2]) / 1_000_000 - time.time()
mine = maintainer.Maintainer(Retention(7, 14), clock=lambda: time.time() + offset_s)
store = open_store(sys.argv[1])
print("ready", flush=True)
if sys.argv[3] == "goes on":
    sys.stdin.readline()
told = 0
while True:
    mine.work(store, 0.01)
    if mine.deleted["request"] != told:
        told = mine.deleted["request"]
        print(told, flush=True)
        if sys.argv[3] == "hangs":
            time.sleep(1000)
    time.sleep(0.02)
"""


def test_a_killed_maintainer_is_replaced_by_another_process_once_its_lease_is_over(
    store: Store, writer: Writer, record, today_us: int, start, see, eventually
):
    _old(writer, record, today_us, n=300)
    compact_days(store, now_ts_us=today_us)
    first = start(MAINTAINER, store.url, str(today_us), "hangs")
    assert first.stdout.readline() == "ready\n"
    assert int(first.stdout.readline()) > 0
    second = start(MAINTAINER, store.url, str(today_us), "goes on")
    assert second.stdout.readline() == "ready\n"
    first.kill()
    first.wait()
    left = see.sums()["requests"]
    assert 0 < left < 300
    second.stdin.write("go\n")
    second.stdin.flush()
    begun = [int(second.stdout.readline())]  # it waits for the lease to run out, and then goes on
    eventually(lambda: see.sums()["requests"] == 0)
    assert 0 < begun[0] <= left
    assert sum(row["n"] for row in see.rows("hits_day")) == 300


@pytest.fixture
def late_batches() -> int:
    """How many batches each of some writers sends."""
    return 60


def test_writers_of_late_requests_meet_retention_and_all_is_counted(
    store: Store, writer: Writer, record, today_us: int, start, see, late_batches: int
):
    """Several processes write into days that are summed up, sealed and pruned at the same time."""
    code = """
import os, sys
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
writer = Writer(open_store(sys.argv[1]))
now, me = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for turn in range(int(sys.argv[4])):
    writer.write([
        RequestRecord("shop", f"e{n % 4}", now - (16 + (turn + n) % 5) * 86_400_000_000 + turn * 1000 + n,
                      os.urandom(8), os.urandom(16), n + 1, 200, "GET", "1")
        for n in range(20)
    ])
print("done", flush=True)
"""
    writer.write([record(ts_us=today_us - (16 + age) * DAY_US, endpoint="e0") for age in range(5)])
    writers = [start(code, store.url, str(today_us), str(me), str(late_batches)) for me in range(3)]
    for process in writers:
        assert process.stdout.readline() == "ready\n"
    for process in writers:
        process.stdin.write("go\n")
        process.stdin.flush()
    while any(process.poll() is None for process in writers):
        compact_days(store, now_ts_us=today_us)
        for _ in prune(store, WEEK.cutoffs(today_us)):
            pass
    for process in writers:
        output, errors = process.communicate(timeout=300)
        assert (output, errors) == ("done\n", "")
    compact_days(store, now_ts_us=today_us)
    for _ in prune(store, WEEK.cutoffs(today_us)):
        pass
    sent = 3 * late_batches * 20 + 5
    with store.read() as connection:
        for table in (store.tables.hits_day, store.tables.lat_hist_day):
            assert connection.scalar(select(func.sum(table.c.n))) == sent
    assert see.sums() == {"requests": 0, "hits": 0, "latencies": 0}
