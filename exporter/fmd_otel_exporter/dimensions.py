"""Names and the small numbers that stand for them in every row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from sqlalchemy import and_, select

from fmd_otel_exporter.batch import METHOD_LENGTH, Ids, timestamp
from fmd_otel_exporter.cache import TwoGenerations
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import NAME_LENGTH, SUBJECT_IP, SUBJECT_LENGTH, SUBJECT_USER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Table

    from fmd_otel_exporter.records import RequestRecord
    from fmd_otel_exporter.store import Store

_FEW = 4096
"""Endpoints and versions remembered; more than any app has, but a hostile one may invent them."""
_MANY = 16_384
"""Users and addresses remembered."""
_CHUNK = 500
"""Most values in one ``IN (…)``: every database takes that many."""

Pair = tuple[Any, str]
V = TypeVar("V")


class Resolved(NamedTuple):
    """What a batch needs to know of its names."""

    ids: Ids
    earlier: dict[int, int]
    """Versions seen in this batch before the first time known so far, with the new first time."""


class Dimensions:
    """Finds or makes the ids of endpoints, versions, users and addresses.

    New names are written in a short transaction of their own, before the batch's: workers that meet the same new
    name at once then hold no lock while they wait, and a name left without rows does no harm.
    """

    def __init__(self, store: Store, default_level: int) -> None:
        """Start with nothing remembered."""
        self._store = store
        self._default_level = default_level
        self._endpoints: TwoGenerations[Pair, int] = TwoGenerations(_FEW)
        self._versions: TwoGenerations[Pair, tuple[int, int]] = TwoGenerations(_FEW)
        self._subjects: TwoGenerations[Pair, int] = TwoGenerations(_MANY)

    def forget(self) -> None:
        """Drop what is remembered, when the database is no longer the one it came from."""
        self._endpoints.clear()
        self._versions.clear()
        self._subjects.clear()

    def resolve(self, records: Sequence[RequestRecord]) -> Resolved:
        """Return the ids of all names in these records, making those that are new.

        Raises:
            StorageError: A new name could not be written.
        """
        kept = [record for record in records if record.level > 0]
        users = {record.group_by for record in kept} - {None}
        ips = {record.ip for record in kept} - {None}
        subjects = self._subject_ids(
            [*((SUBJECT_USER, user) for user in users), *((SUBJECT_IP, ip) for ip in ips)]
        )
        versions, earlier = self._version_ids(kept)
        ids = Ids(
            endpoints=self._endpoint_ids(records),
            versions=versions,
            users={None: None} | {user: subjects[SUBJECT_USER, user] for user in users},
            ips={None: None} | {ip: subjects[SUBJECT_IP, ip] for ip in ips},
            methods={
                method: storable(method, METHOD_LENGTH) for method in {record.method for record in kept}
            },
        )
        return Resolved(ids, earlier)

    def note_first_seen(self, earlier: dict[int, int]) -> None:
        """Remember the earlier times of versions, once they are committed."""
        if earlier:
            self._versions.clear()

    # One method a kind of name -------------------------------------------------------------------------------------

    def _endpoint_ids(self, records: Iterable[RequestRecord]) -> dict[Pair, int]:
        wanted = {(record.service, record.endpoint) for record in records}
        found, missing = _look_up(self._endpoints, wanted)
        if missing:
            first = {(r.service, r.endpoint): r for r in reversed(list(records))}
            rows = {
                pair: {
                    "service": storable(pair[0], NAME_LENGTH),
                    "name": storable(pair[1], NAME_LENGTH),
                    "route": None
                    if (route := first[pair].route) is None
                    else storable(route, NAME_LENGTH * 4),
                    "method": storable(first[pair].method, METHOD_LENGTH) if route is not None else None,
                    "blueprint": (
                        None
                        if (blueprint := first[pair].blueprint) is None
                        else storable(blueprint, NAME_LENGTH)
                    ),
                    "level": self._default_level,
                }
                for pair in missing
            }
            for pair, number in self._find_or_make(
                self._store.tables.endpoint, ("service", "name"), rows
            ).items():
                found[pair] = self._endpoints[pair] = number
        return found

    def _version_ids(self, records: Iterable[RequestRecord]) -> tuple[dict[Pair, int], dict[int, int]]:
        first: dict[Pair, int] = {}
        for record in records:
            pair, ts = (record.service, record.version), record.ts_us
            if ts < first.get(pair, ts + 1):
                first[pair] = ts
        first = {pair: timestamp(ts) for pair, ts in first.items()}
        found, missing = _look_up(self._versions, first)
        if missing:
            rows = {
                pair: {
                    "service": storable(pair[0], NAME_LENGTH),
                    "name": storable(pair[1], NAME_LENGTH),
                    "first_ts": first[pair],
                }
                for pair in missing
            }
            ids = self._find_or_make(self._store.tables.version, ("service", "name"), rows)
            known = self._first_seen(sorted(set(ids.values())))
            for pair, number in ids.items():
                found[pair] = self._versions[pair] = (number, known.get(number, first[pair]))
        earlier: dict[int, int] = {}
        for pair, (number, known_ts) in found.items():
            if first[pair] < earlier.get(number, known_ts):
                earlier[number] = first[pair]
        return {pair: number for pair, (number, _) in found.items()}, earlier

    def _first_seen(self, versions: list[int]) -> dict[int, int]:
        table = self._store.tables.version.c
        with self._store.read() as connection:
            return {
                row[0]: row[1]
                for chunk in _chunks(versions)
                for row in connection.execute(select(table.id, table.first_ts).where(table.id.in_(chunk)))
            }

    def _subject_ids(self, wanted: Iterable[Pair]) -> dict[Pair, int]:
        found, missing = _look_up(self._subjects, wanted)
        if missing:
            rows = {pair: {"kind": pair[0], "value": storable(pair[1], SUBJECT_LENGTH)} for pair in missing}
            for pair, number in self._find_or_make(
                self._store.tables.subject, ("kind", "value"), rows
            ).items():
                found[pair] = self._subjects[pair] = number
        return found

    # What they share ---------------------------------------------------------------------------------------------

    def _find_or_make(
        self, table: Table, key: tuple[str, str], rows: dict[Pair, dict[str, Any]]
    ) -> dict[Pair, int]:
        stored = {pair: (row[key[0]], row[key[1]]) for pair, row in rows.items()}
        ids = self._select(table, key, set(stored.values()))
        new = {stored[pair]: rows[pair] for pair in rows if stored[pair] not in ids}
        if new:
            with self._store.write() as connection:
                # Sorted, so that two workers with the same new names queue up instead of waiting in a circle.
                connection.execute(self._store.dialect.insert_new(table), [new[pair] for pair in sorted(new)])
            ids |= self._select(table, key, set(new))
        for name in stored.values():
            if name not in ids:
                raise StorageError(f"the table {table.name} did not keep the new name {name[1]!r}")
        return {pair: ids[name] for pair, name in stored.items()}

    def _select(self, table: Table, key: tuple[str, str], names: set[Pair]) -> dict[Pair, int]:
        scope, name = table.c[key[0]], table.c[key[1]]
        by_scope: dict[Any, list[str]] = {}
        for pair in names:
            by_scope.setdefault(pair[0], []).append(pair[1])
        ids: dict[Pair, int] = {}
        with self._store.read() as connection:
            for value, values in by_scope.items():
                for chunk in _chunks(values):
                    query = select(name, table.c.id).where(and_(scope == value, name.in_(chunk)))
                    ids |= {(value, row[0]): row[1] for row in connection.execute(query)}
        return ids


def _look_up(cache: TwoGenerations[Pair, V], wanted: Iterable[Pair]) -> tuple[dict[Pair, V], list[Pair]]:
    found: dict[Pair, V] = {}
    missing: list[Pair] = []
    for pair in wanted:
        known = cache.get(pair)
        if known is None:
            missing.append(pair)
        else:
            found[pair] = known
    return found, missing


def _chunks(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _CHUNK] for start in range(0, len(values), _CHUNK))
