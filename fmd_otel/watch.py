"""Looking closer at a request while it runs: where profiler and outlier detection meet the request.

Counting a request needs nothing before it ends. These need to know of it as soon as its route is known, and
again on its way out. Below level 2 no request comes here.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from fmd_otel.guard import Guard
    from fmd_otel.request_state import RequestState

WATCH_LEVEL = 2
"""The lowest monitor level at which a request is looked at while it runs."""


class Watcher(Protocol):
    """Somebody who looks closer. Each has a slot of its own on ``RequestState`` to remember a request by."""

    name: str
    """What its failures are counted under."""
    level: int
    """The lowest monitor level it is for."""

    def begin(self, state: RequestState, request: Any) -> None:
        """See a request before its view runs; on its own thread, in its context, its span started."""

    def end(self, state: RequestState, now_ns: int) -> None:
        """See the request's last byte gone; its context is gone as well. Once, maybe without ``describe``."""


class Describing(Watcher, Protocol):
    """One that has something to add once the status is known."""

    def describe(self, state: RequestState, request: Any, span: Any) -> None:
        """See the request's values; its context and span (or None) are alive."""


class Party(NamedTuple):
    """The watchers of one request; sorted out once, as requests are many and parties few."""

    all: tuple[Watcher, ...]
    describing: tuple[Describing, ...]


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
        for watcher in party.all:
            try:
                watcher.begin(state, request)
            except Exception as error:  # noqa: BLE001, PERF203 # nothing of ours may reach the request
                self._guard.failed(f"{watcher.name} (begin)", error)

    def _party(self, level: int, is_ordered: bool) -> Party:  # noqa: FBT001 # half of a key
        found = tuple(
            each
            for each in self._watchers
            if each.level <= level or (is_ordered and getattr(each, "takes_orders", False))
        )
        describing: Any = tuple(each for each in found if hasattr(each, "describe"))
        return Party(found, describing)

    def describe(self, state: RequestState, request: Any, span: Any) -> None:
        """Tell those who saw it begin."""
        for watcher in state.watchers.describing if state.watchers else ():
            try:
                watcher.describe(state, request, span)
            except Exception as error:  # noqa: BLE001, PERF203 # the same
                self._guard.failed(f"{watcher.name} (describe)", error)

    def end(self, state: RequestState, now_ns: int) -> None:
        """Tell those who saw it begin; whatever they keep names the request as its record will."""
        if not state.span_id:
            state.span_id, state.trace_id = random.getrandbits(64), random.getrandbits(128)
        for watcher in state.watchers.all if state.watchers else ():
            try:
                watcher.end(state, now_ns)
            except Exception as error:  # noqa: BLE001, PERF203 # the same
                self._guard.failed(f"{watcher.name} (end)", error)

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
