"""Looking closer at a request while it runs: where profiler and outlier detection meet the request.

Counting a request needs nothing before it ends. These need to know of it as soon as its route is known, and
again on its way out. Below level 2 no request comes here.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

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

    def describe(self, state: RequestState, request: Any, span: Any) -> None:
        """See the request's values once the status is known; its context and span (or None) are alive."""

    def end(self, state: RequestState, now_ns: int) -> None:
        """See the request's last byte gone; its context is gone as well. Once, maybe without ``describe``."""


class Watch:
    """All watchers of one application."""

    def __init__(self, guard: Guard) -> None:
        """Begin with nobody."""
        self._guard = guard
        self._watchers: tuple[Watcher, ...] = ()

    def add(self, watcher: Watcher) -> None:
        """Let somebody see requests from now on."""
        self._watchers = (*self._watchers, watcher)

    def begin(self, state: RequestState, request: Any) -> None:
        """Tell those for whom the request's level is high enough."""
        state.watchers = tuple(
            each
            for each in self._watchers
            if each.level <= state.level or (state.is_ordered and getattr(each, "takes_orders", False))
        )
        for watcher in state.watchers:
            self._tell(watcher, "begin", state, request)

    def describe(self, state: RequestState, request: Any, span: Any) -> None:
        """Tell those who saw it begin."""
        for watcher in state.watchers:
            self._tell(watcher, "describe", state, request, span)

    def end(self, state: RequestState, now_ns: int) -> None:
        """Tell those who saw it begin; whatever they keep names the request as its record will."""
        if not state.span_id:
            state.span_id, state.trace_id = random.getrandbits(64), random.getrandbits(128)
        for watcher in state.watchers:
            self._tell(watcher, "end", state, now_ns)

    def flush(self) -> None:
        """Have everything handed over that watchers still hold, where they hold anything."""
        for watcher in self._watchers:
            if hasattr(watcher, "flush"):
                self._tell(watcher, "flush")

    def close(self) -> None:
        """Have the watchers undo what they did to the application, where they did anything."""
        watchers, self._watchers = self._watchers, ()
        for watcher in watchers:
            if hasattr(watcher, "close"):
                self._tell(watcher, "close")

    def _tell(self, watcher: Watcher, what: str, *arguments: Any) -> None:
        """Let no watcher's failure reach the request or the other watchers."""
        try:
            getattr(watcher, what)(*arguments)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self._guard.failed(f"{watcher.name} ({what})", error)
