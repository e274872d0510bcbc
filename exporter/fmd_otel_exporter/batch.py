"""Requests turned into rows and sums: pure functions, and the hot path of the background thread."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.native import give_way
from fmd_otel_exporter.records import LARGEST_STATUS
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S, LATENCY_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_exporter.records import RequestRecord

SECOND_US = 1_000_000
DAY_US = DAY_S * SECOND_US

LAST_TS_US = 253_402_300_799 * SECOND_US
"""The end of the year 9999, the last that Python's own dates know."""
LONGEST_US = 366 * DAY_S * SECOND_US
"""A request longer than a year is a clock at fault, and a few of them would overflow a 64-bit sum."""
METHOD_LENGTH = 16

Row = tuple[int, int, bytes, int, int, int, "int | None", "int | None", int, str, "int | None", bytes]
"""A row of the request table, in the order of its columns."""
Key = tuple[int, int, bytes]
"""What a row is known by: endpoint, time, span."""
HitsKey = tuple[int, int, int, int]
LatencyKey = tuple[int, int, int, int]


class Touch(NamedTuple):
    """What a batch says about one endpoint."""

    first_ts: int
    last_ts: int
    level0_n: int


class Batch(NamedTuple):
    """Requests, ready to be written: all that can be worked out without the database."""

    id: bytes
    rows: list[Row]
    hits: list[tuple[int, ...]]
    latencies: list[tuple[int, ...]]
    touches: dict[int, Touch]
    earlier: dict[int, int]
    """Versions seen at a time before the first one known, with that time."""

    def only(self, rows: list[Row]) -> Batch:
        """Return the same with some of the rows."""
        return self._replace(rows=rows, hits=hits_of(rows), latencies=latencies_of(rows))

    @property
    def rowless(self) -> int:
        """Count the requests that leave no row."""
        return sum(touch.level0_n for touch in self.touches.values())


class Ids:
    """The numbers that stand for names."""

    __slots__ = ("endpoints", "first_ts", "ips", "methods", "users", "versions")

    def __init__(self) -> None:
        """Know nothing yet."""
        self.endpoints: dict[tuple[str, str], int] = {}
        self.versions: dict[tuple[str, str], int] = {}
        self.users: dict[str | None, int | None] = {None: None}
        self.ips: dict[str | None, int | None] = {None: None}
        self.methods: dict[str, str] = {}
        self.first_ts: dict[int, int] = {}
        """When each version was first seen."""

    def forget_subjects(self) -> None:
        """Forget users and addresses."""
        self.users = {None: None}
        self.ips = {None: None}

    def bound(self, most: int) -> None:
        """Forget everything of a kind that has grown beyond a bound."""
        if len(self.versions) > most:
            self.first_ts.clear()
        for known in (self.endpoints, self.versions, self.users, self.ips, self.methods):
            if len(known) > most:
                known.clear()
        self.users[None] = self.ips[None] = None


def prepare(records: Sequence[RequestRecord], ids: Ids, *, summed: bool = True) -> Batch:
    """Return the batch these requests make.

    Args:
        records: The requests.
        ids: What stands for names.
        summed: Add up what goes into the sums; for a database that does so by itself it is no use.

    Raises:
        KeyError: A name has no number yet.
    """
    rows = rows_of(records, ids)
    give_way()
    touches, earlier = touches_of(records, ids)
    give_way()
    hits = hits_of(rows) if summed else []
    give_way()
    latencies = latencies_of(rows) if summed else []
    give_way()
    return Batch(batch_id(records), rows, hits, latencies, touches, earlier)


def batch_id(records: Sequence[RequestRecord]) -> bytes:
    """Return 16 bytes that only these requests have, in whatever order they come.

    Trace and time are hashed with the span: a caller without an SDK may have sent no ids, or zeros.
    """
    spans = b"".join(sorted([record.span_id + record.trace_id for record in records]))
    times = repr(sorted([record.ts_us for record in records]))
    return blake2b(times.encode(), key=blake2b(spans).digest(), digest_size=16).digest()


def timestamp(ts_us: int) -> int:
    """Return a time every database and calendar can hold."""
    return min(max(ts_us, 0), LAST_TS_US)


def rows_of(records: Iterable[RequestRecord], ids: Ids) -> list[Row]:
    """Return a row for each request above level 0, in the order of the table's key."""
    endpoints, versions, users, ips, methods = ids.endpoints, ids.versions, ids.users, ids.ips, ids.methods
    rows: list[Row] = []
    add = rows.append
    for (
        service,
        endpoint,
        ts,
        span,
        trace,
        us,
        status,
        method,
        version,
        user,
        ip,
        head,
        level,
        _,
        _,
    ) in records:
        if level <= 0:
            continue
        # Clocks step backwards, and a client's span may claim anything.
        if not 0 <= us <= LONGEST_US:
            us = 0 if us < 0 else LONGEST_US  # noqa: PLW2901 # a second name would cost more than it tells
        if not 0 <= ts <= LAST_TS_US:
            ts = timestamp(ts)  # noqa: PLW2901 # as above
        if head is not None and not 0 <= head < us:
            head = None  # noqa: PLW2901 # the body took no time of its own: nothing worth 6 bytes
        add(
            (
                endpoints[service, endpoint],
                ts,
                span,
                us,
                bucket_of(us),
                versions[service, version],
                users[user],
                ips[ip],
                status if 0 <= status <= LARGEST_STATUS else 0,
                methods[method],
                head,
                trace,
            )
        )
    rows.sort(key=_key)
    return rows


def touches_of(records: Iterable[RequestRecord], ids: Ids) -> tuple[dict[int, Touch], dict[int, int]]:
    """Return, for each endpoint id, its first and last request and the requests that leave no other trace.

    Also return the versions seen here at a time before the first one known, with the earlier time.
    """
    spans: dict[tuple[str, str, str], list[int]] = {}
    for record in records:
        name = (record.service, record.endpoint, record.version)
        span = spans.get(name)
        ts = record.ts_us
        if span is None:
            span = spans[name] = [ts, ts, 0]
        elif ts > span[1]:
            span[1] = ts
        elif ts < span[0]:
            span[0] = ts
        if record.level <= 0:
            span[2] += 1
    touches: dict[int, Touch] = {}
    earlier: dict[int, int] = {}
    for (service, endpoint, version), (first, last, n) in spans.items():
        touch = Touch(timestamp(first), timestamp(last), n)
        number = ids.endpoints[service, endpoint]
        other = touches.get(number)
        if other is not None:
            touch = Touch(min(touch[0], other[0]), max(touch[1], other[1]), touch[2] + other[2])
        touches[number] = touch
        seen = ids.versions.get((service, version))
        # Not the merged touch: that is the endpoint's, over all versions in the batch.
        if seen is not None and timestamp(first) < earlier.get(seen, ids.first_ts[seen]):
            earlier[seen] = timestamp(first)
    return touches, earlier


def hits_of(rows: Iterable[Row], bucket_s: int = HITS_BUCKET_S) -> list[tuple[int, ...]]:
    """Return the rows to add to the hits table, or to that of days, in the order of its key.

    All writers touch shared rows in that order, so no two of them wait for each other in a circle.
    """
    sums: dict[HitsKey, list[int]] = {}
    width_us = bucket_s * SECOND_US
    for row in rows:
        us = row[3]
        key = (row[0], row[1] // width_us, row[5], row[8])
        found = sums.get(key)
        if found is None:
            sums[key] = [1, us, us, us]
            continue
        found[0] += 1
        found[1] += us
        if us < found[2]:
            found[2] = us
        elif us > found[3]:
            found[3] = us
    return [
        (e, bucket * bucket_s, v, status, *sums[e, bucket, v, status])
        for e, bucket, v, status in sorted(sums)
    ]


def latencies_of(rows: Iterable[Row], bucket_s: int = LATENCY_BUCKET_S) -> list[tuple[int, ...]]:
    """Return the rows to add to the latency histogram, or to that of days, in the order of its key."""
    counts: dict[LatencyKey, int] = {}
    width_us = bucket_s * SECOND_US
    get = counts.get
    for row in rows:
        key = (row[0], row[1] // width_us, row[5], row[4])
        counts[key] = get(key, 0) + 1
    return [(e, bucket * bucket_s, v, bkt, counts[e, bucket, v, bkt]) for e, bucket, v, bkt in sorted(counts)]


def days_of(rows: Iterable[Row]) -> list[int]:
    """Return the starts of the UTC days these rows fall on, in seconds."""
    times = [row[1] for row in rows]
    if not times:
        return []
    first, last = min(times) // DAY_US, max(times) // DAY_US
    days = [first] if first == last else sorted({ts // DAY_US for ts in times})  # one, nearly always
    return [day * DAY_S for day in days]


def day_of(row: Row) -> int:
    """Return the start of the UTC day a row falls on, in seconds."""
    return row[1] // DAY_US * DAY_S


def distinct(rows: Sequence[Row], known: set[Key]) -> list[Row]:
    """Return each row once, without those known already."""
    seen = set(known)
    fresh: list[Row] = []
    for row in rows:
        key = row[:3]
        if key not in seen:
            seen.add(key)
            fresh.append(row)
    return fresh


def _key(row: Row) -> Key:
    return row[:3]
