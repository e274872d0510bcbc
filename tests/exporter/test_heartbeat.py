"""What processes say of themselves, to whoever looks into the database."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass

import pytest
from sqlalchemy import update

from fmd_otel_exporter.counters import NOTHING, Failures, PipelineCounters
from fmd_otel_exporter.heartbeat import (
    AT_WORK,
    EVERY_S,
    FOUND_DEAD,
    IDLE_EVERY_S,
    LATE_S,
    SAID_GOODBYE,
    About,
    Heartbeat,
)

NOW_S = 1_800_000_000
HOUR_S = 3600


@dataclass
class Process:
    """A process whose time and fate the test decides."""

    now_s: float = NOW_S
    counters: PipelineCounters = NOTHING

    def __post_init__(self) -> None:
        self.heartbeat = Heartbeat(
            About("worker", "30,90,0"),
            lambda: self.counters,
            clock=lambda: self.now_s,
            timer=lambda: self.now_s,
        )

    def after(self, seconds: float, **changed: object) -> None:
        self.now_s += seconds
        self.counters = self.counters._replace(**changed)


@pytest.fixture
def process() -> Process:
    return Process()


@pytest.fixture
def said(store, rows):
    """Return what processes have said."""
    return lambda: rows(store, "process")


def test_a_process_says_who_and_how_it_is(process, store, said):
    process.heartbeat.serves = ("shop", "1.7.0")
    process.after(
        3, accepted=12, written=10, queue_depth=2, dropped={"spool_full": 4, "refused": 1},
        failures={"get_ip": 3}, last_error="the disk is full", last_error_us=5, batches=2,
        batch_us=70, batch_max_us=40,
    )  # fmt: skip
    process.heartbeat.work(store)
    (row,) = said()
    assert row["id"] == process.heartbeat.id
    assert (row["host"], row["pid"]) == (socket.gethostname(), os.getpid())
    assert (row["service"], row["version"], row["role"], row["retention"]) == (
        "shop",
        "1.7.0",
        "worker",
        "30,90,0",
    )
    assert (row["started_ts"], row["heartbeat_ts"]) == (NOW_S * 1_000_000, (NOW_S + 3) * 1_000_000)
    assert (row["accepted"], row["written"], row["waiting"], row["dropped"]) == (12, 10, 2, 5)
    assert json.loads(row["dropped_by"]) == {"spool_full": 4, "refused": 1}
    assert json.loads(row["failures"]) == {"get_ip": 3}
    assert (row["last_error"], row["last_error_ts"]) == ("the disk is full", 5)
    assert row["state"] == AT_WORK
    assert row["python"].startswith("3.")


def test_it_speaks_at_most_so_often_however_much_happens(process, store, said):
    spoken = set()
    for n in range(100):
        process.after(1, accepted=n + 1)
        process.heartbeat.work(store)
        spoken.add(said()[0]["heartbeat_ts"])
    assert len(spoken) == 100 / EVERY_S


def test_an_idle_one_speaks_rarely(process, store, said):
    spoken = set()
    for _ in range(30):
        process.after(10)
        process.heartbeat.work(store)
        spoken.add(said()[0]["heartbeat_ts"])
    assert len(spoken) == 300 / IDLE_EVERY_S


def test_what_was_dropped_within_the_hour_is_told_apart(process, store, said):
    process.heartbeat.work(store)
    process.after(60, dropped={"spool_full": 7})
    process.heartbeat.work(store)
    assert said()[0]["dropped_hour"] == 7
    for _ in range(200):
        process.after(20)
        process.heartbeat.work(store)
    row = said()[0]
    assert (row["dropped"], row["dropped_hour"]) == (7, 0)


def test_drops_while_nothing_could_be_said_are_of_this_hour(process, store, said):
    process.heartbeat.work(store)
    process.after(5 * HOUR_S, dropped={"spool_full": 7})
    process.heartbeat.work(store)
    assert said()[0]["dropped_hour"] == 7


def test_what_waited_five_minutes_ago_is_told_beside_what_waits(process, store, said):
    for minute in range(20):
        process.after(60, queue_depth=minute * 100)
        process.heartbeat.work(store)
    row = said()[0]
    assert (row["waiting"], row["waiting_before"]) == (1900, 1400)


def test_what_is_remembered_does_not_grow(process, store):
    for n in range(2000):
        process.after(10, accepted=n)
        process.heartbeat._remember(process.heartbeat._past[-1]._replace(at_s=process.now_s))
    assert len(process.heartbeat._past) <= HOUR_S / EVERY_S + 2


def test_whoever_says_goodbye_is_not_missed_and_may_come_back(process, store, said):
    process.heartbeat.work(store)
    process.heartbeat.goodbye(store)
    assert said()[0]["state"] == SAID_GOODBYE
    process.after(1)
    process.heartbeat.work(store)
    assert said()[0]["state"] == AT_WORK


def test_whoever_never_spoke_says_no_goodbye(process, store, said):
    process.heartbeat.goodbye(store)
    process.heartbeat.goodbye(None)
    assert said() == []


@pytest.fixture
def silent(store):
    """A process of this host, silent for a while, under a pid of the test's choice."""

    def make(pid: int, host: str = socket.gethostname()) -> bytes:
        other = Process(now_s=NOW_S - LATE_S - 1)
        other.heartbeat.work(store)
        table = store.tables.process
        with store.write() as connection:
            connection.execute(
                update(table).where(table.c.id == other.heartbeat.id).values(pid=pid, host=host)
            )
        return other.heartbeat.id

    return make


def gone() -> int:
    """Return the id of a process that was."""
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_process_that_was_killed_is_found_dead_by_another(process, store, said, silent):
    killed, hangs, elsewhere = silent(gone()), silent(os.getpid()), silent(gone(), "another-host")
    process.heartbeat.work(store)
    states = {row["id"]: row["state"] for row in said()}
    assert states == {
        process.heartbeat.id: AT_WORK, killed: FOUND_DEAD, hangs: AT_WORK, elsewhere: AT_WORK,
    }  # fmt: skip


def test_trouble_with_the_database_stops_nobody(process, store, said, monkeypatch):
    def fail(*_args: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(store, "run", fail)
        process.heartbeat.work(store)
        process.heartbeat.goodbye(store)
    assert said() == []
    process.after(EVERY_S)
    process.heartbeat.work(store)
    assert len(said()) == 1


def test_long_texts_of_users_fit(process, store, said):
    process.heartbeat.serves = ("s" * 999, "🛒" * 999)
    process.after(1, last_error="x" * 99_999)
    process.heartbeat.work(store)
    assert len(said()[0]["service"]) == len(said()[0]["version"]) == 255


def test_failures_before_a_fork_are_the_parents():
    failures, counts, others = Failures(), {"get_ip": 3}, {"get_ip": 1, "group_by": 2}
    failures.watch(counts)
    failures.watch(counts)
    failures.watch(others)
    assert failures.read() == {"get_ip": 4, "group_by": 2}
    failures.begin_anew()
    assert failures.read() == {}
    counts["get_ip"] += 1
    assert failures.read() == {"get_ip": 1}
    failures.unwatch(others)
    assert failures.read() == {}


def test_whoever_is_silent_for_a_day_is_forgotten(process, store, said, keep):
    process.heartbeat.work(store)
    keep(now_us=(NOW_S + 80_000) * 1_000_000)
    assert len(said()) == 1
    assert keep(now_us=(NOW_S + 90_000) * 1_000_000)["process"] == 1
    assert said() == []
