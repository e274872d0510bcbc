"""Where requests wait between the web worker that served them and the database."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Generic, Protocol, TypeVar

R = TypeVar("R")
"""What it keeps: requests, or details of some of them."""


class Spool(Protocol[R]):
    """Accepts requests from any thread, and hands them in batches to one.

    A batch stays the spool's until :meth:`done`: whoever dies in between finds it here again (a spool on disk
    does so after the process itself has died). Batches must come back unchanged, since the database knows
    them by content.
    """

    def put(self, record: R) -> int:
        """Accept a request without ever blocking or raising; return how many were accepted so far."""

    def take(self, most: int) -> list[R]:
        """Return the batch not yet done, or the oldest requests as a new one, or nothing."""

    def done(self) -> None:
        """Forget the batch that was taken."""

    def tend(self) -> None:
        """Do what :meth:`take` does beside its work, while nobody takes: the database is away."""

    def __len__(self) -> int:
        """Count the requests that wait, those taken but not done included."""

    @property
    def accepted(self) -> int:
        """Requests ever accepted."""

    @property
    def settled(self) -> int:
        """Requests ever done or dropped; they settle in the order of acceptance."""

    @property
    def dropped(self) -> int:
        """Requests dropped because too many waited."""

    @property
    def refused(self) -> int:
        """Things handed over that were no requests, and were never accepted."""

    @property
    def place(self) -> str:
        """Say where requests wait, for a message."""

    def close(self) -> None:
        """Give back what the process holds; what waits stays for whoever comes next, where possible."""


class _Tally:
    """A counter many threads may advance: ``next()`` is one step of the interpreter, ``+=`` is not."""

    __slots__ = ("_count", "step")

    def __init__(self) -> None:
        self._count = count(1)
        self.step = self._count.__next__

    def value(self) -> int:
        # Its next value stands in its text; there is no other way to read it without advancing it.
        return int(repr(self._count)[len("count(") : -1]) - 1


class MemorySpool(Generic[R]):
    """Keeps requests in memory: they survive a database that is away, and not the process.

    Takes no lock: :meth:`put` may run inside the garbage collector, when a response is abandoned, and so in
    the middle of another ``put`` of the same thread.
    """

    def __init__(self, bound: int) -> None:
        """Keep at most ``bound`` requests, and the batch in flight."""
        self._bound = bound
        self._waiting: deque[R] = deque()
        self._in_flight: list[R] = []
        self._accepted = _Tally()
        self._dropped = _Tally()
        self._done = 0

    def put(self, record: R) -> int:
        """Accept a request; beyond the bound the oldest gives way."""
        waiting = self._waiting
        waiting.append(record)
        number: int = self._accepted.step()
        if len(waiting) > self._bound:
            try:
                waiting.popleft()
            except IndexError:  # the worker took all of them in this very moment
                return number
            self._dropped.step()
        return number

    def take(self, most: int) -> list[R]:
        """Return the batch to write next."""
        if not self._in_flight:
            waiting, batch = self._waiting, self._in_flight
            try:
                for _ in range(most):
                    batch.append(waiting.popleft())
            except IndexError:
                pass
        return self._in_flight

    def done(self) -> None:
        """Forget the batch in flight."""
        self._done += len(self._in_flight)
        self._in_flight = []

    def tend(self) -> None:
        """Do nothing: memory looks after itself."""

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def accepted(self) -> int:
        """Requests ever accepted."""
        return self._accepted.value()

    @property
    def settled(self) -> int:
        """Requests written, found unwritable, or dropped."""
        return self._done + self._dropped.value()

    @property
    def dropped(self) -> int:
        """Requests that gave way to newer ones."""
        return self._dropped.value()

    @property
    def refused(self) -> int:
        """Nothing: it is found out when it is written."""
        return 0

    @property
    def place(self) -> str:
        """Say where requests wait, for a message."""
        return f"memory (at most {self._bound})"

    def close(self) -> None:
        """Do nothing: memory goes with the process."""
