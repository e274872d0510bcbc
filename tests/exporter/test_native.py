from __future__ import annotations

import itertools
import threading
import time

from fmd_otel_exporter.native import Signal, give_way, start_thread


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


def test_who_gives_way_is_soon_back_and_others_have_run():
    turns: list[str] = []
    ready = threading.Event()

    def other() -> None:
        ready.set()
        for _ in range(100):
            turns.append("other")
            give_way()

    start_thread(other, "other")
    assert ready.wait(20)
    for _ in range(100):
        turns.append("mine")
        give_way()
    # Without it, each would have had all its turns at once: a hundred take less than a switch interval.
    assert sum(one != next_one for one, next_one in itertools.pairwise(turns)) > 20


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
