"""What is kept for how long, and how the rest goes.

Raw rows go by their time, but none before its UTC day is over and what users and addresses did on that day is
added up: nothing else tells that, or what the finer sums ought to be. From then on a request that comes late
for the day is added beside those sums, and its finer sums are never made anew from rows again.

Finer sums go by whole UTC days, and only of days whose sums are complete: such a day is *sealed* first, in a
transaction that no batch is in the middle of. From then on a request that comes late for it is added to the
sums of the day itself, so that they stay right without what they were made of. What users and addresses did
goes with the finer sums.

Details of single requests go with raw rows, and what they come to with the sums of days; see
:mod:`.detail_retention`.

Endpoints and versions stay for ever: the sums of days refer to them, people have set levels on endpoints, and
there are no more of them than routes and releases. Of an endpoint that somebody has deleted
(:mod:`.endpoint_changes`), what is left goes first. Users and addresses are many, and personal: they go with
the last row that may refer to them. Who that is would take reading all rows; instead each is dated by the
last day on which a writer asked for its id (see :meth:`.Dimensions.begin_day`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, select, update

from fmd_otel_exporter.deleting import count_times, delete_times, drop_parts, of_finished, sweep
from fmd_otel_exporter.detail_retention import detail_ages, orphans, prune_details, tables_of_details
from fmd_otel_exporter.endpoint_changes import delete_rest, forget_removed
from fmd_otel_exporter.graphs import forget_values, forgettable
from fmd_otel_exporter.rollups import first_open_day
from fmd_otel_exporter.schema import DAY_S
from fmd_otel_exporter.subject_sums import (
    GONE,
    SEALED,
    forget_subjects,
    seal_subjects,
    subject_tables,
    sum_up_subjects,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import ColumnElement, Connection, Table

    from fmd_otel_exporter.deleting import Range
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

LEDGER_DAYS = 7
"""How long a batch is remembered, in case it comes again: as long as anybody may hold on to one."""
SUBJECT_DAYS = 2
"""How much longer than raw rows users and addresses stay: writers remember an id for a day, and clocks differ
by less than another."""
_ATTEMPTS_S = _PROCESS_S = DAY_S
_US = 1_000_000
_DAY_US = DAY_S * _US


class Deleted(NamedTuple):
    """Some rows are gone."""

    table: str
    """Which, by its name in :class:`.Tables`."""
    rows: int


@dataclass(frozen=True)
class Cutoffs:
    """What is older than these goes; ``None`` where everything stays."""

    now_us: int
    raw_us: int | None
    hourly_s: int | None
    """Start of a UTC day, as the next."""
    daily_s: int | None

    @property
    def hourly_us(self) -> int | None:
        """The same as of sums by the hour, for what has its time in microseconds."""
        return None if self.hourly_s is None else self.hourly_s * _US

    @property
    def subjects_s(self) -> int | None:
        """The day before which nobody is told apart any more, by user or address."""
        if self.raw_us is None or self.hourly_s is None:
            return None
        return min(self.raw_us // _US // DAY_S * DAY_S, self.hourly_s)

    @property
    def spares_open_day(self) -> bool:
        """Whether raw rows stay that are older than asked for, since their day is not over."""
        return self.raw_us == first_open_day(self.now_us) * _US

    def by_day(self) -> Cutoffs:
        """Return the same but for raw rows, of which whole UTC days are kept."""
        return self if self.raw_us is None else replace(self, raw_us=self.raw_us // _DAY_US * _DAY_US)

    @property
    def seen_day(self) -> int | None:
        """Users and addresses last seen before this day are in no row."""
        return None if self.subjects_s is None else self.subjects_s - SUBJECT_DAYS * DAY_S

    @property
    def ledger_us(self) -> int:
        """Batches written before this are forgotten."""
        return self.now_us - LEDGER_DAYS * DAY_S * _US


@dataclass(frozen=True)
class Retention:
    """How many days what is kept; 0 is for ever."""

    raw_days: int = 30
    hourly_days: int = 90
    daily_days: int = 0

    def cutoffs(self, now_us: int) -> Cutoffs:
        """Return what that means at a moment."""
        today_s = now_us // _US // DAY_S * DAY_S
        return Cutoffs(
            now_us=now_us,
            raw_us=_before_open_day(now_us - self.raw_days * _DAY_US, now_us) if self.raw_days else None,
            hourly_s=today_s - self.hourly_days * DAY_S if self.hourly_days else None,
            daily_s=today_s - self.daily_days * DAY_S if self.daily_days else None,
        )

    def unsummed_days(self, tables: Tables) -> dict[Table, int]:
        """Return how many days rows are kept that no sum of a day is made of any more by then.

        Requests are what users and addresses are added up from, so they count as long as these do.
        """
        subject_days = max(self.raw_days, self.hourly_days) if self.raw_days and self.hourly_days else 0
        by_subject = dict.fromkeys((tables.request, *subject_tables(tables)), subject_days)
        return by_subject | dict.fromkeys(tables_of_details(tables), self.raw_days)


def older_than(age_us: int, now_us: int, *, daily: bool = False) -> Cutoffs:
    """Return what goes when everything older than that does, but for days that are not over.

    Args:
        age_us: How old that is.
        now_us: When.
        daily: Sums of days go, too.
    """
    then_us = _before_open_day(now_us - age_us, now_us)
    day_s = then_us // _DAY_US * DAY_S
    return Cutoffs(now_us=now_us, raw_us=then_us, hourly_s=day_s, daily_s=day_s if daily else None)


def _before_open_day(then_us: int, now_us: int) -> int:
    return min(then_us, first_open_day(now_us) * _US)


def prune(store: Store, cutoffs: Cutoffs) -> Iterator[Deleted]:
    """Delete what is older than the cutoffs; every step is a short transaction, and may be the last.

    Days that are over and not summed up yet keep their rows and finer sums: run :func:`.compact_days` first.
    Several processes may do this at once; they only get in each other's way.

    Yields:
        What each step deleted.

    Raises:
        StorageError: The database cannot be used now.
    """
    tables = store.tables
    for table, rows in delete_rest(store):
        yield Deleted(_name(store, table), rows)
    if cutoffs.hourly_s is not None:
        _seal(store, cutoffs.hourly_s)
        ranges = _sealed(store, cutoffs.hourly_s)
        for table in (tables.hits, tables.lat_hist):
            yield from _told(store, table, delete_times(store, table, ranges))
    yield from _told(store, tables.custom_graph_value, forget_values(store, cutoffs.hourly_us))
    yield from _told(store, tables.subject_pack, (0 for _ in sum_up_subjects(store)))
    if cutoffs.raw_us is not None:
        yield from _prune_raw(store, cutoffs.raw_us)
    for table, steps in prune_details(store, cutoffs):
        yield from _told(store, table, steps)
    if cutoffs.subjects_s is not None:
        yield from _prune_subject_sums(store, cutoffs.subjects_s)
    if cutoffs.daily_s is not None:
        yield from _prune_days(store, cutoffs.daily_s)
    if cutoffs.seen_day is not None:
        yield from _prune_subjects(store, cutoffs.seen_day, cutoffs.now_us // _US // DAY_S * DAY_S)
    yield from _told(store, tables.batch, sweep(store, tables.batch, tables.batch.c.ts < cutoffs.ledger_us))
    yield from _told(store, tables.removed_endpoint, forget_removed(store, cutoffs.now_us))
    for table, old in _expiring(tables, cutoffs.now_us):
        yield Deleted(_name(store, table), _delete(store, table, old))


def count_old(store: Store, cutoffs: Cutoffs) -> dict[str, int]:
    """Return how many rows of each table :func:`prune` would delete, once all days are summed up."""
    tables = store.tables
    found: dict[str, int] = {}
    for cutoff, by_time in (
        (cutoffs.raw_us, (tables.request,)),
        (cutoffs.hourly_s, (tables.hits, tables.lat_hist)),
        (cutoffs.subjects_s, subject_tables(tables)),
        (cutoffs.daily_s, (tables.hits_day, tables.lat_hist_day)),
        *detail_ages(tables, cutoffs),
    ):
        for table in by_time if cutoff is not None else ():
            found[_name(store, table)] = count_times(store, table, cutoff or 0)
    conditions: list[tuple[Table, ColumnElement[bool]]] = [
        (tables.batch, tables.batch.c.ts < cutoffs.ledger_us),
        *orphans(tables, cutoffs),
        *_expiring(tables, cutoffs.now_us),
    ]
    conditions.append((tables.custom_graph_value, forgettable(store, cutoffs.hourly_us)))
    if cutoffs.seen_day is not None:
        conditions.append((tables.subject, tables.subject.c.seen_day < cutoffs.seen_day))
    with store.read() as connection:
        for table, old in conditions:
            query = select(func.count()).select_from(table).where(old)
            found[_name(store, table)] = connection.scalar(query) or 0
    return found


def _seal(store: Store, end: int) -> None:
    """Let nothing more be added to the finer sums of days that are summed up without its being noticed."""
    day = store.tables.rollup_day.c
    ripe = (day.day < end, day.sealed == 0)
    with store.read() as connection:
        if connection.scalar(select(func.count()).where(*ripe)) == 0:
            return

    def work(connection: Connection) -> None:
        # A batch under way may have found a day open, and is about to take it out of the register.
        store.dialect.hold_batches(connection, store.prefix)
        finished = of_finished(connection, store, day.day)
        connection.execute(update(store.tables.rollup_day).where(*ripe, *finished).values(sealed=1))

    store.run(work)


def _sealed(store: Store, end: int) -> list[Range]:
    """Return sealed days, those that follow each other as one range. A day once sealed stays so."""
    day = store.tables.rollup_day.c
    with store.read() as connection:
        days = select(day.day).where(day.day < end, day.sealed > 0).order_by(day.day)
        return _joined(connection.scalars(days))


def _joined(days: Iterable[int]) -> list[Range]:
    ranges: list[Range] = []
    for start in days:
        begin = ranges.pop()[0] if ranges and ranges[-1][1] == start else start
        ranges.append((begin, start + DAY_S))
    return ranges


def _prune_raw(store: Store, end_us: int) -> Iterator[Deleted]:
    end = -(-end_us // _US)
    seal_subjects(store, end)
    subjects = store.tables.subject_rollup.c
    with store.read() as connection:
        sealed = select(subjects.day).where(subjects.day < end, subjects.state >= SEALED)
        days = list(connection.scalars(sealed.order_by(subjects.day)))
    ranges = [(start * _US, min(until * _US, end_us)) for start, until in _joined(days)]
    request = store.tables.request
    yield from _told(store, request, drop_parts(store, request, ranges, end_us))
    yield from _told(store, request, delete_times(store, request, ranges))


def _prune_subject_sums(store: Store, end: int) -> Iterator[Deleted]:
    forget_subjects(store, end)
    for table in subject_tables(store.tables):
        yield from _told(store, table, delete_times(store, table, [(0, end)]))


def _prune_days(store: Store, end: int) -> Iterator[Deleted]:
    tables = store.tables
    register, subjects = tables.rollup_day, tables.subject_rollup
    # From the register first, so that nobody takes what is left of a day for the whole of it.
    _delete(store, register, (register.c.day < end) & (register.c.sealed > 0))
    known = select(register.c.day).where(register.c.day == subjects.c.day).exists()
    _delete(store, subjects, (subjects.c.day < end) & (subjects.c.state == GONE) & ~known)
    for table in (tables.hits_day, tables.lat_hist_day):
        yield from _told(store, table, delete_times(store, table, [(0, end)]))


def _prune_subjects(store: Store, end: int, today: int) -> Iterator[Deleted]:
    table = store.tables.subject
    seen = table.c.seen_day
    # Those that were there before anybody noted it begin to age now.
    undated = sweep(store, table, seen.is_(None), update(table).values(seen_day=today))
    yield from (Deleted("subject", 0) for _ in undated)
    yield from _told(store, table, sweep(store, table, seen < end))


def _expiring(tables: Tables, now_us: int) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return the small tables, and which of their rows nobody looks at any more."""
    return [
        (tables.session, tables.session.c.expires_ts <= now_us),
        (tables.setup_token, tables.setup_token.c.expires_ts <= now_us),
        (tables.login_attempt, tables.login_attempt.c.ts <= now_us - _ATTEMPTS_S * _US),
        (tables.process, tables.process.c.heartbeat_ts <= now_us - _PROCESS_S * _US),
    ]


def _delete(store: Store, table: Table, old: ColumnElement[bool]) -> int:
    """Delete some of a small table's rows; nothing is written where there are none."""
    with store.read() as connection:
        if not connection.scalar(select(func.count()).select_from(table).where(old)):
            return 0
    return store.run(lambda connection: connection.execute(delete(table).where(old)).rowcount)


def _told(store: Store, table: Table, counts: Iterator[int]) -> Iterator[Deleted]:
    name = _name(store, table)
    return (Deleted(name, rows) for rows in counts)


def _name(store: Store, table: Table) -> str:
    return table.name.removeprefix(f"{store.prefix}_")
