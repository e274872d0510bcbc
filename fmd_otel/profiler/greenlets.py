"""Greenlets: many of them share one thread, one CPU clock and one entry among the interpreter's frames.

A greenlet that is not running keeps its stack, so that one is read instead of the thread's. How much each of
them computes is told by greenlet itself, which can call a function whenever one takes over from another. It
does so only while requests are being profiled.
"""

from __future__ import annotations

import sys
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

from fmd_otel.profiler.clocks import NO_CLOCK, cpu_ns, is_patched_by_gevent, own_clock, real_thread_id
from fmd_otel.profiler.place import AWAY, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from types import FrameType

    from fmd_otel.profiler.walker import Stack

    OnSwitch = Callable[[Any], None]


class GreenletClock:
    """The CPU time of one greenlet."""

    __slots__ = ("_since_ns", "_thread_clock", "_used_ns", "is_over", "on_switch")

    def __init__(self, on_switch: OnSwitch | None = None) -> None:
        """Begin in the greenlet itself, which is running.

        Args:
            on_switch: Called whenever another one has taken over, with the greenlet itself, and whenever it
                has taken over again, with None.
        """
        self.on_switch = on_switch
        self.is_over = False
        """Nobody reads it any more, and who said so was in another thread."""
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

    @property
    def is_readable(self) -> bool:
        """Whether its time is known just now: while it runs, by the thread's clock only."""
        return self._since_ns < 0 or self._thread_clock != NO_CLOCK

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
        self._are_some_over = False
        self._is_tracing = False

    def add(self, current: Any, on_switch: OnSwitch | None = None) -> GreenletClock:
        """Start the clock of the running greenlet."""
        clock = GreenletClock(on_switch)
        if not self._is_tracing:
            self._is_tracing = True
            self._previous = self._greenlet.settrace(self._traced)
        self._clocks[id(current)] = clock
        return clock

    def remove(self, current: Any, clock: GreenletClock) -> None:
        """Keep a clock no more; in the thread it was started in."""
        # The greenlet may have a newer one, for the next request that it serves.
        if self._clocks.get(id(current)) is clock:
            del self._clocks[id(current)]
            self._leave_if_empty()

    def remove_later(self, clock: GreenletClock) -> None:
        """Keep a clock no more once the thread it was started in switches greenlets; from any thread."""
        clock.is_over = True
        self._are_some_over = True

    def _leave_if_empty(self) -> None:
        # Unless somebody has come in between: theirs is not ours to take away.
        if not self._clocks and self._greenlet.gettrace() == self._traced:
            self._greenlet.settrace(self._previous)
            self._is_tracing = False

    def _traced(self, event: str, arguments: Any) -> None:
        now_ns = thread_time_ns()
        origin, target = arguments
        clock = self._clocks.get(id(origin))
        if clock is not None:
            clock.pause(now_ns)
            if clock.on_switch is not None:
                clock.on_switch(origin)
        clock = self._clocks.get(id(target))
        if clock is not None:
            if clock.on_switch is not None:
                clock.on_switch(None)
            clock.go_on(now_ns)
        if self._previous is not None:
            self._previous(event, arguments)
        if self._are_some_over:
            self._are_some_over = False
            self._clocks = {key: each for key, each in self._clocks.items() if not each.is_over}
            self._leave_if_empty()


_switches: dict[int, Switches] = {}
"""By thread; there are few that run greenlets."""


class GreenletPlace(Place):
    """A greenlet that works for a request."""

    __slots__ = ("_current", "_greenlet_clock", "_on_switch", "_switches")

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
        self._on_switch: OnSwitch | None = None
        self._start_clock()

    def _start_clock(self) -> None:
        thread = real_thread_id()
        switches = _switches.get(thread)
        if switches is None:
            switches = _switches.setdefault(thread, Switches(sys.modules["greenlet"]))
        self._switches = switches
        self._greenlet_clock = switches.add(self._current, self._on_switch)
        self._cpu_ns = self._greenlet_clock.read()

    def tell_switches(self, on_switch: OnSwitch) -> None:
        """Have a function called whenever the greenlet stops or goes on, see ``GreenletClock``."""
        self._on_switch = self._greenlet_clock.on_switch = on_switch

    def is_here(self) -> bool:
        """Tell whether the caller is this greenlet."""
        return sys.modules["greenlet"].getcurrent() is self._current

    def leave(self) -> None:
        """Hand the greenlet back to its server."""
        if self._current is None:
            return
        self._unread_ns += max(self._greenlet_clock.read() - self._cpu_ns, 0)
        self._stop_clock()

    def _stop_clock(self) -> None:
        current, self._current = self._current, None
        if current is None:
            return
        if self.thread_id == real_thread_id():
            self._switches.remove(current, self._greenlet_clock)
        else:
            self._switches.remove_later(self._greenlet_clock)
        self.thread_id = AWAY

    def enter(self) -> None:
        """Go on, in whatever greenlet this is."""
        self._current = sys.modules["greenlet"].getcurrent()
        self._start_clock()
        self.thread_id = real_thread_id()

    def end(self) -> None:
        """Note how much was computed up to the very end, or up to now if it goes on without its request."""
        if not self.is_here() and self._current is not None:
            self._unread_ns += max(self._greenlet_clock.read() - self._cpu_ns, 0)
            self._stop_clock()
        super().end()

    def knows(self) -> bool:
        """Tell whether the CPU time it used is known."""
        return self._greenlet_clock.is_readable

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
        self._is_suspended = current.gr_frame is not None
        frame = frame_of(current, frames, self.thread_id)
        return None if frame is None else self._own_part(frame)


def frame_of(current: Any, frames: Mapping[int, FrameType], thread_id: int) -> FrameType | None:
    """Return the innermost frame of a greenlet: of the suspended one, or its thread's while it is running."""
    suspended: FrameType | None = current.gr_frame
    return frames.get(thread_id) if suspended is None else suspended


def current_greenlet() -> Any:
    """Return the running greenlet, or None where the thread runs nothing but itself."""
    module = sys.modules.get("greenlet")
    if module is None:
        return None
    current = module.getcurrent()
    # Under gevent the thread's first greenlet takes turns with the others, too.
    if current.parent is not None or ("gevent.monkey" in sys.modules and is_patched_by_gevent()):
        return current
    return None
