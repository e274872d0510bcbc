"""Custom graphs: a function of the application's, run on a schedule, its values kept and drawn.

``add_graph("Open orders", count_open_orders, "cron", hour=0)`` is the contract of Flask-MonitoringDashboard;
schedules are APScheduler's. Of all processes of a service one runs the functions, on a thread of its own that
begins with the first request: a function may block without holding up requests, or what is written of them.
"""

from __future__ import annotations

import logging
import math
import time
import weakref
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from fmd_otel.keeping import kept
from fmd_otel_exporter.errors import SettingsError, StorageError
from fmd_otel_exporter.native import Signal, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from fmd_otel_exporter.settings import ExporterSettings
    from fmd_otel_exporter.store import Store

logger = logging.getLogger("fmd_otel")

TRIGGERS = ("interval", "cron", "date")
LEASE_S = 60
"""After this long without a sign of life another process runs the graphs."""
LOOK_EVERY_S = 15.0
_LONGEST_TITLE = 200
_US = 1_000_000


@dataclass(frozen=True)
class Graph:
    """What somebody wants drawn."""

    title: str
    function: Callable[[], float]
    trigger: Any
    """One of APScheduler's triggers: tells when it is time again."""


def make_graph(title: str, function: Callable[[], Any], trigger: Any, schedule: dict[str, Any]) -> Graph:
    """Check what was asked for.

    Raises:
        SettingsError: It cannot be scheduled; the message says which value is wrong, and the remedy.
    """
    place = f"add_graph({title!r})"
    if not isinstance(title, str) or not title.strip():
        raise SettingsError(f"{place}: a title is needed, under which the graph is listed")
    if len(title) > _LONGEST_TITLE:
        raise SettingsError(
            f"add_graph({title[:40]!r}…): the title is longer than {_LONGEST_TITLE} characters"
        )
    if not callable(function):
        raise SettingsError(f"{place}: {function!r} is no function; give one that returns a number")
    if not isinstance(trigger, str):
        if hasattr(trigger, "get_next_fire_time"):
            return Graph(title, function, trigger)
        raise SettingsError(
            f"{place}: trigger {trigger!r} is neither a name nor one of APScheduler's triggers"
        )
    if trigger not in TRIGGERS:
        raise SettingsError(f"{place}: there is no trigger {trigger!r}; use one of {', '.join(TRIGGERS)}")
    try:
        return Graph(title, function, _made(trigger, schedule))
    except (TypeError, ValueError) as error:
        given = ", ".join(f"{name}={value!r}" for name, value in schedule.items())
        raise SettingsError(
            f"{place}: the schedule {trigger!r} with {given or 'nothing else'} cannot be used: {error}"
        ) from None


def _made(trigger: str, schedule: dict[str, Any]) -> Any:
    # Imported here, since most applications have no graphs.
    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415
    from apscheduler.triggers.date import DateTrigger  # noqa: PLC0415
    from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415

    if trigger == "interval" and not any(schedule.values()):
        raise ValueError("say how often, such as minutes=5")
    if trigger == "cron" and not schedule:
        raise ValueError("say when, such as hour=0")
    kinds = {"interval": IntervalTrigger, "cron": CronTrigger, "date": DateTrigger}
    return kinds[trigger](**schedule)


class Graphs:
    """The graphs of one application, and the thread that runs them."""

    def __init__(self, app: Flask, service: str, settings: ExporterSettings) -> None:
        """Begin with none; there is no thread, no connection and no import until :meth:`start`."""
        self._app = app
        self._service = service
        self._settings = settings
        self._graphs: dict[str, Graph] = {}
        self._changed = True
        self._stop = self._is_serving = False
        self._signal = Signal()

    def add(self, graph: Graph) -> None:
        """Add a graph, instead of one of the same title if there is one."""
        is_first = not self._graphs
        self._graphs = {**self._graphs, graph.title: graph}
        self._changed = True
        if is_first and self._is_serving:
            self.start()
        self._signal.set()

    def start(self) -> None:
        """Start the thread of this process, if there are graphs; called when it serves its first request."""
        self._is_serving = True
        if self._graphs:
            self._stop, self._changed, self._signal = False, True, Signal()
            start_thread(self.run, "fmd-otel-graphs")

    def stop(self) -> None:
        """End the thread after what it is doing."""
        self._stop = True
        self._signal.set()

    def run(self) -> None:
        """Run what is due until told to stop; never raises."""
        from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: PLC0415 # on the thread

        rounds = Rounds(self._app, self._service, self._settings)
        with suppress_instrumentation():
            while not self._stop:
                if self._changed:
                    self._changed = False
                    rounds.graphs = self._graphs
                self._signal.wait(rounds.round())
            rounds.close()


class Rounds:
    """What the thread does again and again."""

    def __init__(
        self,
        app: Flask,
        service: str,
        settings: ExporterSettings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare; nothing is opened.

        The clock tells the time, in seconds since the epoch; who runs graphs is decided by the database's,
        unless another one is given.
        """
        self.graphs: dict[str, Graph] = {}
        self._app = app
        self._service = service
        self._settings = settings
        self._clock = clock
        self._store: Store | None = None
        self._ids: dict[str, int] = {}
        self._due_s: dict[str, float | None] = {}
        self._leads_until = 0.0
        self._incident: str | None = None

    def round(self) -> float:
        """Run what is due, if it is this process that runs graphs; return for how many seconds to wait."""
        try:
            return self._round(self._clock())
        except Exception as error:  # noqa: BLE001 # this thread must outlive everything
            text = str(error) if isinstance(error, StorageError) else f"{type(error).__name__}: {error}"
            if text != self._incident:
                self._incident = text
                logger.warning("fmd-otel cannot run custom graphs now: %s. It keeps trying.", text)
            self.close()
            return LOOK_EVERY_S

    def close(self) -> None:
        """Give the lease back, and close the database."""
        store, self._store = self._store, None
        self._due_s, self._ids, was_leader = {}, {}, self._leads_until > 0
        self._leads_until = 0.0
        if store is None:
            return
        try:
            if was_leader:
                from fmd_otel_exporter import lease  # noqa: PLC0415 # SQLAlchemy

                lease.release(store, self._lease, lease.this_process())
            store.dispose()
        except Exception:  # it runs out by itself
            logger.debug("fmd-otel could not give back the lease of custom graphs", exc_info=True)

    @property
    def _lease(self) -> str:
        return f"graphs:{self._service}"[:64]

    def _round(self, now_s: float) -> float:
        store = self._opened()
        if not self._lead(store, now_s):
            return LOOK_EVERY_S
        for title, graph in self.graphs.items():
            if title not in self._due_s:
                self._due_s[title] = self._first_due(store, graph, now_s)
        for title, graph in self.graphs.items():
            due_s = self._due_s.get(title)
            if due_s is not None and due_s <= now_s:
                began_s = self._clock()
                if not self._lead(store, began_s):  # the one before may have taken long
                    return LOOK_EVERY_S
                self._run(store, graph, began_s)
                self._due_s[title] = _next(graph, began_s, self._clock())
        self._incident = None
        waits = [due_s - self._clock() for due_s in self._due_s.values() if due_s is not None]
        return max(0.0, min([LOOK_EVERY_S, *waits]))

    def _opened(self) -> Store:
        if self._store is not None and self._store.replaced():
            self.close()
        if self._store is None:
            from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # SQLAlchemy, on this thread

            self._store = open_store(self._settings.database, self._settings.table_prefix)
        return self._store

    def _lead(self, store: Store, now_s: float) -> bool:
        """Tell whether this process runs the graphs; take or keep the lease if nobody else has it."""
        if now_s < self._leads_until - LEASE_S * 2 / 3:
            return True
        held = self._acquire(store, now_s)
        if not held:
            self._due_s.clear()  # whoever leads now notes what runs
        self._leads_until = now_s + LEASE_S if held else 0.0
        return held

    def _acquire(self, store: Store, now_s: float) -> bool:
        from fmd_otel_exporter import lease  # noqa: PLC0415 # as above

        return lease.acquire(
            store,
            self._lease,
            lease.this_process(),
            now_ts_us=None if self._clock is time.time else int(now_s * _US),
            for_us=int(LEASE_S * _US),
        )

    def _first_due(self, store: Store, graph: Graph, now_s: float) -> float | None:
        """Return when a graph is due after a start: at once if it never ran, or should have meanwhile."""
        from fmd_otel_exporter.graphs import last_run_us  # noqa: PLC0415 # as above

        last_us = last_run_us(store, self._register(store, graph, now_s))
        return now_s if last_us is None else _next(graph, last_us / _US, now_s, missed=True)

    def _register(self, store: Store, graph: Graph, now_s: float) -> int:
        from fmd_otel_exporter.graphs import register_graph  # noqa: PLC0415 # as above

        number = register_graph(
            store, self._service, graph.title, str(graph.trigger), now_us=int(now_s * _US)
        )
        self._ids[graph.title] = number
        return number

    def _run(self, store: Store, graph: Graph, now_s: float) -> None:
        from fmd_otel_exporter.graphs import add_value, note_failure, note_start  # noqa: PLC0415 # as above

        number, ts_us = self._ids[graph.title], int(now_s * _US)
        if not note_start(store, number, ts_us):  # somebody has deleted it: it begins anew
            number = self._register(store, graph, now_s)
            note_start(store, number, ts_us)
        try:
            with kept(lambda: self._acquire(store, self._clock()), LEASE_S / 3), self._app.app_context():
                value = _number(graph.function())
        except Exception as error:  # noqa: BLE001 # the user's function, of which anything may come
            note_failure(store, number, ts_us, f"{type(error).__name__}: {error}")
            logger.warning("custom graph %r has no value: %s: %s", graph.title, type(error).__name__, error)
        else:
            add_value(store, number, ts_us, value)


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"the function returned {value!r:.60}, which is no number") from None
    if not math.isfinite(number):
        raise ValueError(f"the function returned {number}, which cannot be drawn")
    return number


def _next(graph: Graph, last_s: float, now_s: float, *, missed: bool = False) -> float | None:
    """Return when a graph is due after its last run; None if never again.

    Times that have passed meanwhile are made up for by one run, not by many.
    """
    last, now = (datetime.fromtimestamp(at_s, timezone.utc) for at_s in (last_s, now_s))
    due = graph.trigger.get_next_fire_time(last, now)
    if due is None:
        return None
    due_s = float(due.timestamp())
    if due_s > now_s or missed:
        return due_s
    later = graph.trigger.get_next_fire_time(now, now)
    return None if later is None else max(float(later.timestamp()), now_s)


_waiting: list[Graph] = []
"""Asked for before there was an application to belong to."""
_applications: list[weakref.ref[Graphs]] = []
"""Those that are observed, the newest last."""


def add_graph(title: str, func: Callable[[], Any], trigger: Any = "interval", **schedule: Any) -> None:
    """Draw what a function returns, on the dashboard's page of custom graphs.

        fmd_otel.add_graph("Open orders", count_open_orders, "interval", minutes=5)

    Before or after the application is instrumented. Of all processes of a service one calls the function: at
    once, and then on its schedule, inside an application context. What it raises stands on the graph's page.

    Args:
        title: Under which it is listed; a second graph of the same title replaces the first.
        func: Takes nothing and returns a number.
        trigger: ``"interval"``, ``"cron"`` or ``"date"``, or one of APScheduler's triggers.
        schedule: That trigger's arguments: ``minutes=5``, or ``day_of_week="mon", hour=3``.

    Raises:
        SettingsError: It cannot be scheduled, or several applications are observed: then use the
            ``add_graph`` of the handle that ``instrument()`` returned.
    """
    graph = make_graph(title, func, trigger, schedule)
    found = [graphs for each in _applications if (graphs := each()) is not None]
    if len(found) > 1:
        raise SettingsError(
            f"add_graph({title!r}): {len(found)} applications are observed; "
            "use handle.add_graph() of the one it belongs to, as returned by instrument()"
        )
    if found:
        found[0].add(graph)
    else:
        _waiting.append(graph)


def follow(graphs: Graphs) -> None:
    """Let an application have the graphs that were asked for, and those that will be."""
    while _waiting:
        graphs.add(_waiting.pop(0))
    _applications.append(weakref.ref(graphs))


def forget(graphs: Graphs) -> None:
    """Let it have no more."""
    _applications[:] = [each for each in _applications if each() not in {graphs, None}]
