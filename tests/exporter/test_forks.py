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
        self.pid = os.getpid()

    def notice(self) -> None:
        self.forks.notice(lambda: self.pid, self.begin)


class Interrupted(Counted):
    """One that somebody uses while it is beginning, as a finaliser may."""

    def begin(self) -> None:
        if not self.begun:
            self.begun = 1
            self.notice()
        super().begin()


def test_many_threads_that_find_out_at_once_begin_anew_once():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            counted, together, seen = Counted(), threading.Barrier(8), []

            def find_out(counted=counted, together=together, seen=seen):
                together.wait()
                counted.notice()
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


def test_whoever_comes_again_on_the_same_thread_while_it_is_beginning_does_not_wait_for_itself():
    counted = Interrupted()
    thread = threading.Thread(target=counted.notice, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert counted.pid == os.getpid()
    assert counted.begun == 3  # the first half, the one in between whole, the other half


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
