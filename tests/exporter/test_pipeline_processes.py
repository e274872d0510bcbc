"""The pipeline where servers fork, patch and end: in processes of its own."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from tests import ending

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store


HEAD = """
import contextlib, os, sys, time, threading
from fmd_otel_exporter.pipeline import Pipeline, shared_pipeline
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.settings import ExporterSettings
def record():
    return RequestRecord("s", "e", time.time_ns() // 1000, os.urandom(8), os.urandom(16), 5, 200, "GET", "1")
def settings(**kw):
    return ExporterSettings(**{"database": sys.argv[1], "delay_ms": 20, **kw})
"""
PATIENT = HEAD + ending.PATIENT


def _count(store: Store) -> int:
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(store.tables.request))


def test_what_was_offered_just_before_the_end_is_written(store: Store, run):
    run(
        PATIENT + "p = shared_pipeline(settings(delay_ms=60_000))\nfor _ in range(700): p.offer(record())\n",
        store.url,
    )
    assert _count(store) == 700


def test_a_failing_script_writes_what_it_served(store: Store, start):
    process = start(
        PATIENT + "p = shared_pipeline(settings())\np.offer(record())\nraise SystemExit(3)", store.url
    )
    process.communicate(timeout=300)
    assert process.returncode == 3
    assert _count(store) == 1


def test_the_end_closes_the_file_so_that_it_may_be_copied(tmp_path, run):
    run(PATIENT + "p = shared_pipeline(settings())\np.offer(record())\n", f"sqlite:///{tmp_path}/own.db")
    assert sorted(path.name for path in tmp_path.glob("own.db*")) == ["own.db", "own.db.lock", "own.db.spool"]
    assert not [path for path in tmp_path.glob("own.db.spool/**/*") if path.is_file()]


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "oracle://h/d"])
def test_a_database_that_is_not_there_does_not_hold_up_the_end(start, url: str):
    process = start(
        HEAD + "p = shared_pipeline(settings())\np.offer(record())\nprint('served', flush=True)\n", url
    )
    assert process.stdout.readline() == "served\n"
    begun = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 30  # 2 s by design; a busy machine may take more
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert "The app is not affected" in errors


def test_a_locked_database_does_not_hold_up_the_end(store: Store, start):
    other = sqlite3.connect(store.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    process = start(
        HEAD
        + "from fmd_otel_exporter.dialects import sqlite; sqlite.BUSY_TIMEOUT_S = 600\n"
        + "p = shared_pipeline(settings())\np.offer(record())\nprint('served', flush=True)\n",
        store.url,
    )
    assert process.stdout.readline() == "served\n"
    begun = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - begun < 30
    assert process.returncode == 0
    assert "Traceback" not in errors
    other.close()


@pytest.mark.parametrize("hooks", ["with hooks", "without hooks"])
def test_forked_workers_each_write_their_own_requests_once(store: Store, run, hooks: str):
    # Servers written in C (uWSGI) fork without running Python's hooks.
    code = (
        PATIENT
        + """
if sys.argv[2] == "without hooks":
    os.register_at_fork = lambda **kw: None
p = shared_pipeline(settings())
for _ in range(10): p.offer(record())          # the master serves (and writes) before it forks
idle = contextlib.nullcontext()
if sys.argv[2] == "without hooks":             # no hook can keep such a server from forking in mid-work
    p.force_flush()
    idle = p._worker.gate
children = []
with idle:
    for child in range(3):
        pid = os.fork()
        if pid == 0:
            for _ in range(100): p.offer(record())
            ok = p.force_flush() and p.counters().accepted == p.counters().written == 100
            os._exit(0 if ok else 1)
        children.append(pid)
for _ in range(10): p.offer(record())
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
print(codes, p.force_flush(), p.counters().written)
"""
    )
    assert run(code, store.url, hooks) == "[0, 0, 0] True 20"
    assert _count(store) == 320


def test_the_first_requests_of_a_forked_worker_may_come_on_many_threads_at_once(store: Store, run):
    # Without Python's hooks it is they who find out that theirs is another process.
    code = (
        PATIENT
        + """
import ctypes
sys.setswitchinterval(1e-6)
p = shared_pipeline(settings())
def serve(together):
    together.wait()
    for _ in range(3): p.offer(record())
codes = []
for child in range(10):
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        together = threading.Barrier(8)
        threads = [threading.Thread(target=serve, args=(together,)) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        ok = p.force_flush() and p.counters().accepted == p.counters().written == 24
        os._exit(0 if ok else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(codes)
"""
    )
    assert run(code, store.url) == str([0] * 10)
    assert _count(store) == 240


def test_a_fork_before_the_first_request_leaves_the_master_without_a_thread(store: Store, run):
    code = (
        PATIENT
        + """
p = shared_pipeline(settings())
pid = os.fork()
if pid == 0:
    p.offer(record())
    os._exit(0 if p.force_flush() else 1)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
print(threading.active_count(), "sqlalchemy" in sys.modules)
"""
    )
    assert run(code, store.url) == "1 False"
    assert _count(store) == 1


def test_threads_that_fork_at_the_same_time_leave_nothing_locked(store: Store, run):
    # Others' hooks may take their time between ours and the fork.
    code = (
        PATIENT
        + """
fmd_otel_exporter.pipeline._FORK_S = 0.25  # the second does not wait for the first
pauses = [0.0, 0.7]
os.register_at_fork(before=lambda: time.sleep(pauses.pop()))
p = shared_pipeline(settings())
p.offer(record())
assert p.force_flush()
def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
threads = [threading.Thread(target=fork) for _ in range(2)]
for thread in threads: thread.start(); time.sleep(0.1)
for thread in threads: thread.join()
p.offer(record())
print(p.force_flush())
"""
    )
    assert run(code, store.url) == "True"
    assert _count(store) == 2


def test_a_multiprocessing_pool_writes_what_its_workers_flush(store: Store, run):
    code = (
        PATIENT
        + """
import multiprocessing
p = shared_pipeline(settings())
def work(_):
    p.offer(record())
    return p.force_flush()
if __name__ == "__main__":
    p.offer(record())
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(all(pool.map(work, range(10))), p.force_flush())
"""
    )
    assert run(code, store.url) == "True True"
    assert _count(store) == 11


def test_under_gevent_a_locked_database_stops_no_greenlet(store: Store, run):
    code = (
        """
from gevent import monkey; monkey.patch_all()
"""
        + PATIENT
        + """
import gevent, sqlite3
p = shared_pipeline(settings())
p.offer(record())
assert p.force_flush()
other = sqlite3.connect(sys.argv[1].removeprefix("sqlite:///"), isolation_level=None)
other.execute("BEGIN IMMEDIATE")
longest = 0.0
def serve():
    global longest
    for _ in range(100):
        begun = time.perf_counter()
        p.offer(record())
        gevent.sleep(0.01)
        longest = max(longest, time.perf_counter() - begun)
gevent.joinall([gevent.spawn(serve) for _ in range(5)])
waiting = p.counters().queue_depth
other.execute("COMMIT")
print(waiting, p.force_flush(), p.counters().written, longest < 5)
"""
    )
    assert run(code, store.url) == "500 True 501 True"
    assert _count(store) == 501


def test_under_gevent_the_end_writes_what_was_offered(store: Store, run):
    run(
        "from gevent import monkey; monkey.patch_all()\n"
        + PATIENT
        + "p = shared_pipeline(settings(delay_ms=60_000))\nfor _ in range(50): p.offer(record())\n",
        store.url,
    )
    assert _count(store) == 50


def test_a_request_in_a_signal_handler_or_a_finaliser_cannot_deadlock(store: Store, run):
    code = (
        PATIENT
        + """
import signal, gc
p = shared_pipeline(settings(batch_size=3))
def interrupt(*_):
    p.offer(record())
    # Set anew at the end: a timer that repeats by itself could interrupt its handler without end.
    if time.monotonic() < deadline: signal.setitimer(signal.ITIMER_REAL, 0.0005)
signal.signal(signal.SIGALRM, interrupt)
deadline = time.monotonic() + 0.5
signal.setitimer(signal.ITIMER_REAL, 0.0005)
while time.monotonic() < deadline: p.offer(record())
signal.setitimer(signal.ITIMER_REAL, 0)
assert p.force_flush()
c = p.counters()
print(c.accepted == c.written + c.dropped_queue_full)
"""
    )
    assert run(code, store.url) == "True"
