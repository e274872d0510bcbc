"""Looking closer at a request while it runs: where profiler and outlier detection meet the request.

Counting a request needs nothing before it ends. These need to know of it as soon as its route is known, and
again on its way out. Below level 2 no request comes here.

Most requests are over before anybody would look at them. So a note of each is all that is made on its own
thread; whatever else is needed is made by the sampler's thread, once a request has grown old enough. And most
end as all others of their endpoint do, which is told by a comparison, without asking anybody.

Each function that a request calls here takes longer than it looks: what a processor has at hand is the
application's, and every further one has to be fetched from memory.
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fmd_otel.otel_internals import SPAN_KEY
from fmd_otel.profiler.clocks import real_thread_id
from fmd_otel.profiler.greenlets import current_greenlet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from fmd_otel.guard import Guard
    from fmd_otel.profiler.sampler import Sampler
    from fmd_otel.request_state import RequestState

    Frames = Callable[[], Mapping[int, FrameType]]

WATCH_LEVEL = 2
"""The lowest monitor level at which a request is looked at while it runs."""
NEVER_NS = 1 << 62
"""When nothing is due any more."""
ORDINARY_FOR_NS = 1_000_000_000
"""What is ordinary is asked anew so often: averages and levels change, if not by the second."""
_SERVER_ERROR = 500
_modules = sys.modules


class Ordinary(NamedTuple):
    """Which requests of an endpoint need nobody's attention at their end, if nothing happened to them."""

    below_ns: int
    """Those that took less than this,"""
    until_ns: int
    """until this moment, by ``perf_counter_ns``."""


class Watcher(Protocol):
    """Somebody who looks closer. Each has a slot of its own on ``RequestState`` to remember a request by."""

    name: str
    """What its failures are counted under."""
    level: int
    """The lowest monitor level it is for."""

    def end(self, state: RequestState, now_ns: int) -> None:
        """See the request's last byte gone; its context is gone as well. Once, maybe without ``describe``."""


class Preparing(Watcher, Protocol):
    """One that does something to the application or the process, but only once it is needed."""

    def prepare(self) -> None:
        """See that a request is about to be watched, before its view runs; the first one, maybe others."""


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


class Easy(Watcher, Protocol):
    """One that need not see ordinary requests end."""

    def ordinary(self, state: RequestState) -> Ordinary:
        """Return which ones are; of the endpoint of this one, which has just ended."""


class Party:
    """The watchers of an endpoint's requests; sorted out once, as requests are many and parties few."""

    __slots__ = (
        "all",
        "beginning",
        "below_ns",
        "describing",
        "easy",
        "patient",
        "sampler",
        "strict",
        "until_ns",
    )

    def __init__(self, watchers: Sequence[Any]) -> None:
        """Sort them by what they want to see."""
        self.all: tuple[Watcher, ...] = tuple(watchers)
        self.beginning: tuple[Beginning, ...] = tuple(each for each in watchers if hasattr(each, "begin"))
        self.describing: tuple[Describing, ...] = tuple(
            each for each in watchers if hasattr(each, "describe")
        )
        self.patient: tuple[Patient, ...] = tuple(each for each in watchers if hasattr(each, "look_after"))
        self.easy: tuple[Easy, ...] = tuple(each for each in watchers if hasattr(each, "ordinary"))
        self.strict: tuple[Watcher, ...] = tuple(each for each in watchers if not hasattr(each, "ordinary"))
        """Those that are not easy."""
        self.sampler: Sampler | None = self.patient[0].sampler if self.patient else None
        self.below_ns = self.until_ns = 0
        """What is ordinary, and until when; nothing yet."""


class Watch:
    """All watchers of one application."""

    def __init__(self, guard: Guard) -> None:
        """Begin with nobody."""
        self._guard = guard
        self._watchers: tuple[Watcher, ...] = ()
        # By level and endpoint: few. One key of both, and of whether it is ordered, takes longer to look up.
        self._parties: defaultdict[int, dict[str, Party]] = defaultdict(dict)
        self._ordered: defaultdict[int, dict[str, Party]] = defaultdict(dict)

    def add(self, watcher: Watcher) -> None:
        """Let somebody see requests from now on."""
        self._watchers = (*self._watchers, watcher)
        self._parties, self._ordered = defaultdict(dict), defaultdict(dict)

    def begin(self, state: RequestState, request: Any, endpoint: str) -> None:
        """Tell those for whom the request's level is high enough."""
        parties = self._ordered if state.is_ordered else self._parties
        party = parties[state.level].get(endpoint)
        if party is None:
            party = parties[state.level][endpoint] = self._party(state.level, is_ordered=state.is_ordered)
        state.watchers = party
        state.endpoint = endpoint
        state.request = request
        state.span = span = request.environ.get(SPAN_KEY)
        if span is not None:
            try:  # noqa: SIM105 # contextlib.suppress would cost every request, try costs none
                span.fmd_otel_request = state
            except AttributeError:  # somebody's own kind of span, whose steps are not gathered then
                pass
        # What current_greenlet() asks first: of most threads it is all.
        greenlets = _modules.get("greenlet")
        if greenlets is not None and (
            greenlets.getcurrent().parent is not None or "gevent.monkey" in _modules
        ):
            greenlet = current_greenlet()
            if greenlet is not None:
                state.greenlet = greenlet, real_thread_id()
        if party.beginning:
            self._tell_beginning(party, state, request)
        sampler = party.sampler
        if sampler is not None:
            sampler.notes.add(state)
            if not sampler.calm_from_ns < state.start_ns < sampler.calm_until_ns:
                self._look_round(sampler, state)

    def _tell_beginning(self, party: Party, state: RequestState, request: Any) -> None:
        for watcher in party.beginning:
            try:
                watcher.begin(state, request)
            except Exception as error:  # noqa: BLE001, PERF203 # nothing of ours may reach the request
                self._guard.failed(f"{watcher.name} (begin)", error)

    def _look_round(self, sampler: Sampler, state: RequestState) -> None:
        try:
            sampler.look_round(state)
        except Exception as error:  # noqa: BLE001 # the same
            self._guard.failed("the sampler (note)", error)

    def _party(self, level: int, *, is_ordered: bool) -> Party:
        found = [
            each
            for each in self._watchers
            if each.level <= level or (is_ordered and getattr(each, "takes_orders", False))
        ]
        for watcher in found:
            if hasattr(watcher, "prepare"):
                self._tell(watcher, "prepare")
        return Party(found)

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
        """Tell those who have to know."""
        party = state.watchers
        if party is None:
            return
        if party.sampler is not None:
            party.sampler.notes.discard(state)
        if (
            now_ns - state.start_ns < party.below_ns
            and now_ns < party.until_ns
            and 0 < state.status < _SERVER_ERROR
            and state.outlier is None
            and state.steps is None
            and state.sightings is None
        ):
            if party.strict:
                self._tell_end(party.strict, state, now_ns)
        else:
            self._tell_end(party.all, state, now_ns)
            self._learn(party, state, now_ns)
        state.request = state.span = state.greenlet = None

    def _tell_end(self, watchers: tuple[Watcher, ...], state: RequestState, now_ns: int) -> None:
        """Tell some of them; whatever they keep names the request as its record will."""
        state.take_ids()
        if not state.span_id:
            state.span_id, state.trace_id = random.getrandbits(64), random.getrandbits(128)
        for watcher in watchers:
            try:
                watcher.end(state, now_ns)
            except Exception as error:  # noqa: BLE001, PERF203 # the same
                self._guard.failed(f"{watcher.name} (end)", error)

    def _learn(self, party: Party, state: RequestState, now_ns: int) -> None:
        """Ask what is ordinary for the endpoint of a request, once it has ended."""
        if now_ns < party.until_ns:
            return
        below_ns, until_ns = NEVER_NS, now_ns + ORDINARY_FOR_NS
        for watcher in party.easy:
            try:
                found = watcher.ordinary(state)
            except Exception as error:  # noqa: BLE001 # the same
                self._guard.failed(f"{watcher.name} (ordinary)", error)
                return
            below_ns, until_ns = min(below_ns, found.below_ns), min(until_ns, found.until_ns)
        party.below_ns, party.until_ns = below_ns, until_ns

    def flush(self) -> None:
        """Have everything handed over that watchers still hold, where they hold anything."""
        for watcher in self._watchers:
            if hasattr(watcher, "flush"):
                self._tell(watcher, "flush")

    def close(self) -> None:
        """Have the watchers undo what they did to the application, where they did anything."""
        watchers, self._watchers = self._watchers, ()
        self._parties, self._ordered = defaultdict(dict), defaultdict(dict)
        for watcher in watchers:
            if hasattr(watcher, "close"):
                self._tell(watcher, "close")

    def _tell(self, watcher: Watcher, what: str) -> None:
        """Let no watcher's failure reach the others."""
        try:
            getattr(watcher, what)()
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self._guard.failed(f"{watcher.name} ({what})", error)
