"""A thread that works for a request, and what was last seen there."""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, TypeAlias

from fmd_otel.profiler.bytecode import was_computing
from fmd_otel.profiler.clocks import NO_CLOCK, cpu_ns, own_clock, own_cpu_ns, real_thread_id
from fmd_otel.profiler.credit import Look
from fmd_otel.profiler.trie import ROOT
from fmd_otel.profiler.walker import walk, without_outer

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from types import FrameType

    from fmd_otel.profiler.sites import WaitingSites
    from fmd_otel.profiler.walker import Stack

AWAY = 0
"""Thread of a place where nothing of the request is running just now."""
_COMPUTES_SHARE = 4
"""A thread computes without the GIL if its clock moves for a quarter of the time it is looked at."""

_GO_BETWEENS = ("fmd_otel.", "opentelemetry.", "contextlib")


Origin: TypeAlias = "tuple[int, int, int]"
"""Where a thread stands, noted on the thread itself: its identity, its CPU clock, and what that shows."""


def origin_here() -> Origin:
    """Return where the calling thread stands."""
    return real_thread_id(), own_clock(), own_cpu_ns()


class Place:
    """A thread that works for a request."""

    __slots__ = (
        "_bases",
        "_clock",
        "_cpu_ns",
        "_is_suspended",
        "_outer",
        "_unread_ns",
        "ended",
        "is_sending",
        "look",
        "prefix",
        "thread_id",
    )

    keeps_a_clock = False
    """Has to be told that its request has ended, also if nobody has looked at it."""

    def __init__(
        self,
        bases: Container[int],
        *,
        prefix: Stack | None = None,
        outer: int | None = None,
        origin: Origin | None = None,
    ) -> None:
        """Begin in a thread.

        Args:
            bases: Identities of the code objects that are a request's outermost frame.
            prefix: The stack in another thread that this one works for.
            outer: How many of the outermost frames are not the request's, where no base tells.
            origin: Which thread, and where it stood when it began; None: the calling one, now.
        """
        self.thread_id, self._clock, self._cpu_ns = origin or origin_here()
        self.look = Look(ROOT, waits=True)
        """What the last look found; before the first one, the request itself."""
        self.prefix = prefix
        self.ended = False
        self.is_sending = False
        """The application has returned, and its server sends what is there."""
        self._is_suspended = False
        """The last look found it waiting for somebody to go on with it, not for a call to return."""
        self._bases = bases
        self._outer = outer
        self._unread_ns = 0

    # On the request's own thread

    def is_here(self) -> bool:
        """Tell whether the caller is in this place."""
        return self.thread_id == real_thread_id()

    def leave(self) -> None:
        """Hand the thread back to its server; it may do other things in between, or nothing."""
        self._unread_ns += max(own_cpu_ns() - self._cpu_ns, 0)
        self.thread_id = AWAY

    def enter(self) -> None:
        """Go on, on whatever thread this is."""
        self._clock = own_clock()
        self._cpu_ns = own_cpu_ns()
        self.thread_id = real_thread_id()

    def end(self) -> None:
        """Note how much was computed up to the very end; nobody looks here any more."""
        if self.is_here():
            self.leave()
        self.ended = True

    # On the sampler's thread

    def read_clock(self) -> int:
        """Return the CPU time used since the last reading."""
        used_ns, self._unread_ns = self._unread_ns, 0
        if self.thread_id != AWAY:
            now_ns = cpu_ns(self._clock)
            if now_ns is not None:
                used_ns += max(now_ns - self._cpu_ns, 0)
                self._cpu_ns = now_ns
        return used_ns

    @property
    def measures(self) -> bool:
        """Whether its thread's CPU clock can be read from another one."""
        return self._clock != NO_CLOCK

    def knows(self) -> bool:
        """Tell whether the CPU time it used so far is known."""
        return self._clock != NO_CLOCK

    def stack(self, frames: Mapping[int, FrameType]) -> Stack | None:
        """Return the request's own part of the stack; None where nothing of it is running."""
        frame = frames.get(self.thread_id)
        return None if frame is None else self._own_part(frame)

    def _own_part(self, frame: FrameType) -> Stack:
        stack = walk(frame, self._bases)
        if self._outer is not None:
            return without_outer(stack, self._outer)
        if stack.is_whole or stack.is_cut or self.is_sending:
            return stack
        # A greenlet within the request: libraries run them where they have to wait inside of an event loop.
        return stack._replace(is_whole=True)

    def waits(self, stack: Stack | None, sites: WaitingSites, *, is_prompt: bool) -> bool:
        """Tell whether the thread waits where it was just seen, and was not merely interrupted.

        Args:
            stack: What was seen.
            sites: What is known of the calls that threads wait in.
            is_prompt: Nobody held the GIL when the sampler wanted it, so nobody was interrupted.
        """
        if stack is None or not stack.codes or self._is_suspended:
            return True
        code, position = stack.codes[0], stack.positions[0]
        if was_computing(code, position):
            return False
        return sites.waits(code, position, is_prompt=is_prompt) and not self._is_computing()

    def _is_computing(self) -> bool:
        """Tell whether the thread is on the CPU although the GIL is ours: in C code that does without."""
        start_ns, before_ns = perf_counter_ns(), cpu_ns(self._clock)
        for _ in range(20):  # a few microseconds
            pass
        after_ns = cpu_ns(self._clock)
        if before_ns is None or after_ns is None:
            return False
        return (after_ns - before_ns) * _COMPUTES_SHARE > perf_counter_ns() - start_ns


def depth_of_caller() -> int:
    """Return how many frames there are outside of whoever called us, by way of OpenTelemetry or not."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 # documented, underscore and all
    while frame is not None and frame.f_globals.get("__name__", "").startswith(_GO_BETWEENS):
        frame = frame.f_back
    depth = -1
    while frame is not None:
        depth += 1
        frame = frame.f_back
    return depth
