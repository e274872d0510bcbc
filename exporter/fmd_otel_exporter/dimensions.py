"""Names and the small numbers that stand for them in every row."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from fmd_otel_exporter.batch import METHOD_LENGTH, Ids, timestamp
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.level_rule import level_for
from fmd_otel_exporter.level_rules import read_rules
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import DAY_S, NAME_LENGTH, SUBJECT_IP, SUBJECT_LENGTH, SUBJECT_USER
from fmd_otel_exporter.statements import Lookup

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Table, Update

    from fmd_otel_exporter.level_rule import LevelRule
    from fmd_otel_exporter.records import RequestRecord
    from fmd_otel_exporter.store import Store

_MOST_NAMES = 20_000
"""Names of one kind remembered; beyond it all are forgotten and asked for again, at about 1 µs each."""
_ATTEMPTS = 5
_CHUNK = 500
"""Most values in one ``IN (…)``: every database takes that many."""

Pair = tuple[Any, str]


class Dimensions:
    """Finds or makes the ids of endpoints, versions, users and addresses.

    New names are written in a short transaction of their own, before the batch's: workers that meet the same
    new name at once then hold no lock while they wait, and a name left without rows does no harm.
    """

    def __init__(self, store: Store, default_level: int, default_rules: Sequence[LevelRule] = ()) -> None:
        """Start with nothing remembered; level and rules are for new endpoints that no other rule matches."""
        self._store = store
        self._default_level = default_level
        self._default_rules = default_rules
        self.ids = Ids()
        """All ids known so far, to look up in; ``KeyError`` there means that a name has to be learnt here."""
        self._day = 0
        self._lookups: dict[Table, Lookup] = {}
        subject = store.tables.subject.c
        self._seen = Lookup(subject.id, (subject.id, subject.seen_day))

    def begin_day(self) -> None:
        """Ask for users and addresses again once a day, which notes that they are still in use.

        Retention deletes those that nobody has asked for since the oldest request was written, and a day
        more: an id that is remembered for less than a day stands for the same name as long as it is.
        Endpoints that are deleted are not remembered for ever either, so they are asked for again, too.
        """
        today = int(time.time()) // DAY_S * DAY_S
        if today != self._day:
            self._day = today
            self.ids.forget_subjects()
            self.ids.endpoints = {}

    def forget(self) -> None:
        """Drop what is remembered, when the database is no longer the one it came from."""
        self.ids = Ids()

    def learn(self, records: Sequence[RequestRecord]) -> None:
        """Find or make the ids of all names in these records.

        Raises:
            StorageError: A new name could not be written.
        """
        ids = self.ids
        ids.bound(_MOST_NAMES)
        kept = [record for record in records if record.level > 0]
        self._learn_endpoints(records)
        self._learn_versions(kept)
        self._learn_subjects(SUBJECT_USER, ids.users, {record.group_by for record in kept})
        self._learn_subjects(SUBJECT_IP, ids.ips, {record.ip for record in kept})
        for method in {record.method for record in kept} - ids.methods.keys():
            ids.methods[method] = storable(method, METHOD_LENGTH)

    # One method a kind of name

    def _learn_endpoints(self, records: Sequence[RequestRecord]) -> None:
        known = self.ids.endpoints
        rows: dict[Pair, dict[str, Any]] = {}
        for record in records:
            pair = (record.service, record.endpoint)
            if pair in known or pair in rows:
                continue
            rows[pair] = {
                "service": storable(record.service, NAME_LENGTH),
                "name": storable(record.endpoint, NAME_LENGTH),
                "route": None if record.route is None else storable(record.route, SUBJECT_LENGTH),
                # Without a route this is a collection of unmatched paths, which have no method in common.
                "method": None if record.route is None else storable(record.method, METHOD_LENGTH),
                "blueprint": None if record.blueprint is None else storable(record.blueprint, NAME_LENGTH),
                "level": self._default_level,
            }
        known.update(self._find_or_make(self._store.tables.endpoint, ("service", "name"), rows))

    def _learn_versions(self, records: Iterable[RequestRecord]) -> None:
        known = self.ids.versions
        rows: dict[Pair, dict[str, Any]] = {}
        if {(record.service, record.version) for record in records} <= known.keys():
            return  # nearly always, and this is asked for every new user
        for record in records:
            pair, ts = (record.service, record.version), timestamp(record.ts_us)
            if pair in rows:
                rows[pair]["first_ts"] = min(ts, rows[pair]["first_ts"])
            elif pair not in known:
                rows[pair] = {
                    "service": storable(record.service, NAME_LENGTH),
                    "name": storable(record.version, NAME_LENGTH),
                    "first_ts": ts,
                }
        table = self._store.tables.version
        known.update(self._find_or_make(table, ("service", "name"), rows))
        with self._store.read() as connection:
            for chunk in _chunks(sorted({known[pair] for pair in rows})):
                query = select(table.c.id, table.c.first_ts).where(table.c.id.in_(chunk))
                self.ids.first_ts.update((row[0], row[1]) for row in connection.execute(query))

    def _learn_subjects(
        self, kind: int, known: dict[str | None, int | None], values: set[str | None]
    ) -> None:
        rows = {
            (kind, value): {
                "kind": kind,
                "value": storable(value, SUBJECT_LENGTH),
                "seen_day": self._day,
            }
            for value in values
            if value is not None and value not in known
        }
        for _ in range(_ATTEMPTS):
            found = self._find_or_make(self._store.tables.subject, ("kind", "value"), rows)
            if self._note_use(sorted(set(found.values()))):
                known.update((pair[1], number) for pair, number in found.items())
                return
        raise StorageError("retention deletes users and addresses as fast as they are written", busy=True)

    def _note_use(self, ids: Sequence[int]) -> bool:
        """Note that these subjects are used today; ``False`` when one of them has just been deleted."""
        table = self._store.tables.subject
        for chunk in _chunks(ids):
            with self._store.read() as connection:
                seen = dict(self._seen.fetch(connection, chunk))
            if len(seen) < len(chunk):
                return False
            stale = [number for number, day in seen.items() if day is None or day < self._day]
            if not stale:
                continue
            note = update(table).where(table.c.id.in_(stale)).values(seen_day=self._day)
            if self._changed(note) < len(stale):
                return False
        return True

    def _changed(self, change: Update) -> int:
        return self._store.run(lambda connection: connection.execute(change).rowcount)

    # What they share

    def _find_or_make(
        self, table: Table, key: tuple[str, str], rows: Mapping[Any, dict[str, Any]]
    ) -> dict[Pair, int]:
        if not rows:
            return {}
        stored = {pair: (row[key[0]], row[key[1]]) for pair, row in rows.items()}
        ids = self._select(table, key, set(stored.values()))
        new = {stored[pair]: rows[pair] for pair in rows if stored[pair] not in ids}
        if new:
            # Sorted, so that two workers with the same new names queue up instead of waiting in a circle.
            missing = [new[pair] for pair in sorted(new)]
            self._store.run(lambda connection: self._insert(connection, table, missing))
            ids |= self._select(table, key, set(new))
        for name in stored.values():
            if name not in ids:
                raise StorageError(f"the table {table.name} did not keep the new name {name[1]!r}")
        return {pair: ids[name] for pair, name in stored.items()}

    def _insert(self, connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
        store = self._store
        if table is store.tables.endpoint:
            store.dialect.take_turn(connection, store.prefix)
            rules = (*read_rules(connection, store.tables), *self._default_rules)
            rows = [
                {**row, "level": level_for(rules, row["service"], row["name"], row["level"])} for row in rows
            ]
        connection.execute(store.dialect.insert_new(table), rows)

    def _select(self, table: Table, key: tuple[str, str], names: set[Pair]) -> dict[Pair, int]:
        lookup = self._lookups.get(table)
        if lookup is None:
            scope, name = table.c[key[0]], table.c[key[1]]
            lookup = self._lookups[table] = Lookup(name, (scope, name, table.c.id))
        by_scope: dict[Any, list[str]] = {}
        for pair in names:
            by_scope.setdefault(pair[0], []).append(pair[1])
        ids: dict[Pair, int] = {}
        with self._store.read() as connection:
            for value, values in by_scope.items():
                found = lookup.fetch(connection, values, value)
                ids.update(((value, row[1]), row[2]) for row in found)
        return ids


def _chunks(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
