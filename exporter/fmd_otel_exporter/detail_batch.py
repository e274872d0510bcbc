"""Details of single requests turned into rows: all that can be worked out without the database."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from fmd_otel_exporter.batch import DAY_US, LONGEST_US, SECOND_US, timestamp
from fmd_otel_exporter.detail_tables import PLACE_LENGTH
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.profile_data import added_up, pack
from fmd_otel_exporter.records import (
    CAPTURED,
    LARGEST_STATUS,
    UNHANDLED,
    DetailRecord,
    ExceptionRecord,
    OutlierRecord,
    ProfileRecord,
    RequestRecord,
    TraceRecord,
)
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_exporter.batch import Ids
    from fmd_otel_exporter.profile_data import Trie

MESSAGE_LENGTH = 1000
NOWHERE = 0
"""The endpoint of exceptions that were met outside of any request."""
HOUR_S = 3600
FIRST_KEPT = 3
LAST_KEPT = 20
"""Of the occurrences of a group on a day that come with all details, the first and the last ones are kept."""

_MASK = 2**63 - 1
_LARGEST = 2**63 - 1
_LARGEST_SMALL = 2**31 - 1

Key = tuple[int, int, bytes]
"""Endpoint or group, time, span."""


class ProfileItem(NamedTuple):
    """A profile, with its call paths worked out."""

    key: Key
    record: ProfileRecord
    version: int
    day: int
    trie: Trie
    summed: Trie
    """The same as it goes into the sums of its day; empty if it does not."""


class GroupTouch(NamedTuple):
    """What a batch says about a group of exceptions."""

    first_ts: int
    first_version: int
    last_ts: int
    last_version: int
    type: str
    message: str
    place: str


class DetailBatch(NamedTuple):
    """Details with all names known, ready to become rows."""

    id: bytes
    profiles: list[ProfileItem]
    outliers: dict[Key, tuple[Any, ...]]
    """Rows by their keys, as the next ones."""
    traces: dict[Key, tuple[Any, ...]]
    exceptions: list[tuple[ExceptionRecord, tuple[Any, ...]]]
    """With rows that are as long as an occurrence's; those only counted end in None."""

    @property
    def size(self) -> int:
        """Count what is in it."""
        return len(self.profiles) + len(self.outliers) + len(self.traces) + len(self.exceptions)

    def endpoints(self) -> set[int]:
        """Return the endpoints it speaks of."""
        keys = [*(item.key for item in self.profiles), *self.outliers, *self.traces]
        return {key[0] for key in keys} | {row[3] for _, row in self.exceptions}


def as_requests(records: Iterable[DetailRecord]) -> list[RequestRecord]:
    """Return requests with the names in these records: whoever learns names takes requests."""
    return [
        RequestRecord(
            record.service,
            record.endpoint,
            record.ts_us,
            record.span_id,
            record.trace_id,
            0,
            0,
            "",
            record.version,
            getattr(record, "group_by", None),
            getattr(record, "ip", None),
        )
        for record in records
    ]


def batch_id(records: Iterable[DetailRecord]) -> bytes:
    """Return 16 bytes that only these details have, in whatever order they come."""
    texts = sorted(_identity(record) for record in records)
    return blake2b(repr(texts).encode("utf-8", "surrogatepass"), digest_size=16, person=b"details").digest()


def _identity(record: DetailRecord) -> tuple[Any, ...]:
    more: tuple[Any, ...] = ()
    if isinstance(record, ExceptionRecord):
        more = (record.group_id, record.kind, record.message, record.n)
    return (type(record).__name__, *record[:6], *more)


def outlier_row(record: OutlierRecord, ids: Ids) -> tuple[Any, ...]:
    """Return a row, in the order of the table's columns."""
    memory = record.process_memory_bytes
    return (
        *_request_key(record, ids),
        ids.versions[record.service, record.version],
        *[min(max(us, 0), LONGEST_US) for us in (record.duration_us, record.average_us, record.threshold_us)],
        record.status if 0 <= record.status <= LARGEST_STATUS else 0,
        ids.users[record.group_by],
        ids.ips[record.ip],
        record.cpu_percent,
        None if memory is None else min(max(memory, 0), _LARGEST),
        record.trace_id,
        record.document,
    )


def trace_row(record: TraceRecord, ids: Ids) -> tuple[Any, ...]:
    """Return a row, in the order of the table's columns."""
    return (*_request_key(record, ids), record.trace_id, record.document)


def occurrence_row(record: ExceptionRecord, ids: Ids) -> tuple[Any, ...]:
    """Return a row, in the order of the table's columns."""
    return (
        record.group_id & _MASK or 1,
        timestamp(record.ts_us),
        record.span_id,
        ids.endpoints[record.service, record.endpoint],
        ids.versions[record.service, record.version],
        ids.users[record.group_by],
        record.trace_id,
        record.kind if UNHANDLED <= record.kind <= CAPTURED else CAPTURED,
        record.document,
    )


def profile_key(record: ProfileRecord, ids: Ids) -> Key:
    """Return what a profile's row is known by."""
    return _request_key(record, ids)


def _request_key(record: DetailRecord, ids: Ids) -> Key:
    return ids.endpoints[record.service, record.endpoint], timestamp(record.ts_us), record.span_id


# Rows of a batch


def profile_rows(items: Iterable[ProfileItem]) -> list[tuple[Any, ...]]:
    """Return the rows of profiles, in the order of their key."""
    rows = []
    for item in items:
        record = item.record
        rows.append(
            (
                *item.key,
                item.version,
                min(max(record.duration_us, 0), LONGEST_US),
                min(max(record.cpu_us, 0), LONGEST_US),
                min(max(record.samples, 0), _LARGEST_SMALL),
                min(max(record.period_us, 0), _LARGEST_SMALL),
                int(record.exact),
                int(record.truncated),
                record.trace_id,
                pack(item.trie, record.price_us),
            )
        )
    rows.sort(key=_key)
    return rows


def profile_sums(items: Iterable[ProfileItem]) -> tuple[list[tuple[Any, ...]], list[tuple[int, ...]]]:
    """Return what to add to the sums of days, and to the numbers of profiles in them, in the order of keys.

    All writers touch shared rows in that order, so no two of them wait for each other in a circle.
    """
    tries: dict[tuple[int, int, int], list[ProfileItem]] = {}
    for item in items:
        # One that is empty counts, too: a request that was over before anybody looked at it.
        if not item.record.exact:
            tries.setdefault((item.key[0], item.day, item.version), []).append(item)
    sums: list[tuple[Any, ...]] = []
    counts: list[tuple[int, ...]] = []
    for key in sorted(tries):
        found = added_up(item.summed for item in tries[key])
        # Squares outgrow 64 bits.
        sums += [(*key, own, *found[own][:-1], float(found[own][-1])) for own in sorted(found)]
        us = sum(min(max(item.record.duration_us, 0), LONGEST_US) for item in tries[key])
        counts.append((*key, len(tries[key]), us))
    return sums, counts


def hit_rows(exceptions: Iterable[tuple[ExceptionRecord, tuple[Any, ...]]]) -> list[tuple[int, ...]]:
    """Return how often each group occurred, by hour, endpoint, version and kind."""
    counts: dict[tuple[int, ...], int] = {}
    for record, (group, ts, _, endpoint, version, _, _, kind, _) in exceptions:
        key = (group, ts // (HOUR_S * SECOND_US) * HOUR_S, endpoint, version, kind)
        counts[key] = counts.get(key, 0) + _times(record)
    return [(*key, counts[key]) for key in sorted(counts)]


def subject_rows(exceptions: Iterable[tuple[ExceptionRecord, tuple[Any, ...]]]) -> list[tuple[int, ...]]:
    """Return how often each user met each group, by day."""
    counts: dict[tuple[int, ...], int] = {}
    for record, (group, ts, _, _, _, user, _, _, _) in exceptions:
        if user is not None:
            key = (group, ts // DAY_US * DAY_S, user)
            counts[key] = counts.get(key, 0) + _times(record)
    return [(*key, counts[key]) for key in sorted(counts)]


def _times(record: ExceptionRecord) -> int:
    return min(max(record.n, 1), _LARGEST_SMALL)


def group_touches(exceptions: Iterable[tuple[ExceptionRecord, tuple[Any, ...]]]) -> dict[int, GroupTouch]:
    """Return what there is to say about each group, by id, in that order."""
    found: dict[int, GroupTouch] = {}
    for record, row in exceptions:
        group, ts, version = row[0], row[1], row[4]
        touch = found.get(group)
        if touch is None:
            found[group] = GroupTouch(
                ts,
                version,
                ts,
                version,
                storable(record.type, PLACE_LENGTH),
                storable(record.message, MESSAGE_LENGTH),
                storable(record.place, PLACE_LENGTH),
            )
            continue
        if not touch.message and record.message:
            touch = touch._replace(message=storable(record.message, MESSAGE_LENGTH))
        if not touch.place and record.place:
            touch = touch._replace(place=storable(record.place, PLACE_LENGTH))
        if ts < touch.first_ts:
            touch = touch._replace(first_ts=ts, first_version=version)
        if ts > touch.last_ts:
            touch = touch._replace(last_ts=ts, last_version=version)
        found[group] = touch
    return dict(sorted(found.items()))


def occurrences(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the occurrences that are worth a row: not more of a group and day than are kept anyway."""
    by_day: dict[tuple[int, int], dict[Key, tuple[Any, ...]]] = {}
    for row in rows:
        if row[-1] is not None:
            by_day.setdefault((row[0], row[1] // DAY_US), {}).setdefault(row[:3], row)
    kept: list[tuple[Any, ...]] = []
    for group_day in sorted(by_day):
        ordered = sorted(by_day[group_day].values(), key=_key)
        cut = len(ordered) - LAST_KEPT
        kept += ordered if cut <= FIRST_KEPT else ordered[:FIRST_KEPT] + ordered[cut:]
    return kept


def days_of(rows: Sequence[tuple[Any, ...]]) -> list[tuple[int, int]]:
    """Return each group with the start (microseconds) of each day on which these occurrences fall."""
    return sorted({(row[0], row[1] // DAY_US * DAY_US) for row in rows})


def _key(row: tuple[Any, ...]) -> Key:
    return row[0], row[1], row[2]
