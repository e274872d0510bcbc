"""The background thread: brings requests from the spool into the database, whatever happens there."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from fmd_otel_exporter.counters import BatchTimes
from fmd_otel_exporter.detail_worker import DetailWorker
from fmd_otel_exporter.errors import StorageError, safe_url
from fmd_otel_exporter.loading import load
from fmd_otel_exporter.native import Signal, allocate_lock, give_way
from fmd_otel_exporter.salvage import write_parts
from fmd_otel_exporter.tries import Tries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmd_otel_exporter.averages import Average
    from fmd_otel_exporter.maintainer import Maintainer
    from fmd_otel_exporter.memory_spool import Spool
    from fmd_otel_exporter.records import EndpointInfo, RequestRecord
    from fmd_otel_exporter.settings import ExporterSettings
    from fmd_otel_exporter.speaker import Speaker
    from fmd_otel_exporter.store import Store
    from fmd_otel_exporter.writer import Writer

_log = logging.getLogger("fmd_otel")

LEVELS_EVERY_S = 1.0
AVERAGES_EVERY_S = 5.0
AVERAGES_DUTY = 0.002
"""Largest share of the time that is spent on reading averages; with very many endpoints they come later."""
SCHEMA_EVERY_S = 60.0
"""How often to see whether a newer release has changed the tables."""
COMPACT_EVERY_S = 600.0
MAINTAIN_FOR_S = 0.05
"""Longest time that old rows are deleted between two looks at what waits to be written."""
FIRST_RETRY_S = 0.1
LAST_RETRY_S = 5.0


class Worker:
    """Everything that happens on the background thread.

    Other threads only read its counters and set its flags. The database may be missing, locked, slow or full
    at any time. Then requests stay in the spool, which is bounded, and the worker tries again, more and more
    rarely. It says so once, and once more when it is over.
    """

    def __init__(
        self,
        settings: ExporterSettings,
        spool: Spool[RequestRecord],
        levels: dict[tuple[str, str], int],
        endpoints: dict[tuple[str, str], EndpointInfo],
        details: DetailWorker | None = None,
    ) -> None:
        """Prepare; nothing is opened or imported before :meth:`run`.

        Args:
            settings: Where to write.
            spool: Where requests come from.
            levels: Kept up to date in place, for others to look up in.
            endpoints: Announced by the app, to be made known in the database.
            details: Writes details of single requests.
        """
        self.signal = Signal()
        self.announce = True
        """Endpoints were announced since they were last written."""
        self.stop = False
        self.hurry = False
        """Somebody waits in a flush: try again now, not when the next retry is due."""
        self.close_store = False
        """Close the database when nothing waits; set when the process is about to exit."""
        self.finished = False
        self.loading = True
        """Modules are being imported, which takes time that is no fault of the database."""
        self.steps = 0
        """Grows whenever something has been achieved."""
        self.gate = allocate_lock()
        """Held while at work. A fork in the middle of it would leave the child with locks of SQLite, and of
        modules half imported, that nobody will ever release there; so a fork waits for this one, for a while.
        """
        self.written = self.duplicate = self.unwritable = self.retries = 0
        self.last_error: str | None = None
        self.last_error_us: int | None = None
        self.batches = BatchTimes()
        self.alone = False
        """Requests come in by a way that may bring them to several processes, see :attr:`.Writer.alone`."""
        self.speaker: Speaker | None = None
        """Tells the database how this process fares."""
        self._settings = settings
        self._spool = spool
        self._levels = levels
        self._endpoints = endpoints
        self.details = details or DetailWorker()
        self._store: Store | None = None
        self._writer: Writer | None = None
        self._tries = Tries()
        self._maintainer: Maintainer | None = None
        self._round_ends_at: int | None = None
        self.averages: Mapping[tuple[str, str], Average] = {}
        """How long requests of watched endpoints take of late."""
        self._next_averages = 0.0
        self._next_levels = self._next_schema = self._next_compaction = self._next_try = 0.0
        self._retry_s = FIRST_RETRY_S
        self.incident: str | None = None
        """What keeps it from writing just now, if anything does."""
        self._newer_told: str | None = None
        self._dropped_told = 0
        self._resting = False

    def run(self) -> None:
        """Work until told to stop; never raises."""
        try:
            # Imported here, on the thread, and not by the web worker's first request.
            with self.gate:
                from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: PLC0415

            # What we ask of the database is no business of the monitored app's traces.
            with suppress_instrumentation():
                while not self.stop:
                    more = self.tick()
                    if not (more or self.stop or self.hurry):
                        self.signal.wait(self._settings.delay_ms / 1000)
                while self.tick():
                    pass
                self._say_goodbye()
                self._close()
                self._spool.close()
                self.details.close()
        finally:
            self.finished = True

    def tick(self) -> bool:
        """Do what is due: write a batch, read levels, sum up days, delete; tell whether a batch waits."""
        now = time.monotonic()
        if now < self._next_try and not self.hurry:
            self._tend_spool()
            return False
        hurry, self.hurry = self.hurry, False
        try:
            with self.gate:
                more = self._work(now)
        except Exception as exc:  # noqa: BLE001 # this thread must outlive everything, also what nobody thought of
            self._fail(exc, retry_now=hurry)
            return False
        self._recover()
        return more

    def _work(self, now: float) -> bool:
        if self._resting and not len(self._spool) and not self.details.waiting:
            return False  # what was closed for the process's end must not be opened again by looking around
        self._resting = False
        if self._store is not None and self._store.replaced():
            self._close()
        if self._store is None or self._writer is None:
            self._open()
        self._announce()
        more = self._write_next() or self._write_details()
        give_way()
        if now >= self._next_levels:
            self._read_levels()
            self._next_levels = now + LEVELS_EVERY_S
        if now >= self._next_schema:
            self._look_at_schema()
            self._next_schema = now + SCHEMA_EVERY_S
        if not more and now >= self._next_compaction:
            self._next_compaction = now + COMPACT_EVERY_S
            if self._compact_a_day():
                self._next_compaction = now  # there may be another one, but requests come first
        if not (more or self.stop or self.close_store):
            self._maintain()
        give_way()
        self._speak()
        if not more and self.close_store and self._store is not None:
            self._say_goodbye()
            self._store.dispose()
            self._spool.close()
            self.details.close()
            self._resting = True
            self.close_store = False
        return more

    # The database

    def _open(self) -> None:
        if self.loading:
            load(self._settings.database)
        from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # SQLAlchemy, first needed here
        from fmd_otel_exporter.writer import Writer  # noqa: PLC0415

        self.loading = False
        self._store = open_store(
            self._settings.database, self._settings.table_prefix, on_step=self._note_step
        )
        self._writer = Writer(
            self._store,
            default_level=self._settings.default_level,
            default_rules=self._settings.default_rules,
            tries=self._tries,
        )
        self.steps += 1
        self.announce = True
        self._next_levels = 0.0

    def _note_step(self) -> None:
        """Let whoever waits for this thread see that it gets on."""
        self.steps += 1

    def _look_at_schema(self) -> None:
        """See whether a newer release has been here; it may have made tables that we must not write to.

        Raises:
            StorageError: It has.
        """
        from fmd_otel_exporter.store import look_again  # noqa: PLC0415

        if self._store is None:  # pragma: no cover # _work() has opened it
            return
        look_again(self._store)
        schema = self._store.schema
        if schema is not None and not self._store.current and schema.revision != self._newer_told:
            self._newer_told = schema.revision
            _log.warning(
                "fmd-otel: the tables of %s are of revision %s, newer than this fmd-otel knows. It goes on "
                "writing, and leaves it to newer ones to delete what is old; upgrade it here, too.",
                safe_url(self._settings.database),
                schema.revision,
            )

    def _close(self) -> None:
        if self._store is not None:
            self._store.dispose()
        self._store = self._writer = None

    def _announce(self) -> None:
        from fmd_otel_exporter.level_rules import apply_default_rules  # noqa: PLC0415

        if self._store is None or not self.announce:
            return
        self.announce = False
        try:
            infos, rules = list(self._endpoints.values()), self._settings.default_rules
            for _ in write_parts(self._register, infos, self._leave_out):
                pass
            if rules:
                store, services = self._store, sorted({info.service for info in infos})
                for _ in write_parts(
                    lambda some: apply_default_rules(store, some, rules), services, self._leave_out
                ):
                    pass
        except StorageError:
            self.announce = True
            raise

    def _register(self, infos: Sequence[EndpointInfo]) -> None:
        from fmd_otel_exporter.catalog import register_endpoints  # noqa: PLC0415

        if self._store is not None:
            register_endpoints(self._store, infos, self._settings.default_level, self._settings.default_rules)

    def _leave_out(self, _known: object, exc: Exception) -> None:
        """Go on without an endpoint or service that cannot be made known: requests must not wait for it."""
        self._note(f"{type(exc).__name__}: {exc}")

    def _read_levels(self) -> None:
        from fmd_otel_exporter.catalog import load_levels  # noqa: PLC0415

        if self._store is not None:
            self.details.read_orders(self._store)
            give_way()
            levels = load_levels(self._store)
            self._levels.update(levels)
            for gone in self._levels.keys() - levels.keys():
                self._levels.pop(gone, None)
            if time.monotonic() >= self._next_averages:
                self._read_averages(self._store)

    def _read_averages(self, store: Store) -> None:
        from fmd_otel_exporter.averages import WATCH_LEVEL, load_averages  # noqa: PLC0415

        if all(level < WATCH_LEVEL for level in list(self._levels.values())):
            return
        began = time.monotonic()
        self.averages = load_averages(store)
        took = time.monotonic() - began
        self._next_averages = began + max(AVERAGES_EVERY_S, took / AVERAGES_DUTY)

    def _compact_a_day(self) -> bool:
        from fmd_otel_exporter.clock import database_now_us  # noqa: PLC0415
        from fmd_otel_exporter.rollups import compact_days  # noqa: PLC0415

        if self._store is None or not self._store.current:
            return False
        return compact_days(self._store, now_ts_us=database_now_us(self._store), most_days=1) > 0

    def _maintain(self) -> None:
        from fmd_otel_exporter.maintainer import Maintainer  # noqa: PLC0415
        from fmd_otel_exporter.retention import Retention  # noqa: PLC0415

        # Only who knows all tables knows what has to be done before something may go.
        if self._store is None or not self._store.current:
            return
        if self._maintainer is None:
            self._maintainer = Maintainer(
                Retention(
                    self._settings.retention_raw_days,
                    self._settings.retention_hourly_days,
                    self._settings.retention_daily_days,
                )
            )
        self._maintainer.work(self._store, MAINTAIN_FOR_S)

    # Requests

    def _write_next(self) -> bool:
        """Write a batch; tell whether some of what waited when this round began still does.

        What has come since then waits for its own round: otherwise a busy app would keep this thread writing
        batches of one.
        """
        if self._round_ends_at is None:
            self._round_ends_at = self._spool.accepted
        batch = self._spool.take(self._settings.batch_size)
        if batch:
            began = time.monotonic()
            self._write(batch)
            self._tries.forget()
            self._spool.done()
            self.batches.took(time.monotonic() - began)
            if self.speaker is not None:
                self.speaker.wrote(batch)
            self.steps += 1
            if self._spool.settled < self._round_ends_at:
                return True
        self._round_ends_at = None
        return False

    def _write_details(self) -> bool:
        """Write a batch of details, since no request waits; tell whether more of them do."""
        if self._store is None or self._writer is None:  # pragma: no cover # _work() has opened them
            return False
        if not self.details.write_next(self._store, self._writer):
            return False  # though some may wait for a disk
        self.steps += 1
        return self.details.waiting

    def _write(self, batch: Sequence[RequestRecord]) -> None:
        if self._store is None or self._writer is None:  # pragma: no cover # _work() has opened them
            return
        self._writer.alone = self.alone
        results = list(write_parts(self._writer.write, batch, self._lose))
        self._store.require_in_place()
        for result in results:
            self.written += result.written
            self.duplicate += result.duplicate

    def _tend_spool(self) -> None:
        """See to what waits while the database is away: its disk may fill up, or work again."""
        try:
            with self.gate:
                self._spool.tend()
                self.details.tend()
        except Exception as exc:  # noqa: BLE001 # this thread must outlive everything
            self._note(f"{type(exc).__name__}: {exc}")

    def _lose(self, _record: RequestRecord, exc: Exception) -> None:
        self._look_at_schema()  # it may be the tables that have become others
        if not self.unwritable:
            _log.warning(
                "fmd-otel drops a request that cannot be stored (%s); further ones are only counted", exc
            )
        self.unwritable += 1
        self._note(f"{type(exc).__name__}: {exc}")

    # Trouble

    def _note(self, error: str) -> None:
        self.last_error, self.last_error_us = error, time.time_ns() // 1000

    def _speak(self) -> None:
        if self.speaker is not None and self._store is not None:
            self.speaker.speak(self._store)

    def _say_goodbye(self) -> None:
        if self.speaker is not None:
            self.speaker.goodbye(self._store)

    def _fail(self, exc: Exception, *, retry_now: bool) -> None:
        text = str(exc) if isinstance(exc, StorageError) else f"{type(exc).__name__}: {exc}"
        self._note(text)
        self.retries += 1
        if not (isinstance(exc, StorageError) and exc.busy):
            try:
                self._close()
            except Exception:  # noqa: BLE001 # it could not be used, so it may not close either
                self._store = self._writer = None
        if text != self.incident:
            self.incident = text
            _log.warning(
                "fmd-otel cannot write to %s: %s. The app is not affected; requests wait in %s while "
                "fmd-otel keeps trying.",
                safe_url(self._settings.database),
                text,
                self._spool.place,
            )
        self._next_try = time.monotonic() + (FIRST_RETRY_S if retry_now else self._retry_s)
        self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)

    def _recover(self) -> None:
        self._retry_s = FIRST_RETRY_S
        self._next_try = 0.0
        dropped = self._spool.dropped - self._dropped_told
        if self.incident is not None:
            self.incident = None
            _log.warning(
                "fmd-otel writes to %s again; %d requests were lost meanwhile",
                safe_url(self._settings.database),
                dropped,
            )
        elif dropped:
            _log.warning(
                "fmd-otel has dropped %d requests: more waited for the database than fit in %s",
                dropped,
                self._spool.place,
            )
        self._dropped_told += dropped
