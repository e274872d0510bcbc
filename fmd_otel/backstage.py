"""One thread for what need not be done on a request's own: reading source lines, scrubbing, looking around.

It starts with the first piece of work, in each process its own, and sleeps while there is none.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections import deque
from typing import TYPE_CHECKING

from fmd_otel_exporter.forks import Forks
from fmd_otel_exporter.native import Signal, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_JOBS = 512
"""That may wait; whoever brings more does without, and says so in what is stored."""
LATER_S = 1.0
EXIT_WAIT_S = 2.0
_IDLE_S = 3600.0
_POLL_S = 0.002


class Backstage:
    """Work that waits for its thread, and the thread."""

    def __init__(self) -> None:
        """Begin with no work and no thread."""
        self.ticker: Callable[[], float | None] | None = None
        """Something to do at regular times: returns in how many seconds again, or None to be left alone."""
        self._exit_registered = False
        self._forks = Forks()
        self._reset()

    def _reset(self) -> None:
        self._jobs: deque[Callable[[], None]] = deque()
        self._later: deque[tuple[float, Callable[[], None]]] = deque()
        self._signal = Signal()
        self._starting: list[None] = [None]
        self._is_busy = False
        self._hurry = False
        self._pid = os.getpid()  # last: whoever reads it goes on with the rest

    def _notice_fork(self) -> None:
        self._forks.notice(lambda: self._pid, self._reset)

    def submit(self, job: Callable[[], None]) -> bool:
        """Have something done soon; the job brings its own failures where they belong.

        Returns:
            Whether there was room for it.
        """
        if self._pid != os.getpid():
            self._notice_fork()  # the parent does its own work
        if len(self._jobs) >= MOST_JOBS:
            return False
        self._jobs.append(job)
        return self.wake()

    def later(self, job: Callable[[], None]) -> bool:
        """Have something done in ``LATER_S``, or when somebody waits for all to be done.

        Returns:
            Whether it will be.
        """
        if self._pid != os.getpid():
            self._notice_fork()
        self._later.append((time.monotonic() + LATER_S, job))
        return self.wake()

    def wake(self) -> bool:
        """Let the thread look at once; start it where there is none."""
        if self._pid != os.getpid():
            self._notice_fork()
        if self._starting:
            return self._start()
        self._signal.set()
        return True

    def drain(self, timeout_s: float) -> bool:
        """Wait until all is done that was submitted.

        Returns:
            Whether it was.
        """
        if self._pid != os.getpid() or self._starting:
            return True
        deadline = time.monotonic() + timeout_s
        self._hurry = True
        while self._jobs or self._later or self._is_busy:
            if time.monotonic() > deadline:
                return False
            self._signal.set()
            time.sleep(_POLL_S)
        return True

    def _start(self) -> bool:
        try:
            self._starting.pop()  # one thread gets it
        except IndexError:
            return True
        try:
            if not self._exit_registered:
                self._exit_registered = True
                atexit.register(self.drain, EXIT_WAIT_S)
            start_thread(self._run, "fmd-otel-details")
        except Exception:  # noqa: BLE001 # out of threads, or the interpreter is exiting
            self._jobs.clear()
            self._starting.append(None)
            return False
        return True

    def _run(self) -> None:
        jobs, starting = self._jobs, self._starting
        try:
            while jobs is self._jobs:
                self._is_busy = True
                while jobs:
                    _do(jobs.popleft())
                next_s = self._do_later()
                self._is_busy = False
                if not jobs:
                    self._signal.wait(min(self._tick(), next_s))
        finally:  # not even what is no Exception may leave work without a thread
            self._is_busy = False
            starting.append(None)

    def _do_later(self) -> float:
        """Do what is due by now; tell in how many seconds there is more."""
        hurry, self._hurry = self._hurry, False
        while self._later:
            wait_s = self._later[0][0] - time.monotonic()
            if wait_s > 0 and not hurry:
                return wait_s
            _do(self._later.popleft()[1])
        return _IDLE_S

    def _tick(self) -> float:
        try:
            again_s = self.ticker() if self.ticker is not None else None
        except Exception:  # noqa: BLE001 # a look around that fails must not end the thread
            again_s = None
        return _IDLE_S if again_s is None else again_s


def _do(job: Callable[[], None]) -> None:
    with contextlib.suppress(Exception):  # jobs guard themselves; the thread must outlive one that does not
        job()


_shared: list[Backstage] = []


def backstage() -> Backstage:
    """Return the one of this process."""
    if not _shared:
        _shared.append(Backstage())
    return _shared[0]
