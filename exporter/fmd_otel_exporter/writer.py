"""One batch of requests, one transaction: ledger, raw rows and both rollups together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, select
from sqlalchemy.exc import IntegrityError

from fmd_otel_exporter.batch import (
    Key,
    Row,
    day_of,
    days_of,
    distinct,
    hits_of,
    latencies_of,
    prepare,
)
from fmd_otel_exporter.dimensions import Dimensions
from fmd_otel_exporter.errors import EndpointGoneError
from fmd_otel_exporter.schema import DAY_S
from fmd_otel_exporter.statements import Statements
from fmd_otel_exporter.subject_sums import late_sums
from fmd_otel_exporter.tries import Tries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from fmd_otel_exporter.batch import Batch, Ids
    from fmd_otel_exporter.dialects.base import BatchGuard
    from fmd_otel_exporter.level_rule import LevelRule
    from fmd_otel_exporter.records import RequestRecord
    from fmd_otel_exporter.store import Store

_ATTEMPTS = 5
_CHUNK = 500
_NO_DAYS = (0, -1)
_REMOVED = 2
"""What comes with the registers of days: an endpoint that is deleted."""


class WriteResult(NamedTuple):
    """What became of a batch."""

    written: int
    """Requests that are new in the database."""
    duplicate: int
    """Requests that were there before."""


class Writer:
    """Writes batches; belongs to one thread.

    The sums in ``hits`` and ``lat_hist`` equal the raw rows because each of them is added up in the
    transaction that inserts its row, and only then. A batch sent again is recognised by the ledger. Requests
    sent again in another batch are recognised by their keys: the insert fails, the transaction is undone, and
    a second one adds up only what is new. That second way is slow and rare, so the common way need not ask
    what is there.
    """

    def __init__(
        self,
        store: Store,
        *,
        default_level: int = 1,
        default_rules: Sequence[LevelRule] = (),
        alone: bool = False,
        tries: Tries | None = None,
    ) -> None:
        """Prepare for a store.

        Args:
            store: Where to write.
            default_level: What new endpoints get that no rule matches.
            default_rules: Rules that follow those of the database.
            alone: See :attr:`alone`.
            tries: Of a caller that brings a batch again and again until it is written, and counts it once;
                without, a batch that was written by an earlier call is a duplicate.
        """
        self._store = store
        self._tries = tries or Tries()
        self._remembers = tries is not None
        self.alone = alone
        """Others who write alone may bring the same requests in other batches at the same moment; where the
        database has no unique keys, they wait for each other.
        """
        self._dimensions = Dimensions(store, default_level, default_rules)
        self._statements: Statements | None = None

    def write(self, records: Sequence[RequestRecord]) -> WriteResult:
        """Write a batch; the same requests may come again, whole or in part, and count once.

        Requests of level 0 leave no row to recognise them by: of those, only a whole batch sent again is.

        Raises:
            StorageError: The database cannot be used now; nothing was written.
            SQLAlchemyError: A record holds what no row can; nothing was written.
        """
        if not records:
            return WriteResult(0, 0)
        attempt = 1
        while True:
            try:
                return self.write_batch(self._prepare(records))
            except EndpointGoneError:  # hardly ever
                # Deleted since its number was asked for: under its name there is, or will be, a new one.
                if attempt == _ATTEMPTS:
                    raise
                self._dimensions.forget()
            attempt += 1

    def write_batch(self, batch: Batch) -> WriteResult:
        """Write what :func:`.prepare` has made of some requests, maybe in another process, with these ids.

        Raises:
            EndpointGoneError: One of them is deleted; nothing was written.
            StorageError: The database cannot be used now; nothing was written.
            SQLAlchemyError: A record holds what no row can; nothing was written.
        """
        if not self._remembers:
            self._tries.forget()
        result = WriteResult(written=len(batch.rows) + batch.rowless, duplicate=0)

        def write(connection: Connection) -> None:
            self._insert(connection, batch, alone=self.alone)
            self._tries.expect(batch.id, result)

        try:
            self._store.run(write)
        except IntegrityError:
            result = self._write_what_is_new(batch)
        self._dimensions.ids.first_ts.update(batch.earlier)
        return result

    def forget(self) -> None:
        """Ask the database for all names again; call after somebody else has changed them."""
        self._dimensions.forget()

    def learn(self, records: Sequence[RequestRecord]) -> Ids:
        """Return the numbers of all names in these records, for :func:`.prepare`.

        They hold for a day; after that, those of users and addresses may belong to others.

        Raises:
            StorageError: A new name could not be written.
        """
        self._dimensions.begin_day()
        self._dimensions.learn(records)
        return self._dimensions.ids

    def _prepare(self, records: Sequence[RequestRecord]) -> Batch:
        self._dimensions.begin_day()
        summed = not self._store.dialect.sums_itself
        try:
            return prepare(records, self._dimensions.ids, summed=summed)
        except KeyError:  # a name not met before: rare, once an app has warmed up
            self._dimensions.learn(records)
            return prepare(records, self._dimensions.ids, summed=summed)

    def _write_what_is_new(self, batch: Batch) -> WriteResult:
        ledger = self._store.tables.batch.c

        def write(connection: Connection) -> WriteResult:
            # Whoever brings a part of these requests may be bringing another one just now.
            self._store.dialect.begin_batch(connection, self._store.prefix, alone=True)
            ts = connection.scalar(select(ledger.ts).where(ledger.id == batch.id))
            if ts is not None:
                ours = self._tries.outcome(batch.id, ts)
                return ours or WriteResult(written=0, duplicate=len(batch.rows) + batch.rowless)
            stored = self._stored(connection, batch.rows)
            fresh = distinct(batch.rows, stored)
            do = self._compiled(connection)
            if do.guard is None:
                self._insert(connection, batch.only(fresh), alone=True)
            else:
                self._insert_guarded(connection, do, do.guard, batch, fresh)
            new = len(fresh) + len(stored & self._tries.brought(batch.id))
            result = WriteResult(written=new + batch.rowless, duplicate=len(batch.rows) - new)
            self._tries.expect(batch.id, result)
            return result

        attempt = 1
        while True:
            try:
                return self._store.run(write)
            except IntegrityError:  # noqa: PERF203 # once, nearly always
                # Where several may write at once, another has just written what was missing a moment ago.
                if attempt == _ATTEMPTS:
                    raise
                attempt += 1

    def _compiled(self, connection: Connection) -> Statements:
        if self._statements is None:
            self._statements = Statements(self._store, connection)
        return self._statements

    def _insert(self, connection: Connection, batch: Batch, *, alone: bool) -> None:
        do = self._compiled(connection)
        self._store.dialect.begin_batch(connection, self._store.prefix, alone=alone)
        if not batch.rows:
            _require_endpoints(batch, do.closed_days.fetch(connection, _NO_DAYS))
        elif do.guard is not None:
            do.guard.watch(connection, batch.touches, days_of(batch.rows))
        do.ledger.run(connection, [(batch.id, self._tries.stamp(batch.id))])
        if batch.rows:
            self._insert_rows(connection, do, batch.id, batch.rows)
            do.hits.run(connection, batch.hits)
            do.latencies.run(connection, batch.latencies)
            if do.guard is None:
                # From here on nobody sums up or seals a day before this transaction ends.
                found = do.closed_days.fetch(connection, _span_of(batch.rows))
                _require_endpoints(batch, found)
                self._keep_days_right(connection, do, batch, batch.rows, found)
        _touch(connection, do, batch)

    def _insert_guarded(
        self, connection: Connection, do: Statements, guard: BatchGuard, batch: Batch, fresh: list[Row]
    ) -> None:
        """Write what is new of a batch that was refused, in a turn of its own, where nothing is undone.

        Rows that are there already may have been written by this batch, cut short before its days were put
        right, or long ago: only for those that are noted something is owed.
        """
        found = do.closed_days.fetch(connection, _span_of(batch.rows))
        _require_endpoints(batch, found)
        owed = guard.owed(connection, batch.id) if batch.rows else set()
        days = {day for which, day, _ in found if which != _REMOVED}
        late = {(row[1], row[2]) for row in fresh if day_of(row) in days}
        if late - owed:
            owed |= late
            guard.owe(connection, batch.id, sorted(owed))
        do.ledger.run(connection, [(batch.id, self._tries.stamp(batch.id))])
        self._insert_rows(connection, do, batch.id, fresh)
        if days:
            owing = [row for row in batch.rows if (row[1], row[2]) in owed]
            self._keep_days_right(connection, do, batch, owing, found)
        if owed:
            guard.owe(connection, batch.id, ())
        _touch(connection, do, batch)

    def _insert_rows(self, connection: Connection, do: Statements, batch: bytes, rows: list[Row]) -> None:
        stay = do.guard is not None  # also after trouble, and whatever becomes of the rest of the batch
        try:
            do.request.run(connection, rows)
        except IntegrityError:  # another has brought some of them; none came of this
            stay = False
            raise
        finally:
            if stay:
                self._tries.bring(batch, [row[:3] for row in rows])

    def _keep_days_right(
        self,
        connection: Connection,
        do: Statements,
        batch: Batch,
        owed: list[Row],
        found: list[tuple[Any, ...]],
    ) -> None:
        """See to days that were summed up before these rows came: they are no longer complete.

        They are summed up anew, from finer sums. Where retention has deleted those, what is late goes into
        the sums of its day as well as into the finer ones, where it stands until retention comes by again.

        Args:
            connection: Of the transaction.
            do: Its statements.
            batch: What is written.
            owed: Those of its rows that are not in any sum of a day yet.
            found: What became of its days.
        """
        if not found:
            return  # nearly always: the day of most requests is today
        days = days_of(batch.rows)
        sealed, subjects = _registers(found)
        do.reopen_day.run(connection, [(day,) for day in days if sealed.get(day, 1) <= 0])
        do.reopen_subjects.run(connection, [(day,) for day in days if day in subjects])
        late = [row for row in owed if sealed.get(day_of(row), 0) > 0]
        do.hits_day.run(connection, hits_of(late, DAY_S))
        do.latencies_day.run(connection, latencies_of(late, DAY_S))
        too_late = late_sums(owed, subjects, batch.id)
        if too_late:
            names = self._store.tables.subject_day.columns.keys()
            connection.execute(do.subject_day, [dict(zip(names, row, strict=True)) for row in too_late])
            do.mark_subjects.run(connection, sorted({(row[1], row[5]) for row in too_late}))

    def _stored(self, connection: Connection, rows: list[Row]) -> set[Key]:
        """Return which of these rows are in the database."""
        request = self._store.tables.request.c
        times: dict[int, set[int]] = {}
        for row in rows:
            times.setdefault(row[0], set()).add(row[1])
        stored: set[Key] = set()
        for endpoint, all_ts in times.items():
            ordered = sorted(all_ts)
            for start in range(0, len(ordered), _CHUNK):
                chunk = ordered[start : start + _CHUNK]
                query = select(request.endpoint_id, request.ts, request.span_id).where(
                    and_(request.endpoint_id == endpoint, request.ts.in_(chunk))
                )
                stored.update((row[0], row[1], bytes(row[2])) for row in connection.execute(query))
        return stored


def _touch(connection: Connection, do: Statements, batch: Batch) -> None:
    do.touch.run(connection, [(endpoint, *batch.touches[endpoint]) for endpoint in sorted(batch.touches)])
    do.first_seen.run(connection, sorted(batch.earlier.items()))


def _span_of(rows: list[Row]) -> tuple[int, int]:
    days = days_of(rows)
    return (days[0], days[-1]) if days else _NO_DAYS


def _require_endpoints(batch: Batch, found: list[tuple[Any, ...]]) -> None:
    """Make sure that no endpoint of a batch is deleted.

    Raises:
        EndpointGoneError: One is.
    """
    for which, endpoint, _ in found:
        if which == _REMOVED and endpoint in batch.touches:
            raise EndpointGoneError(f"endpoint {endpoint} has been deleted")


def _registers(found: list[tuple[Any, ...]]) -> tuple[dict[int, int], dict[int, int]]:
    """Return the states of days, and those of their users and addresses."""
    sealed, subjects = (
        {day: state for which, day, state in found if which == register} for register in (0, 1)
    )
    return sealed, subjects
