"""One batch of details, one transaction: together or not at all, and once, however often it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, tuple_
from sqlalchemy.exc import IntegrityError

from fmd_otel_exporter import detail_batch as make
from fmd_otel_exporter.batch import DAY_US
from fmd_otel_exporter.catalog import claim_profile
from fmd_otel_exporter.code_book import CodeBook
from fmd_otel_exporter.day_stacks import MOST_STACKS, DayStacks
from fmd_otel_exporter.detail_batch import DetailBatch, Key, ProfileItem
from fmd_otel_exporter.errors import EndpointGoneError
from fmd_otel_exporter.exception_groups import keep_some, reopen, touch_groups
from fmd_otel_exporter.profile_data import TRUNCATED_LINE, trie_of
from fmd_otel_exporter.records import ExceptionRecord, OutlierRecord, ProfileRecord, TraceRecord
from fmd_otel_exporter.schema import DAY_S
from fmd_otel_exporter.spool.detail_codec import check_size
from fmd_otel_exporter.statements import Compiled
from fmd_otel_exporter.tries import Tries
from fmd_otel_exporter.writer import Writer, WriteResult

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.batch import Ids
    from fmd_otel_exporter.profile_data import Trie
    from fmd_otel_exporter.records import CodeLine, DetailRecord
    from fmd_otel_exporter.store import Store

_ATTEMPTS = 5
_CHUNK = 500


class DetailWriter:
    """Writes details; belongs to one thread.

    A batch sent again is recognised by the ledger, and a detail sent again in another batch by its key.
    Exceptions that are only counted leave no row to recognise them by: of those, only a whole batch is.
    """

    def __init__(
        self,
        store: Store,
        names: Writer | None = None,
        *,
        most_stacks: int = MOST_STACKS,
        tries: Tries | None = None,
    ) -> None:
        """Prepare for a store.

        Args:
            store: Where to write.
            names: Who knows the ids of names there.
            most_stacks: How many call paths the sums of a day tell apart.
            tries: As for :class:`.Writer`.
        """
        self._store = store
        self._tries = tries or Tries()
        self._remembers = tries is not None
        self._names = names or Writer(store)
        self._book = CodeBook(store)
        self._day_stacks = DayStacks(store, self._book, most_stacks)
        self._statements: _Statements | None = None

    def write(self, records: Sequence[DetailRecord]) -> WriteResult:
        """Write a batch; the same details may come again, whole or in part, and count once.

        Raises:
            StorageError: The database cannot be used now; nothing was written.
            Exception: A record holds what no row can; nothing was written.
        """
        if not records:
            return WriteResult(0, 0)
        attempt = 1
        while True:
            try:
                return self._write(records)
            except EndpointGoneError:  # hardly ever
                if attempt == _ATTEMPTS:
                    raise
                self._names.forget()
            attempt += 1

    def _write(self, records: Sequence[DetailRecord]) -> WriteResult:
        # What is met outside of any request has no endpoint, and none is made for it.
        self._names.learn(()).endpoints.update({(record.service, ""): make.NOWHERE for record in records})
        ids = self._names.learn(make.as_requests(records))
        batch = self._prepare(records, ids)
        if not self._remembers:
            self._tries.forget()

        def write(connection: Connection) -> WriteResult:
            written = self._insert(connection, batch, ids)
            return self._expect(batch, WriteResult(written, len(records) - written))

        try:
            return self._store.run(write)
        except IntegrityError:
            return self._write_what_is_new(batch, ids)

    def _expect(self, batch: DetailBatch, result: WriteResult) -> WriteResult:
        self._tries.expect(batch.id, result)
        return result

    def _prepare(self, records: Sequence[DetailRecord], ids: Ids) -> DetailBatch:
        batch = DetailBatch(make.batch_id(records), [], {}, {}, [])
        profiles: dict[Key, ProfileRecord] = {}
        for record in records:
            check_size(record)
            if isinstance(record, ProfileRecord):
                profiles.setdefault(make.profile_key(record, ids), record)
            elif isinstance(record, OutlierRecord):
                row = make.outlier_row(record, ids)
                batch.outliers.setdefault(row[:3], row)
            elif isinstance(record, TraceRecord):
                row = make.trace_row(record, ids)
                batch.traces.setdefault(row[:3], row)
            else:
                batch.exceptions.append((record, make.occurrence_row(record, ids)))
        if profiles:
            batch.profiles.extend(self._prepare_profiles(profiles, ids))
        return batch

    def _prepare_profiles(self, profiles: dict[Key, ProfileRecord], ids: Ids) -> list[ProfileItem]:
        book = self._book
        book.begin()
        lines: dict[int, CodeLine] = {book.lines[TRUNCATED_LINE]: TRUNCATED_LINE}
        noted: list[tuple[Trie, int]] = []
        items = []
        for key, record in profiles.items():
            trie = trie_of(record, book.lines, book.stacks)
            lines.update((book.lines[line], line) for line in record.lines)
            version = ids.versions[record.service, record.version]
            day = key[1] // DAY_US * DAY_S
            summed = {} if record.exact else self._day_stacks.bounded(trie, (key[0], day, version))
            items.append(ProfileItem(key, record, version, day, trie, summed))
            noted.append((summed, day))
            if summed is not trie:
                noted.append((trie, 0))
        book.note(lines, noted)
        return items

    # Transactions

    def _insert(self, connection: Connection, batch: DetailBatch, ids: Ids) -> int:
        """Write all of a batch; return how much of it was wanted."""
        do = self._statements
        if do is None:
            do = self._statements = _Statements(self._store, connection)
        tables = self._store.tables
        self._store.dialect.begin_batch(connection, self._store.prefix)
        removed = set(connection.scalars(select(tables.removed_endpoint.c.id)))
        if removed and not removed.isdisjoint(batch.endpoints()):
            raise EndpointGoneError("an endpoint has been deleted")
        do.ledger.run(connection, [(batch.id, self._tries.stamp(batch.id))])
        profiles = [
            item
            for item in sorted(batch.profiles, key=lambda item: item.key)
            if not item.record.exact or claim_profile(connection, tables.endpoint, item.key[0])
        ]
        if profiles:
            do.profile.run(connection, make.profile_rows(profiles))
            sums, counts = make.profile_sums(profiles)
            if sums:
                do.profile_day.run(connection, sums)
            if counts:
                do.profile_day_n.run(connection, counts)
        for statement, rows in ((do.outlier, batch.outliers), (do.request_trace, batch.traces)):
            if rows:
                statement.run(connection, [rows[key] for key in sorted(rows)])
        if batch.exceptions:
            self._insert_exceptions(connection, do, batch.exceptions, ids)
        return batch.size - len(batch.profiles) + len(profiles)

    def _insert_exceptions(
        self,
        connection: Connection,
        do: _Statements,
        exceptions: list[tuple[ExceptionRecord, tuple[Any, ...]]],
        ids: Ids,
    ) -> None:
        rows = [row for _, row in exceptions]
        touch_groups(connection, self._store, make.group_touches(exceptions))
        do.exception_hits.run(connection, make.hit_rows(exceptions))
        if subjects := make.subject_rows(exceptions):
            do.exception_subject.run(connection, subjects)
        if kept := make.occurrences(rows):
            do.exception_occurrence.run(connection, kept)
            keep_some(connection, self._store.tables, make.days_of(kept))
        reopen(connection, self._store.tables, rows, ids.first_ts)

    def _write_what_is_new(self, batch: DetailBatch, ids: Ids) -> WriteResult:
        ledger = self._store.tables.batch.c

        def write(connection: Connection) -> WriteResult:
            ts = connection.scalar(select(ledger.ts).where(ledger.id == batch.id))
            if ts is not None:
                return self._tries.outcome(batch.id, ts) or WriteResult(0, batch.size)
            written = self._insert(connection, self._new_of(connection, batch), ids)
            return self._expect(batch, WriteResult(written, batch.size - written))

        attempt = 1
        while True:
            try:
                return self._store.run(write)
            except IntegrityError:  # noqa: PERF203 # once, nearly always
                # Where several may write at once, another has just written what was missing a moment ago.
                if attempt == _ATTEMPTS:
                    raise
                attempt += 1

    def _new_of(self, connection: Connection, batch: DetailBatch) -> DetailBatch:
        tables = self._store.tables
        profiles = _stored(connection, tables.profile, [item.key for item in batch.profiles])
        outliers = _stored(connection, tables.outlier, batch.outliers)
        traces = _stored(connection, tables.request_trace, batch.traces)
        met = _stored(
            connection,
            tables.exception_occurrence,
            [row[:3] for _, row in batch.exceptions if row[-1] is not None],
        )
        return batch._replace(
            profiles=[item for item in batch.profiles if item.key not in profiles],
            outliers={key: row for key, row in batch.outliers.items() if key not in outliers},
            traces={key: row for key, row in batch.traces.items() if key not in traces},
            exceptions=[each for each in batch.exceptions if each[1][-1] is None or each[1][:3] not in met],
        )


class _Statements:
    """Those of a batch's transaction, compiled once."""

    def __init__(self, store: Store, connection: Connection) -> None:
        tables, dialect = store.tables, store.dialect
        self.ledger = Compiled(insert(tables.batch), connection, tables.batch.columns.keys())
        self.profile = dialect.row_inserter(connection, tables.profile)
        self.outlier = dialect.row_inserter(connection, tables.outlier)
        self.request_trace = dialect.row_inserter(connection, tables.request_trace)
        self.exception_occurrence = dialect.row_inserter(connection, tables.exception_occurrence)
        sums = ("n", "hits", "self_us", "self_cpu_us", "total_us", "total_us2")
        self.profile_day = dialect.row_adder(connection, tables.profile_day, add=sums)
        self.profile_day_n = dialect.row_adder(connection, tables.profile_day_n, add=("n", "duration_us"))
        self.exception_hits = dialect.row_adder(connection, tables.exception_hits, add=("n",))
        self.exception_subject = dialect.row_adder(connection, tables.exception_subject, add=("n",))


def _stored(connection: Connection, table: Table, keys: Collection[Key]) -> set[Key]:
    """Return which of these are in a table."""
    columns = list(table.primary_key)
    found: set[Key] = set()
    ordered = sorted(keys)
    for start in range(0, len(ordered), _CHUNK):
        query = select(*columns).where(tuple_(*columns).in_(ordered[start : start + _CHUNK]))
        found.update((row[0], row[1], bytes(row[2])) for row in connection.execute(query))
    return found
