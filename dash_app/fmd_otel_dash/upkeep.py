"""Pruning, vacuuming and deleting endpoints, asked for by an admin and done beside the dashboard on a thread.

The job stands in the database: a page that is loaded anew, or another process of the dashboard, sees it, and
a second press starts nothing.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.instrumentation.utils import suppress_instrumentation

from fmd_otel_exporter import jobs
from fmd_otel_exporter.clock import database_now_us
from fmd_otel_exporter.endpoint_changes import count_rows, delete_rows, remove
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.maintainer import at_leisure
from fmd_otel_exporter.native import start_thread
from fmd_otel_exporter.retention import Deleted, count_old, older_than, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import DAY_S
from fmd_otel_exporter.settings import MOST_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.endpoint_changes import Removed
    from fmd_otel_exporter.jobs import RunningJob
    from fmd_otel_exporter.retention import Cutoffs
    from fmd_otel_exporter.store import Store

log = logging.getLogger(__name__)

PRUNE, VACUUM, REMOVE = "prune", "vacuum", "remove"
VACUUM_LEASE_S = 900
"""Nothing can be said while SQLite writes its file anew."""
_SAY_EVERY_S = 1.0
_US = 1_000_000


class UpkeepError(FmdOtelError):
    """Something asked for that cannot be done; the message is for the person who asked."""


class Preview(NamedTuple):
    """What would go."""

    rows: dict[str, int]
    """How many rows of each table; those of which none would are left out."""
    spares_open_day: bool
    """Requests stay that are older, since their day is not over."""


def _older_than(days: object, now_us: int) -> Cutoffs:
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise UpkeepError(f"Give a whole number of days from 1 to {MOST_DAYS:,}.")
    return older_than(days * DAY_S * _US, now_us)


def preview(store: Store, days: object) -> Preview:
    """Return what would go if all that is older than so many days did; sums by the day stay.

    Raises:
        UpkeepError: That is no number of days.
        StorageError: The database cannot be used now.
    """
    cutoffs = _older_than(days, database_now_us(store))
    rows = {table: rows for table, rows in count_old(store, cutoffs).items() if rows}
    return Preview(rows, cutoffs.spares_open_day)


def start_prune(store: Store, days: object, by: str) -> None:
    """Begin to delete what is older than so many days.

    Raises:
        UpkeepError: That is no number of days.
        JobRunsError: A job is running already.
        StorageError: The database cannot be used now.
    """
    cutoffs = _older_than(days, database_now_us(store))
    job = jobs.begin(store, PRUNE, {"days": days, "by": by})
    _start(job, lambda: _prune(job, cutoffs))


def start_vacuum(store: Store, by: str) -> None:
    """Begin to give the space of deleted rows back to the disk.

    Raises:
        JobRunsError: A job is running already.
        StorageError: The database cannot be used now.
    """
    job = jobs.begin(store, VACUUM, {"by": by}, lease_s=VACUUM_LEASE_S)
    _start(job, lambda: store.dialect.vacuum(store.prefix))


def start_remove(store: Store, endpoint_id: int, by: str) -> str:
    """Delete an endpoint at once, and begin to delete its rows; return its name.

    Raises:
        JobRunsError: A job is running already.
        StorageError: There is no such endpoint, or the database cannot be used now.
    """
    job = jobs.begin(store, REMOVE, {"by": by})
    try:
        removed = remove(store, endpoint_id)
    except FmdOtelError as error:
        job.end(str(error), failed=True)
        raise
    job.ask({"by": by, "endpoint": removed.name})
    _start(job, lambda: _remove(job, removed))
    return removed.name


def _remove(job: RunningJob, removed: Removed) -> str:
    began = said = time.monotonic()
    job.plan(count_rows(job.store, removed.ids))
    steps = (Deleted(table.name, rows) for table, rows in delete_rows(job.store, removed.ids))
    for step in at_leisure(steps):
        job.done += step.rows
        now = time.monotonic()
        if now - said >= _SAY_EVERY_S:
            said = now
            job.progress(job.done)
    rows = "1 row is" if job.done == 1 else f"{job.done:,} rows are"
    return f"{rows} gone, after {time.monotonic() - began:.1f} s. Asked for again, it is a new endpoint."


def _start(job: RunningJob, work: Callable[[], str]) -> None:
    def run() -> None:
        try:
            # What we ask of the database is no business of the monitored app's traces.
            with suppress_instrumentation():
                _do(job, work)
        except Exception as error:  # the thread has nobody to tell
            log.warning("The job %s ended, and could not say so", job.name, exc_info=error)

    try:
        start_thread(run, f"fmd-otel-{job.name}")
    except RuntimeError as error:  # out of threads
        job.end(f"It could not be started: {error}", failed=True)


def _do(job: RunningJob, work: Callable[[], str]) -> None:
    try:
        said = work()
    except FmdOtelError as error:
        job.end(str(error), failed=True)
    except Exception as error:
        log.warning("The job %s failed", job.name, exc_info=error)
        job.end("It failed; the log of the dashboard has the details.", failed=True)
    else:
        job.end(said)


def _prune(job: RunningJob, cutoffs: Cutoffs) -> str:
    store = job.store
    began = said = time.monotonic()
    # The sums of a day are what stays of it.
    while compact_days(store, now_ts_us=cutoffs.now_us, most_days=1):
        job.progress(0)
    job.plan(sum(count_old(store, cutoffs).values()))
    deleted = 0
    for step in at_leisure(prune(store, cutoffs)):
        deleted += step.rows
        now = time.monotonic()
        if now - said >= _SAY_EVERY_S:
            said = now
            job.progress(deleted)
    job.done = deleted
    rows = "1 row is" if deleted == 1 else f"{deleted:,} rows are"
    return f"{rows} gone, after {time.monotonic() - began:.1f} s. Vacuum gives their space back to the disk."
