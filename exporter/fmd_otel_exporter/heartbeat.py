"""Every process that writes says now and then, in a row of its own, that it lives and how it fares.

By the thread that writes, between batches, in a transaction of its own. What goes wrong here is no reason to
stop writing requests, and is told by them: here it only means that nothing is said this time.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import socket
import time
from collections import deque
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import insert, select, update

from fmd_otel_exporter.native import give_way
from fmd_otel_exporter.schema import NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from fmd_otel_exporter.counters import PipelineCounters
    from fmd_otel_exporter.store import Store

_log = logging.getLogger("fmd_otel")

EVERY_S = 10.0
IDLE_EVERY_S = 60.0
"""How often where nothing has happened."""
LATE_S = 150
"""Whoever has been silent for so long has missed two of these."""
AT_WORK, SAID_GOODBYE, FOUND_DEAD = 0, 1, 2
_HOUR_S = 3600.0
_BEFORE_S = 300.0
"""How far back "waiting before" lies."""
_LONGEST_ERROR = 1000
_US = 1_000_000


class About(NamedTuple):
    """What a process says of itself that does not change."""

    role: str = "worker"
    """``worker``: a monitored application. ``otlp``: takes spans from elsewhere. ``dashboard``."""
    retention: str = ""
    """Days for requests, their sums by the hour, and those by the day, as far as this process deletes."""
    settings: str = ""
    """What it runs with, as JSON: each setting's value and who set it."""


class _Moment(NamedTuple):
    at_s: float
    dropped: int
    waiting: int


class Heartbeat:
    """One process's row."""

    def __init__(
        self,
        about: About,
        counters: Callable[[], PipelineCounters],
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is written.

        Args:
            about: What does not change.
            counters: Returns what does.
            clock: Tells the time, in seconds since the epoch.
            timer: Counts seconds.
        """
        self.id = os.urandom(16)
        self.serves = ("", "")
        """Service and version of the newest request."""
        self._about = about
        self._counters = counters
        self._clock = clock
        self._timer = timer
        self._started_us = round(clock() * _US)
        self._said: tuple[Any, ...] | None = None
        self._next = self._next_idle = 0.0
        self._past: deque[_Moment] = deque([_Moment(timer(), 0, 0)])

    def work(self, store: Store) -> None:
        """Say how things are, if it is time for that; never raises."""
        now = self._timer()
        if now < self._next:
            return
        self._next = now + EVERY_S
        try:
            counters = self._counters()
            news = (*counters[:-2], self.serves)
            if news == self._said and now < self._next_idle:
                return
            self._say(store, counters, AT_WORK)
            self._said, self._next_idle = news, now + IDLE_EVERY_S
        except Exception as exc:  # noqa: BLE001 # see above
            _log.debug("fmd-otel could not say how it is: %s", exc)

    def goodbye(self, store: Store | None) -> None:
        """Say that this process ends, and not by accident; never raises."""
        if store is None or self._said is None:
            return
        try:
            self._say(store, self._counters(), SAID_GOODBYE)
            self._said, self._next = None, 0.0  # should it go on after all, it says so
        except Exception as exc:  # noqa: BLE001 # as above
            _log.debug("fmd-otel could not say goodbye: %s", exc)

    def _say(self, store: Store, counters: PipelineCounters, state: int) -> None:
        now_us = round(self._clock() * _US)
        with store.read() as connection:
            # Of the database where it has a clock of its own: those who read this have yet another one.
            ahead_us = now_us - store.dialect.now_us(connection)
            give_way()
            dead = _dead(connection, store, now_us) if state == AT_WORK else []
        give_way()
        values = self._values(counters, now_us) | {"state": state, "clock_us": ahead_us}
        process = store.tables.process

        def put(connection: Connection) -> None:
            known = connection.execute(update(process).where(process.c.id == self.id).values(values))
            if known.rowcount == 0:
                # Once: they stay what they are for as long as the process runs.
                settings = self._about.settings or None
                connection.execute(insert(process).values(id=self.id, settings=settings, **values))
            for each, heard_us in dead:
                unchanged = (process.c.id == each) & (process.c.heartbeat_ts == heard_us)
                connection.execute(update(process).where(unchanged).values(state=FOUND_DEAD))

        store.run(put)

    def _values(self, counters: PipelineCounters, now_us: int) -> dict[str, Any]:
        dropped = sum(counters.dropped.values())
        hour_ago, before = self._remember(_Moment(self._timer(), dropped, counters.queue_depth))
        service, app_version = self.serves
        error = counters.last_error
        return {
            "role": self._about.role,
            "host": socket.gethostname()[:NAME_LENGTH],
            "pid": os.getpid(),
            "service": service[:NAME_LENGTH],
            "version": app_version[:NAME_LENGTH],
            "fmd_otel": release(),
            "python": platform.python_version(),
            "retention": self._about.retention,
            "started_ts": self._started_us,
            "heartbeat_ts": now_us,
            "accepted": counters.accepted,
            "written": counters.written,
            "replayed": counters.replayed,
            "duplicate": counters.duplicate,
            "dropped": dropped,
            "dropped_hour": dropped - hour_ago.dropped,
            "details_dropped": counters.details_dropped,
            "waiting": counters.queue_depth,
            "waiting_before": before.waiting,
            "waiting_bytes": counters.spool_bytes,
            "retries": counters.retries,
            "batches": counters.batches,
            "batch_us": counters.batch_us,
            "batch_max_us": counters.batch_max_us,
            "dropped_by": json.dumps(counters.dropped),
            "failures": json.dumps(counters.failures),
            "last_error": error if error is None else error[:_LONGEST_ERROR],
            "last_error_ts": counters.last_error_us,
        }

    def _remember(self, now: _Moment) -> tuple[_Moment, _Moment]:
        """Return how things were an hour ago and five minutes ago, or when this process began."""
        past = self._past
        past.append(now)
        while past[1].at_s <= now.at_s - _HOUR_S:
            past.popleft()
        before = next((each for each in reversed(past) if each.at_s <= now.at_s - _BEFORE_S), past[0])
        return past[0], before


def release() -> str:
    """Return the version of fmd-otel that is installed; empty where it was only put on the path."""
    try:
        return version("fmd-otel")
    except PackageNotFoundError:
        return ""


def _dead(connection: Connection, store: Store, now_us: int) -> list[tuple[bytes, int]]:
    """Return the rows of processes of this host that are silent and no longer there, and when each spoke.

    Should one live after all, in another container that calls itself by the same name, it soon speaks again.
    """
    c = store.tables.process.c
    silent = (
        (c.host == socket.gethostname()[:NAME_LENGTH])
        & (c.state == AT_WORK)
        & (c.heartbeat_ts < now_us - LATE_S * _US)
    )
    rows = connection.execute(select(c.id, c.heartbeat_ts, c.pid).where(silent)).all()
    if not rows:
        return []
    import psutil  # noqa: PLC0415 # rarely needed

    return [(bytes(row[0]), row[1]) for row in rows if not psutil.pid_exists(row[2])]
