from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.native import Signal, give_way, start_thread

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_signal_set_before_spares_the_wait():
    signal = Signal()
    signal.set()
    signal.set()
    begun = time.monotonic()
    signal.wait(30)
    assert time.monotonic() - begun < 20
    signal.wait(0)
    signal.wait(-1)


def test_a_signal_wakes_the_waiter():
    signal, woken = Signal(), threading.Event()

    def wait() -> None:
        signal.wait(60)
        woken.set()

    start_thread(wait, "waiter")
    signal.set()
    assert woken.wait(20)


@pytest.fixture
def nobody_is_interrupted() -> Iterator[None]:
    """Let threads run for as long as they do not give way by themselves."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("nobody_is_interrupted")
def test_who_gives_way_is_soon_back_and_others_have_run():
    turns: list[str] = []
    ended: list[bool] = []

    def take_turns(name: str) -> None:
        turns.append(name)
        give_way()

    def other() -> None:
        while not ended:
            take_turns("other")

    start_thread(other, "other")
    deadline = time.monotonic() + 20
    changes = 0
    try:
        # How many of its turns one has in a row is up to the system: the other may not have a processor.
        while changes <= 20 and time.monotonic() < deadline:
            take_turns("mine")
            changes += turns[-1] == "other"
    finally:
        ended.append(True)
    assert changes > 20


def test_threads_keep_no_interpreter_from_exiting(run):
    code = """
import time
from fmd_otel_exporter.native import start_thread
start_thread(lambda: time.sleep(600), "sleeper")
print("out")
"""
    assert run(code) == "out"


def test_under_gevent_threads_and_locks_are_real(run):
    code = """
from gevent import monkey; monkey.patch_all()
import _thread, gevent, time
from fmd_otel_exporter.native import Signal, start_thread
main = monkey.get_original("_thread", "get_ident")()
idents, done, real = [], Signal(), Signal()
def work():
    idents.append(monkey.get_original("_thread", "get_ident")())
    done.wait(30)           # blocks this thread alone
    idents.append("woken")
start_thread(work, "real")
gevent.sleep(0.05)
done.set()
while len(idents) < 2: gevent.sleep(0.01)
print(idents[0] != main, idents[1])
"""
    assert run(code) == "True woken"
