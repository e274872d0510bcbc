"""What the dashboard knows of the processes that write."""

from __future__ import annotations

import os
import socket

import pytest
from sqlalchemy import insert, update

from fmd_otel_dash.health import judge
from fmd_otel_dash.queries.processes import facts
from fmd_otel_dash.queries.spools import by_host, local
from fmd_otel_exporter.counters import NOTHING
from fmd_otel_exporter.heartbeat import LATE_S, About, Heartbeat
from fmd_otel_exporter.migrations import HEAD
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.spool import Spool

S = 1_000_000


@pytest.fixture
def speak(store):
    """Let a process speak some time ago."""

    def now(ago_s: float = 0, role: str = "worker", **counters):
        with store.read() as connection:
            now_s = store.dialect.now_us(connection) / S - ago_s
        heartbeat = Heartbeat(
            About(role, "30,90,0"), lambda: NOTHING._replace(**counters), clock=lambda: now_s
        )
        heartbeat.serves = ("shop", "1.7.0")
        heartbeat.work(store)
        with store.write() as connection:  # its clock is the database's
            table = store.tables.process
            connection.execute(update(table).where(table.c.id == heartbeat.id).values(clock_us=0))
        return heartbeat

    return now


def test_a_database_in_which_nobody_spoke(store):
    found = facts(store)
    assert (found.processes, found.maintainer, found.revision) == ((), None, HEAD)
    assert abs(found.clock_us) < 60 * S


@pytest.mark.parametrize(
    ("ago_s", "state"), [(0, "live"), (LATE_S - 20, "live"), (LATE_S + 20, "late"), (5000, "gone")]
)
def test_how_long_somebody_is_silent_says_how_it_is(store, speak, ago_s, state):
    speak(ago_s, accepted=5, dropped={"spool_full": 2}, failures={"get_ip": 1})
    (one,) = facts(store).processes
    assert (one.state, one.name) == (state, f"{socket.gethostname()}:{os.getpid()}")
    assert (one.service, one.version, one.accepted, one.dropped) == ("shop", "1.7.0", 5, 2)
    assert (one.dropped_by, one.failures) == ({"spool_full": 2}, {"get_ip": 1})


def test_whoever_said_goodbye_has_ended(store, speak):
    speak().goodbye(store)
    assert facts(store).processes[0].state == "ended"


def test_a_clock_that_is_wrong_makes_nobody_late(store, speak):
    heartbeat = speak(3600)
    table = store.tables.process
    with store.write() as connection:
        wrong = update(table).where(table.c.id == heartbeat.id).values(clock_us=-3600 * S)
        connection.execute(wrong)
    found = facts(store)
    assert found.processes[0].state == "live"
    assert "Clocks differ" in [reason.general for reason in judge(found).reasons]


def test_json_that_nobody_can_read_is_nothing(store, speak):
    speak()
    with store.write() as connection:
        connection.execute(update(store.tables.process).values(dropped_by="[1]", failures="{"))
    (one,) = facts(store).processes
    assert (one.dropped_by, one.failures) == ({}, {})


def test_who_deletes_is_known_by_the_lease(store, speak):
    speak()
    with store.write() as connection:
        lease = store.tables.lease
        connection.execute(insert(lease).values(name="retention", owner="web1:1", expires=77))
    found = facts(store)
    assert (found.maintainer, found.maintained_until_us) == ("web1:1", 77)


def test_those_at_work_come_first_and_dashboards_after_them(store, speak):
    speak(role="dashboard")
    speak(4000)
    speak()
    assert [(one.state, one.role) for one in facts(store).processes] == [
        ("live", "worker"), ("live", "dashboard"), ("gone", "worker"),
    ]  # fmt: skip


def test_what_waits_is_added_up_by_host(store, speak):
    speak(queue_depth=3, spool_bytes=100)
    speak(queue_depth=4, spool_bytes=50)
    speak(4000, queue_depth=9)
    speak(role="dashboard")
    (host,) = by_host(facts(store).processes)
    assert (host.processes, host.waiting, host.waiting_bytes) == (2, 7, 150)


def test_the_directory_here_is_measured_without_reading_it(tmp_path):
    url = f"sqlite:///{tmp_path / 'fmd.db'}"
    assert local(url, "fmd", None) is None
    from fmd_otel_exporter.spool import spool_directory  # noqa: PLC0415

    spool = Spool(spool_directory(url, "fmd"))
    spool.append(RequestRecord("s", "e", 5, bytes(8), bytes(16), 5, 200, "GET", "1"))
    found = local(url, "fmd", None)
    assert found.total_bytes > 0
    assert found.orphaned_bytes == 0
    spool.close()
    found = local(url, "fmd", None)
    assert found.orphaned_bytes == found.total_bytes > 0
