"""The web worker's end: hand a request over and go on."""

from __future__ import annotations

import atexit
import os
import time
from contextlib import suppress
from dataclasses import replace
from threading import get_ident
from typing import TYPE_CHECKING
from weakref import WeakSet

from fmd_otel_exporter.counters import Failures, PipelineCounters, counters_of
from fmd_otel_exporter.detail_worker import DetailWorker
from fmd_otel_exporter.forks import Forks
from fmd_otel_exporter.level_rule import level_for
from fmd_otel_exporter.memory_spool import MemorySpool
from fmd_otel_exporter.native import start_thread
from fmd_otel_exporter.profile_orders import ProfileOrders
from fmd_otel_exporter.settings import absolute_url
from fmd_otel_exporter.speaker import Speaker
from fmd_otel_exporter.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fmd_otel_exporter.averages import Average
    from fmd_otel_exporter.memory_spool import Spool
    from fmd_otel_exporter.records import DetailRecord, EndpointInfo, RequestRecord
    from fmd_otel_exporter.settings import ExporterSettings

OTLP = "otlp"
"""The role of a process that receives spans. Whoever sends them does so again when an answer is late, and
another process may get them then.
"""
EXIT_FLUSH_MS = 5000
STALL_MS = 2000
"""A flush gives up when nothing has been written for so long: the database is not there."""
DETAILS_SHARE = 4
"""Details may take as much space again as requests, divided by this."""
DETAILS_A_BATCH = 64
"""Details are large: more of them would make transactions that requests wait for."""
DETAILS_IN_MEMORY = 128
_POLL_S = 0.005
_HURRY_EVERY_S = 0.1
_RESTART_AFTER_S = 1.0
_STOP_S = 0.2
_CLOSE_S = 2.0
_MB = 1 << 20
_FORK_S = 0.25
_FORK_WHILE_LOADING_S = 5.0


class Pipeline:
    """Carries requests to the database on a background thread.

    Constructing one costs nothing: no thread, no connection, no import of SQLAlchemy. They come with the
    first request, in each process its own.
    """

    def __init__(self, settings: ExporterSettings, *, role: str = "worker") -> None:
        """Remember where to write, and as what: a monitored application's ``worker``, or ``otlp``."""
        self.failures = Failures()
        """Whoever runs in requests may have its own failures told here."""
        self._role = role
        self._repeats = role == OTLP
        self.settings = replace(settings, database=absolute_url(settings.database))
        self._announced: dict[tuple[str, str], EndpointInfo] = {}
        self._levels: dict[tuple[str, str], int] = {}
        self._companions: list[Callable[[], None]] = []
        self._closed = False
        self._hopeless = False
        self._exit_registered = False
        self._forks = Forks()
        self._reset()
        _watch_forks(self)

    def _reset(self) -> None:
        """Begin anew in this process: what the parent had in hand, the parent will write."""
        self._spool, self._details = _spool_for(self.settings), _detail_spool_for(self.settings)
        self._put = self._spool.put
        self._profile_orders = ProfileOrders()
        self._worker = Worker(
            self.settings,
            self._spool,
            self._levels,
            self._announced,
            DetailWorker(self._details, self._profile_orders),
        )
        self._worker.alone = self._repeats
        self._worker.speaker = Speaker(self.settings, self._role, self.counters)
        self.failures.begin_anew()
        self._running = False
        self._starting: list[None] = [None]
        self._start_after = 0.0
        self._gate_holder: int | None = None
        self._pid = os.getpid()  # last: whoever reads it goes on with the rest

    def _before_fork(self) -> None:
        wait_s = _FORK_WHILE_LOADING_S if self._worker.loading else _FORK_S
        if self._running and self._worker.gate.acquire(timeout=wait_s):
            self._gate_holder = get_ident()

    def _after_fork_in_parent(self) -> None:
        if self._gate_holder == get_ident():  # another thread may be about to fork as well
            self._gate_holder = None
            self._worker.gate.release()

    def _after_fork(self) -> None:
        # Not closed and not collected: the parent's connections are shared files, to be left as they are.
        _LEFT_TO_THE_PARENT.append(self._worker)
        # Our copy of its lock would outlive the parent, and then nobody could adopt what that left.
        self._spool.close()
        self._details.close()
        self._reset()

    def _notice_fork(self) -> None:
        self._forks.notice(lambda: self._pid, self._after_fork)

    # From request threads

    def offer(self, record: RequestRecord) -> None:
        """Hand a request over; never blocks, never raises, and drops the oldest one when too many wait."""
        if self._pid != os.getpid():  # servers written in C fork without Python's hooks
            self._notice_fork()
        if self._closed:
            return
        number = self._put(record)
        if not self._running:
            self._start()
        elif number % self.settings.batch_size == 0:
            self._worker.signal.set()

    def offer_detail(self, record: DetailRecord) -> None:
        """Hand over what is known beyond the row of a request; never blocks, never raises.

        Details wait in a space of their own, and only when no request waits are they written: too many of
        them, and the oldest are dropped and counted, whatever becomes of requests.
        """
        if self._pid != os.getpid():
            self._notice_fork()
        if self._closed:
            return
        self._details.put(record)
        if not self._running:
            self._start()

    def take_profile(self, service: str, endpoint: str) -> bool:
        """Tell whether somebody has ordered that this request be profiled with all there is.

        For the beginning of a request: true once for each order in each process. The profile that is then
        handed over with ``exact`` set ends the order, if none of another process came before.
        """
        return self._profile_orders.take(service, endpoint)

    def announce(self, infos: Sequence[EndpointInfo]) -> None:
        """Make endpoints known; they are written when the first request is."""
        self._announced.update({(info.service, info.endpoint): info for info in infos})
        self._worker.announce = True

    def accompany(self, begin: Callable[[], None]) -> None:
        """Have something begun in each process that serves requests, at its first one; must be quick."""
        self._companions.append(begin)
        if self._running and self._pid == os.getpid():
            begin()

    def expect_repeats(self) -> None:
        """Be ready for requests that are brought to other processes as well, in other company."""
        self._repeats = self._worker.alone = True

    def average_of(self, service: str, endpoint: str) -> Average | None:
        """Return how long requests of a watched endpoint take of late, as last read from the database."""
        return self._worker.averages.get((service, endpoint))

    def level_of(self, service: str, endpoint: str) -> int:
        """Return how closely to watch an endpoint, as last read from the database."""
        known = self._levels.get((service, endpoint))
        if known is not None:
            return known
        return level_for(self.settings.default_rules, service, endpoint, self.settings.default_level)

    def highest_level(self) -> int:
        """Return the highest level of any endpoint: whether something has to be looked at closely at all."""
        configured = (self.settings.default_level, *(rule.level for rule in self.settings.default_rules))
        return max(*configured, *list(self._levels.values()), 0)

    def counters(self) -> PipelineCounters:
        """Return what became of the requests so far; never blocks."""
        if self._pid != os.getpid():
            self._notice_fork()
        return counters_of(self._worker, self._spool, self._details, self.failures.read())

    @property
    def trouble(self) -> str | None:
        """What keeps requests from being written just now; ``None`` if nothing does."""
        return None if self._closed or self._pid != os.getpid() else self._worker.incident

    # From whoever ends the app

    def force_flush(self, timeout_ms: int = 5000) -> bool:
        """Wait until every request handed over before, and every detail, is in the database.

        Returns:
            Whether that has happened; ``False`` after the timeout, or when the database cannot be reached.
        """
        return self._flush(timeout_ms)

    def shutdown(self, timeout_ms: int = 5000) -> None:
        """Flush, stop the thread and close the database; requests handed over later are not kept."""
        is_done = self._flush(timeout_ms)
        self._closed = True
        worker = self._worker
        worker.stop = True
        worker.signal.set()
        # A database that has just answered is soon closed, however busy the machine; another may never be.
        deadline = time.monotonic() + (_CLOSE_S if is_done else _STOP_S)
        while self._running and not worker.finished and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        atexit.unregister(self._flush_at_exit)

    @property
    def closed(self) -> bool:
        """Whether it was shut down."""
        return self._closed

    def _flush(self, timeout_ms: int, *, close: bool = False) -> bool:
        if self._pid != os.getpid():
            self._notice_fork()
        spool, details, worker = self._spool, self._details, self._worker
        goals = spool.accepted, details.accepted

        def waits() -> bool:
            return spool.settled < goals[0] or details.settled < goals[1]

        if waits() and not self._running:
            self._start()
        worker.close_store = close and self._running
        # Where the process exits, and has waited for this database once already, waiting again is of no use.
        stall_s, timeout_s = (0.0, 0.0) if self._hopeless else (STALL_MS / 1000, timeout_ms / 1000)
        now = hurry_at = time.monotonic()
        deadline, stalled_at = now + timeout_s, now + stall_s
        progress = -1
        while (waits() or worker.close_store) and self._running:
            now = time.monotonic()
            if worker.loading or worker.steps != progress:
                progress, stalled_at = worker.steps, now + stall_s
            if now > min(deadline, stalled_at):
                break
            if now >= hurry_at:  # again and again: an attempt under way may be one that fails
                worker.hurry = True
                worker.signal.set()
                hurry_at = now + _HURRY_EVERY_S
            time.sleep(_POLL_S)
        return not waits()

    def _flush_at_exit(self) -> None:
        if self._pid != os.getpid() or not self._running or self._closed:
            return
        self._hopeless = not self._flush(EXIT_FLUSH_MS, close=True)

    # The thread

    def _start(self) -> None:
        """Start the worker, once, and never at the expense of the request."""
        if self._closed or time.monotonic() < self._start_after:
            return
        try:
            self._starting.pop()  # one thread gets it
        except IndexError:
            return
        try:
            if not self._exit_registered:
                atexit.register(self._flush_at_exit)
                self._exit_registered = True
            start_thread(self._worker.run, "fmd-otel")
        except Exception:  # noqa: BLE001 # out of threads, or the interpreter is exiting
            self._start_after = time.monotonic() + _RESTART_AFTER_S
            self._starting.append(None)
        else:
            self._running = True
            for begin in self._companions:
                with suppress(Exception):  # out of threads: this process does without
                    begin()


def _spool_for(settings: ExporterSettings) -> Spool[RequestRecord]:
    """Return where requests wait: on disk, unless the database is in memory or the user wants no files."""
    from fmd_otel_exporter.spool import DiskSpool, SpoolLimits  # noqa: PLC0415 # not at import
    from fmd_otel_exporter.spool import Spool as Segments  # noqa: PLC0415 # the same

    directory = _spool_directory(settings)
    if directory is None:
        return MemorySpool(settings.queue_size)
    limits = SpoolLimits(
        batch_size=settings.batch_size,
        max_bytes=settings.spool_mb * _MB,
        memory_records=settings.queue_size,
    )
    return DiskSpool(Segments(directory, limits))


def _detail_spool_for(settings: ExporterSettings) -> Spool[DetailRecord]:
    """Return where details wait."""
    from fmd_otel_exporter.spool import DiskSpool, SpoolLimits, details_directory  # noqa: PLC0415 # not at import
    from fmd_otel_exporter.spool import Spool as Segments  # noqa: PLC0415 # the same

    directory = _spool_directory(settings)
    if directory is None:
        return MemorySpool(DETAILS_IN_MEMORY)
    limits = SpoolLimits(
        batch_size=DETAILS_A_BATCH,
        max_bytes=settings.spool_mb * _MB // DETAILS_SHARE,
        memory_records=DETAILS_IN_MEMORY,
        parked_records=DETAILS_IN_MEMORY,
        complains=False,  # the requests' spool, in the same place, does
    )
    return DiskSpool(Segments(details_directory(directory), limits))


def _spool_directory(settings: ExporterSettings) -> Path | None:
    from fmd_otel_exporter.spool import spool_directory  # noqa: PLC0415 # not at import

    if not settings.spool_mb:
        return None
    return spool_directory(settings.database, settings.table_prefix, configured=settings.spool_dir)


_LEFT_TO_THE_PARENT: list[Worker] = []
_pipelines: WeakSet[Pipeline] = WeakSet()
_shared: dict[tuple[str, str], Pipeline] = {}
_fork_hooks: list[bool] = []


def shared_pipeline(settings: ExporterSettings, *, role: str = "worker") -> Pipeline:
    """Return this process's pipeline to a database, the same one for everybody who writes there."""
    key = (absolute_url(settings.database), settings.table_prefix)
    found = _shared.get(key)
    if found is not None and found.closed:
        _shared.pop(key, None)
        found = None
    # Two threads may both make one here; both get the one that was kept.
    pipeline = found or _shared.setdefault(key, Pipeline(settings, role=role))
    if role == OTLP:  # also where the process is a monitored application besides
        pipeline.expect_repeats()
    return pipeline


def trouble_here(database: str, table_prefix: str) -> str | None:
    """Return what keeps this process from writing to a database; ``None`` if nothing does."""
    pipeline = _shared.get((absolute_url(database), table_prefix))
    return None if pipeline is None else pipeline.trouble


def _watch_forks(pipeline: Pipeline) -> None:
    _pipelines.add(pipeline)
    if not _fork_hooks and hasattr(os, "register_at_fork"):
        _fork_hooks.append(True)
        os.register_at_fork(
            before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child
        )


def _before_fork() -> None:
    for pipeline in list(_pipelines):
        pipeline._before_fork()  # noqa: SLF001 # the same module


def _after_fork_in_parent() -> None:
    for pipeline in list(_pipelines):
        pipeline._after_fork_in_parent()  # noqa: SLF001 # the same module


def _after_fork_in_child() -> None:
    for pipeline in list(_pipelines):
        pipeline._after_fork()  # noqa: SLF001 # the same module
