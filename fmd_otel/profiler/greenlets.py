"""Greenlets: many of them share one thread, one CPU clock and one entry among the interpreter's frames.

A greenlet that is not running keeps its stack, so that one is read instead of the thread's. How much each of
them computes is told by greenlet itself, which can call a function whenever one takes over from another. It
does so only while requests are being profiled.
"""

from __future__ import annotations

import sys
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

from fmd_otel.profiler.clocks import cpu_ns, is_patched_by_gevent, own_clock, real_thread_id
from fmd_otel.profiler.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from types import FrameType

    from fmd_otel.profiler.walker import Stack


class GreenletClock:
    """The CPU time of one greenlet."""

    __slots__ = ("_since_ns", "_thread_clock", "_used_ns")

    def __init__(self) -> None:
        """Begin in the greenlet itself, which is running."""
        self._thread_clock = own_clock()
        self._used_ns = 0
        self._since_ns = thread_time_ns()

    def pause(self, now_ns: int) -> None:
        """Note that another greenlet takes over."""
        if self._since_ns >= 0:
            self._used_ns += now_ns - self._since_ns
            self._since_ns = -1

    def go_on(self, now_ns: int) -> None:
        """Note that it takes over again."""
        self._since_ns = now_ns

    def read(self) -> int:
        """Return its CPU time so far; from any thread."""
        since_ns, used_ns = self._since_ns, self._used_ns
        if since_ns < 0:
            return used_ns
        now_ns = cpu_ns(self._thread_clock)
        return used_ns if now_ns is None else used_ns + max(now_ns - since_ns, 0)


class Switches:
    """Keeps the clocks of the profiled greenlets of one thread."""

    def __init__(self, greenlet: Any) -> None:
        """Keep none yet.

        Args:
            greenlet: The module.
        """
        self._greenlet = greenlet
        self._clocks: dict[int, GreenletClock] = {}
        self._previous: Callable[[str, Any], None] | None = None

    def add(self, current: Any) -> GreenletClock:
        """Start the clock of the running greenlet."""
        clock = GreenletClock()
        if not self._clocks:
            self._previous = self._greenlet.settrace(self._traced)
        self._clocks[id(current)] = clock
        return clock

    def remove(self, current: Any) -> None:
        """Keep it no more; in the thread it was started in."""
        was_last = self._clocks.pop(id(current), None) is not None and not self._clocks
        # Unless somebody has come in between: theirs is not ours to take away.
        if was_last and self._greenlet.gettrace() == self._traced:
            self._greenlet.settrace(self._previous)

    def _traced(self, event: str, arguments: Any) -> None:
        now_ns = thread_time_ns()
        origin, target = arguments
        clock = self._clocks.get(id(origin))
        if clock is not None:
            clock.pause(now_ns)
        clock = self._clocks.get(id(target))
        if clock is not None:
            clock.go_on(now_ns)
        if self._previous is not None:
            self._previous(event, arguments)


_switches: dict[int, Switches] = {}
"""By thread; there are few that run greenlets."""


class GreenletPlace(Place):
    """A greenlet that works for a request."""

    __slots__ = ("_current", "_greenlet_clock")

    keeps_a_clock = True

    def __init__(
        self,
        bases: Container[int],
        current: Any,
        *,
        prefix: Stack | None = None,
        outer: int | None = None,
    ) -> None:
        """Begin in the running greenlet, which is ``current``."""
        super().__init__(bases, prefix=prefix, outer=outer)
        self._current = current
        self._greenlet_clock = self._start_clock()
        self._cpu_ns = self._greenlet_clock.read()

    def _start_clock(self) -> GreenletClock:
        thread = real_thread_id()
        switches = _switches.get(thread)
        if switches is None:
            switches = _switches.setdefault(thread, Switches(sys.modules["greenlet"]))
        return switches.add(self._current)

    def is_here(self) -> bool:
        """Tell whether the caller is this greenlet."""
        return sys.modules["greenlet"].getcurrent() is self._current

    def leave(self) -> None:
        """Hand the greenlet back to its server."""
        if self._current is None:
            return
        self._unread_ns += max(self._greenlet_clock.read() - self._cpu_ns, 0)
        self.thread_id = 0
        switches = _switches.get(real_thread_id())
        if switches is not None:
            switches.remove(self._current)
        self._current = None

    def enter(self) -> None:
        """Go on, in whatever greenlet this is."""
        self._current = sys.modules["greenlet"].getcurrent()
        self._greenlet_clock = self._start_clock()
        self._cpu_ns = self._greenlet_clock.read()
        self.thread_id = real_thread_id()

    def read_clock(self) -> int:
        """Return the CPU time used since the last reading."""
        used_ns, self._unread_ns = self._unread_ns, 0
        if self.thread_id:
            now_ns = self._greenlet_clock.read()
            used_ns += max(now_ns - self._cpu_ns, 0)
            self._cpu_ns = now_ns
        return used_ns

    def stack(self, frames: Mapping[int, FrameType]) -> Stack | None:
        """Return its own stack: the suspended one, or that of the thread while it is running."""
        current = self._current
        if current is None:
            return None
        frame = current.gr_frame
        self._is_suspended = frame is not None
        if frame is None:
            frame = frames.get(self.thread_id)
            if frame is None:
                return None
        return self._own_part(frame)


def current_greenlet() -> Any:
    """Return the running greenlet, or None where the thread runs nothing but itself."""
    module = sys.modules.get("greenlet")
    if module is None:
        return None
    current = module.getcurrent()
    # Under gevent the thread's first greenlet takes turns with the others, too.
    return current if current.parent is not None or is_patched_by_gevent() else None
