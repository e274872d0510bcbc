"""Work off the request's thread: bounded, done in order, by one thread that each process has of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from fmd_otel import backstage as module
from fmd_otel.backstage import Backstage

WAIT_S = 60


@pytest.fixture
def stage(monkeypatch):
    found = Backstage()
    monkeypatch.setattr(module.atexit, "register", lambda *_args: None)
    return found


@pytest.fixture
def held(stage):
    """A stage whose thread is busy until the event is set."""
    go_on, begun = threading.Event(), threading.Event()

    def wait():
        begun.set()
        go_on.wait(WAIT_S)

    stage.submit(wait)
    assert begun.wait(WAIT_S)
    yield go_on
    go_on.set()


def test_nothing_starts_before_there_is_work():
    before = threading.active_count()
    assert Backstage().drain(0)
    assert threading.active_count() == before


def test_work_is_done_in_order_on_one_other_thread(stage):
    done = []
    for number in range(100):
        stage.submit(lambda number=number: done.append((number, threading.get_ident())))
    assert stage.drain(WAIT_S)
    assert [number for number, _ in done] == list(range(100))
    assert len({thread for _, thread in done} | {threading.get_ident()}) == 2


def test_a_job_that_fails_is_not_the_end(stage):
    done = []
    stage.submit(lambda: 1 / 0)
    stage.submit(lambda: done.append(1))
    assert stage.drain(WAIT_S)
    assert done == [1]


def test_a_job_that_ends_the_thread_gets_another_one(stage):
    def end():
        raise SystemExit

    done = []
    stage.submit(end)
    while not stage._starting:
        pass
    stage.submit(lambda: done.append(1))
    assert stage.drain(WAIT_S)
    assert done == [1]


def test_more_than_a_bound_is_turned_away(stage, held, monkeypatch):
    monkeypatch.setattr(module, "MOST_JOBS", 3)
    done = []
    assert [stage.submit(lambda: done.append(1)) for _ in range(5)] == [True] * 3 + [False] * 2
    assert not stage.drain(0)
    held.set()
    assert stage.drain(WAIT_S)
    assert done == [1, 1, 1]


def test_what_is_for_later_is_done_when_somebody_waits_for_it(stage, monkeypatch):
    monkeypatch.setattr(module, "LATER_S", 3600.0)
    done = []
    assert stage.later(lambda: done.append(1))
    stage.submit(lambda: None)
    assert stage.drain(WAIT_S)
    assert done == [1]


def test_what_is_for_later_is_done_by_itself(stage, monkeypatch):
    monkeypatch.setattr(module, "LATER_S", 0.01)
    done = threading.Event()
    stage.later(done.set)
    assert done.wait(WAIT_S)


def test_a_look_around_comes_again_when_it_says_so(stage):
    looks = []
    enough = threading.Event()

    def look():
        looks.append(1)
        if len(looks) < 3:
            return 0.001
        enough.set()
        return None

    stage.ticker = look
    stage.wake()
    assert enough.wait(WAIT_S)


def test_a_look_around_that_fails_is_not_the_end(stage):
    stage.ticker = lambda: 1 / 0
    done = threading.Event()
    stage.submit(done.set)
    assert done.wait(WAIT_S)
    again = threading.Event()
    stage.submit(again.set)
    assert again.wait(WAIT_S)


def test_without_a_thread_to_be_had_nobody_waits(stage, monkeypatch):
    def no_thread(*_args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(module, "start_thread", no_thread)
    assert not stage.submit(lambda: None)
    assert not stage.later(lambda: None)
    assert stage.drain(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: run this on a POSIX system")
def test_a_forked_worker_does_its_own_work_and_not_its_parents(stage, held):
    done = []
    stage.submit(lambda: done.append("parent"))
    child = os.fork()
    if not child:
        stage.submit(lambda: done.append("child"))
        is_right = stage.drain(WAIT_S) and done == ["child"]
        os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    held.set()
    assert stage.drain(WAIT_S)
    assert done == ["parent"]


def test_the_first_work_in_a_forked_process_may_come_from_many_threads_at_once():
    code = """
import ctypes, os, sys, threading, time
from fmd_otel.backstage import Backstage
sys.setswitchinterval(1e-6)
stage, codes = Backstage(), set()
for _ in range(60):
    pid = ctypes.PyDLL(None).fork()  # as servers written in C do, without Python's hooks
    if pid == 0:
        done, together = [], threading.Barrier(8)
        def work():
            together.wait()
            for _ in range(3): stage.submit(lambda: done.append(None))
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        until = time.monotonic() + 60
        while len(done) < 24 and time.monotonic() < until: time.sleep(0.001)
        os._exit(len(done) != 24)
    codes.add(os.waitpid(pid, 0)[1])
print(codes)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == ["{0}"]
