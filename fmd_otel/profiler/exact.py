"""One request profiled by events: the profile that somebody has ordered.

A sampler on another thread cannot see what computes for shorter than the interpreter's switch interval. Here
the request's own thread tells where it is, whenever it calls something or returns and a fraction of a
millisecond has passed. That slows a request down by a third or so: too much for all of them, and right for
one. pyinstrument brings the part of this that has to be fast.
"""

from __future__ import annotations

import logging
import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.clocks import real_thread_id
from fmd_otel.profiler.greenlets import GreenletPlace, current_greenlet
from fmd_otel.profiler.place import AWAY, Place
from fmd_otel.profiler.streamed import ProfiledBody
from fmd_otel.profiler.trie import ELSEWHERE, ROOT, Trie
from fmd_otel.profiler.walker import walk
from fmd_otel.watch import NEVER_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from fmd_otel.profiler.credit import Between
    from fmd_otel.profiler.request_profile import Moment
    from fmd_otel.request_state import RequestState

logger = logging.getLogger("fmd_otel")

INTERVAL_NS = 200_000
_EVENTS_A_LIFE = 5000
"""The interval grows with the request: one of ten minutes must not cost much more than one of a second."""


class ExactProfile:
    """A request that tells by itself where it is; its interface is that of ``RequestProfile``."""

    exact = True
    duty = 0.0

    def __init__(self, main: Place, set_profile: Callable[..., None], *, start_ns: int) -> None:
        """Begin on the request's own thread.

        Args:
            main: Where the request runs.
            set_profile: pyinstrument's function, see ``event_profiler``.
            start_ns: When the request came, by ``perf_counter_ns``.
        """
        self.main = main
        self.pid = 0
        self.period_ns = INTERVAL_NS
        self.start_ns = self._seen_ns = start_ns
        self.due_ns = NEVER_NS
        self.end_ns = 0
        self.samples = 0
        self.trie = Trie()
        self.unplaced: Between = {}
        self.followed: list[Place] = []
        self.deliver: Any = None
        self.price_ns = 0
        self._set_profile = set_profile
        self._greenlet = current_greenlet()
        self._last_node = ROOT
        if isinstance(main, GreenletPlace):
            main.tell_switches(self._switched)
        self._start()

    def _start(self) -> None:
        self._set_profile(self._event, INTERVAL_NS / 1e9)

    def _event(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Give the time since the last event to where the thread was meanwhile."""
        if self._greenlet is not None and current_greenlet() is not self._greenlet:
            return
        now_ns = perf_counter_ns()
        wall_ns = now_ns - self._seen_ns
        if wall_ns < (now_ns - self.start_ns) // _EVENTS_A_LIFE:
            return
        # A function that is just being called has taken no time yet.
        stack = walk(frame.f_back if event == "call" else frame, BASES)
        if stack.is_whole or stack.is_cut:
            self._add(self.trie.leaf(stack), now_ns)

    def _switched(self, suspended: Any) -> None:
        """Give the time so far to where the greenlet stops, or the time it stood still to where it stopped.

        Others run meanwhile in the same thread; their events say nothing of this request.
        """
        if self.end_ns:
            return
        now_ns = perf_counter_ns()
        if suspended is not None:
            stack = walk(suspended.gr_frame, BASES)
            if stack.is_whole or stack.is_cut:
                self._add(self.trie.leaf(stack), now_ns)
                return
        self._add(self._last_node, now_ns)

    def _add(self, node: int, now_ns: int) -> None:
        wall_ns = now_ns - self._seen_ns
        self._seen_ns = now_ns
        self._last_node = node
        self.trie.add(node, wall_ns, min(self.main.read_clock(), wall_ns))
        self.trie.hits[node] += 1
        self.samples += 1

    def stand_before(self, body: Iterable[bytes], state: RequestState) -> Iterable[bytes]:
        """Return the body, made such that its parts are profiled as well."""
        return ProfiledBody(body, state)

    def leave(self) -> None:
        """Hand the thread back to the server."""
        if self.end_ns or self.main.thread_id == AWAY:
            return
        self._set_profile(None)
        self.main.leave()
        self._add(self._last_node, perf_counter_ns())
        self._last_node = self.trie.child(ROOT, None, ELSEWHERE)

    def enter(self) -> None:
        """Go on with making the body."""
        if self.end_ns:
            return
        self._add(self._last_node, perf_counter_ns())
        self._greenlet = current_greenlet()
        self.main.enter()
        self._start()

    def end(self, end_ns: int) -> None:
        """Note when the last byte had gone."""
        if self.main.thread_id == real_thread_id():  # or a greenlet of the same thread: it has one profiler
            self._set_profile(None)
        self.main.end()
        late_ns = self._seen_ns - end_ns
        if late_ns > 0:  # what we did about the end was no longer the request's
            wall_ns, cpu_ns = self.trie.wall_ns, self.trie.cpu_ns
            wall_ns[self._last_node] = max(wall_ns[self._last_node] - late_ns, 0)
            cpu_ns[self._last_node] = min(cpu_ns[self._last_node], wall_ns[self._last_node])
        else:
            self._add(self._last_node, end_ns)
        self.end_ns = end_ns

    @property
    def ended(self) -> bool:
        """Whether the request is over."""
        return self.end_ns != 0

    def look(self, moment: Moment) -> None:
        """Do nothing: it tells by itself."""

    def can_be_helped(self) -> bool:  # noqa: D102 # the same
        return False


def event_profiler() -> Callable[..., None] | None:
    """Return pyinstrument's function, or None where it is missing or somebody else's profiler is active."""
    if sys.getprofile() is not None:
        return None
    try:
        from pyinstrument.low_level.stat_profile import setstatprofile  # noqa: PLC0415 # an extra
    except ImportError:
        return None
    return setstatprofile


_said: set[str] = set()


def say_once(text: str) -> None:
    """Log why an ordered profile is not what it could be."""
    if text not in _said:
        _said.add(text)
        logger.warning("%s", text)
