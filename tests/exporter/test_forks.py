"""Beginning anew in a forked process: once, and before anybody goes on."""

from __future__ import annotations

import os
import sys
import threading

from fmd_otel_exporter.forks import Forks


class Counted:
    """Something that begins anew in each process, and counts how often."""

    def __init__(self) -> None:
        self.pid = 0  # as after a fork
        self.begun = 0
        self.forks = Forks()

    def begin(self) -> None:
        self.begun += 1
        self.notice()  # as a finaliser may that runs meanwhile
        self.pid = os.getpid()

    def notice(self) -> None:
        if self.begun and self.pid == 0:
            return
        self.forks.notice(lambda: self.pid, self.begin)


def test_many_threads_that_find_out_at_once_begin_anew_once():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            counted, together, seen = Counted(), threading.Barrier(8), []

            def find_out(counted=counted, together=together, seen=seen):
                together.wait()
                counted.forks.notice(lambda: counted.pid, counted.begin)
                seen.append(counted.pid)

            threads = [threading.Thread(target=find_out) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert counted.begun == 1
            assert seen == [os.getpid()] * 8
    finally:
        sys.setswitchinterval(interval)


def test_whoever_comes_again_while_beginning_is_not_held_up():
    counted = Counted()
    counted.forks.notice(lambda: counted.pid, counted.begin)
    assert counted.begun == 1


def test_a_lock_that_a_thread_of_the_parent_holds_holds_up_nobody_in_the_child(monkeypatch):
    forks, entered, go_on = Forks(), threading.Event(), threading.Event()

    def begin():
        entered.set()
        go_on.wait(10)

    thread = threading.Thread(target=forks.notice, args=(lambda: 0, begin))
    thread.start()
    assert entered.wait(10)
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a child
    begun = []
    forks.notice(lambda: 0, lambda: begun.append(None))
    assert begun == [None]
    go_on.set()
    thread.join()
