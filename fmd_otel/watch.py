"""Looking closer at a request while it runs: where profiler and outlier detection meet the request.

Counting a request needs nothing before it ends. These need to know of it as soon as its route is known, and
again on its way out. Below level 2 no request comes here.

Most requests are over before anybody would look at them. So a note of each is all that is made on its own
thread; whatever else is needed is made by the sampler's thread, once a request has grown old enough.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fmd_otel.otel_internals import SPAN_KEY
from fmd_otel.profiler.clocks import real_thread_id
from fmd_otel.profiler.greenlets import current_greenlet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from fmd_otel.guard import Guard
    from fmd_otel.profiler.sampler import Sampler
    from fmd_otel.request_state import RequestState

    Frames = Callable[[], Mapping[int, FrameType]]

WATCH_LEVEL = 2
"""The lowest monitor level at which a request is looked at while it runs."""
NEVER_NS = 1 << 62
"""When nothing is due any more."""


class Watcher(Protocol):
    """Somebody who looks closer. Each has a slot of its own on ``RequestState`` to remember a request by."""

    name: str
    """What its failures are counted under."""
    level: int
    """The lowest monitor level it is for."""

    def end(self, state: RequestState, now_ns: int) -> None:
        """See the request's last byte gone; its context is gone as well. Once, maybe without ``describe``."""


class Beginning(Watcher, Protocol):
    """One that has something to do before anybody has waited for anything."""

    def begin(self, state: RequestState, request: Any) -> None:
        """See a request before its view runs; on its own thread, in its context, its span started."""


class Describing(Watcher, Protocol):
    """One that has something to add once the status is known."""

    def describe(self, state: RequestState, request: Any, span: Any) -> None:
        """See the request's values; its context and span (or None) are alive."""


class Patient(Watcher, Protocol):
    """One that looks at requests once they have grown older."""

    sampler: Sampler
    """On whose thread."""

    def look_after(self, state: RequestState, now_ns: int, frames: Frames) -> int:
        """Look at a request that is running still; tell when to come again, by ``perf_counter_ns``.

        It may end meanwhile: ``state.done`` tells, after whatever is left behind on the state.
        """


class Party(NamedTuple):
    """The watchers of one request; sorted out once, as requests are many and parties few."""

    all: tuple[Watcher, ...]
    beginning: tuple[Beginning, ...]
    describing: tuple[Describing, ...]
    patient: tuple[Patient, ...]
    sampler: Sampler | None


class Watch:
    """All watchers of one application."""

    def __init__(self, guard: Guard) -> None:
        """Begin with nobody."""
        self._guard = guard
        self._watchers: tuple[Watcher, ...] = ()
        self._parties: dict[tuple[int, bool], Party] = {}

    def add(self, watcher: Watcher) -> None:
        """Let somebody see requests from now on."""
        self._watchers = (*self._watchers, watcher)
        self._parties = {}

    def begin(self, state: RequestState, request: Any) -> None:
        """Tell those for whom the request's level is high enough."""
        key = state.level, state.is_ordered
        party = self._parties.get(key)
        if party is None:
            party = self._parties[key] = self._party(*key)
        state.watchers = party
        state.request = request
        span = request.environ.get(SPAN_KEY)
        if span is not None:
            # A tuple, whose properties would take longer.
            state.trace_id, state.span_id = span.get_span_context()[:2]
            if span.is_recording():
                state.span = span
        greenlet = current_greenlet()
        if greenlet is not None:
            state.greenlet = greenlet, real_thread_id()
        for watcher in party.beginning:
            try:
                watcher.begin(state, request)
            except Exception as error:  # noqa: BLE001, PERF203 # nothing of ours may reach the request
                self._guard.failed(f"{watcher.name} (begin)", error)
        if party.sampler is not None:
            try:
                party.sampler.note(state)
            except Exception as error:  # noqa: BLE001 # the same
                self._guard.failed("the sampler (note)", error)

    def _party(self, level: int, is_ordered: bool) -> Party:  # noqa: FBT001 # half of a key
        found = tuple(
            each
            for each in self._watchers
            if each.level <= level or (is_ordered and getattr(each, "takes_orders", False))
        )
        beginning: Any = tuple(each for each in found if hasattr(each, "begin"))
        describing: Any = tuple(each for each in found if hasattr(each, "describe"))
        patient: Any = tuple(each for each in found if hasattr(each, "look_after"))
        return Party(found, beginning, describing, patient, patient[0].sampler if patient else None)

    def look_after(self, state: RequestState, now_ns: int, frames: Frames) -> None:
        """Let those look at a request who have been waiting for it to grow older."""
        due_ns = NEVER_NS
        for watcher in state.watchers.patient if state.watchers else ():
            try:
                due_ns = min(due_ns, watcher.look_after(state, now_ns, frames))
            except Exception as error:  # noqa: BLE001, PERF203 # the others look all the same
                self._guard.failed(f"{watcher.name} (look)", error)
        state.due_ns = due_ns

    def describe(self, state: RequestState, request: Any, span: Any) -> None:
        """Tell those who have something to add."""
        for watcher in state.watchers.describing if state.watchers else ():
            try:
                watcher.describe(state, request, span)
            except Exception as error:  # noqa: BLE001, PERF203 # the same
                self._guard.failed(f"{watcher.name} (describe)", error)

    def end(self, state: RequestState, now_ns: int) -> None:
        """Tell all of them; whatever they keep names the request as its record will."""
        if not state.span_id:
            state.span_id, state.trace_id = random.getrandbits(64), random.getrandbits(128)
        party = state.watchers
        if party is None:
            return
        if party.sampler is not None:
            party.sampler.forget(state)
        for watcher in party.all:
            try:
                watcher.end(state, now_ns)
            except Exception as error:  # noqa: BLE001, PERF203 # the same
                self._guard.failed(f"{watcher.name} (end)", error)
        state.request = state.span = state.greenlet = None

    def flush(self) -> None:
        """Have everything handed over that watchers still hold, where they hold anything."""
        for watcher in self._watchers:
            if hasattr(watcher, "flush"):
                self._tell(watcher, "flush")

    def close(self) -> None:
        """Have the watchers undo what they did to the application, where they did anything."""
        watchers, self._watchers, self._parties = self._watchers, (), {}
        for watcher in watchers:
            if hasattr(watcher, "close"):
                self._tell(watcher, "close")

    def _tell(self, watcher: Watcher, what: str) -> None:
        """Let no watcher's failure reach the others."""
        try:
            getattr(watcher, what)()
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self._guard.failed(f"{watcher.name} ({what})", error)
