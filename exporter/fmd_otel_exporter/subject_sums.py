"""What each user and each address did on a day, added up from raw rows once the day is over.

It is known how many requests a subject sent to an endpoint, how long they took together and which latency
buckets they fell into. Those of a day are packed into few rows (:mod:`.subject_packs`), in a fifth of the
room that a row for each would take. Requests that come for a day whose raw rows are gone get rows of their
own, in another table, and so have the days of databases made before there were packs: who wants to know adds
up both.

Raw rows are read without holding up anybody, a share of the subjects at a time. Nothing keeps a late request
from arriving meanwhile. So a day is marked before its rows are read, and is complete only if the mark is
there when the last one is written: the writer takes it away with every request for that day. A mark stays
with its sums, so that those who remember them know whether they still hold.
"""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, and_, bindparam, case, cast, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.deleting import delete_times, of_finished
from fmd_otel_exporter.schema import DAY_S, SUBJECT_IP, SUBJECT_USER
from fmd_otel_exporter.subject_packs import pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Select, Table

    from fmd_otel_exporter.batch import Row
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

OPEN = 0
"""The day is being added up, or a request has come since it was."""
SUMMED = 1
"""The day's sums are complete, and raw rows may still come."""
SEALED = 2
"""Its raw rows go, or are gone: what comes late is added beside the sums."""
GONE = 3
"""Its sums are deleted, too."""
FIRST_ERROR = 500
SLICE = 40_000
"""Raw rows whose sums are worked out at a time, roughly."""
_US = 1_000_000

Buckets = dict[int, int]


def sum_up_subjects(store: Store) -> Iterator[int]:
    """Add up users and addresses of all days that are registered in ``rollup_day`` and not added up yet.

    Every step is a short transaction, and may be the last. Two processes at it get in each other's way, and
    one of them gives up.

    Yields:
        How many days each step has completed: mostly none.

    Raises:
        StorageError: The database cannot be used now.
    """
    days = days_to_sum_up(store)
    queries = {kind: _requests_of(store.tables, kind) for kind in (SUBJECT_USER, SUBJECT_IP)}
    for day in days:
        try:
            yield from _sum_up(store, queries, day)
        except (IntegrityError, _GivenUpError):  # noqa: PERF203 # there are few days
            continue  # somebody else adds up this day, or a request has come for it: the next run does it


def days_to_sum_up(store: Store) -> list[int]:
    """Return the days of which users and addresses are to be added up, oldest first."""
    with store.read() as connection:
        return list(connection.scalars(_not_added_up(store.tables)))


def seal_subjects(store: Store, end_s: int) -> None:
    """Let requests for days before this no longer be looked for among raw rows, because these go."""
    done = store.tables.subject_rollup
    ripe = (done.c.day < end_s, done.c.state == SUMMED)
    with store.read() as connection:
        if connection.scalar(select(func.count()).where(*ripe)) == 0:
            return

    def work(connection: Connection) -> None:
        # A batch under way may have found a day open to it, and is about to take its mark away.
        store.dialect.hold_batches(connection, store.prefix)
        finished = of_finished(connection, store, done.c.day)
        connection.execute(update(done).where(*ripe, *finished).values(state=SEALED))

    store.run(work)


def subject_tables(tables: Tables) -> tuple[Table, Table]:
    """Return where the sums of a day are; both begin with the endpoint and the day."""
    return tables.subject_pack, tables.subject_day


def forget_subjects(store: Store, end_s: int) -> None:
    """Note that the sums of days before this one, whose raw rows are gone, are about to be deleted.

    First of all, so that nobody takes what is left of a day for the whole of it.
    """
    done = store.tables.subject_rollup
    ripe = (done.c.day < end_s, done.c.state == SEALED)
    with store.read() as connection:
        sealed = connection.scalar(select(func.count()).where(*ripe))
    if sealed:
        store.run(lambda connection: connection.execute(update(done).where(*ripe).values(state=GONE)))


def late_sums(rows: Iterable[Row], states: dict[int, int], batch_id: bytes) -> list[tuple[Any, ...]]:
    """Return the rows to add for requests whose days are sealed, in the order of the table's key."""
    sums: dict[tuple[int, ...], tuple[list[int], Buckets]] = {}
    for row in rows:
        day = row[1] // (DAY_S * _US) * DAY_S
        if states.get(day) != SEALED:
            continue
        for kind, subject in ((SUBJECT_USER, row[6]), (SUBJECT_IP, row[7])):
            if subject is None:
                continue
            found, buckets = sums.setdefault((row[0], day, kind, subject, row[5]), ([0, 0, 0], {}))
            found[0] += 1
            found[1] += row[8] >= FIRST_ERROR
            found[2] += row[3]
            buckets[row[4]] = buckets.get(row[4], 0) + 1
    part = int.from_bytes(batch_id[:8], "big") >> 1 | 1
    return [
        (*key, part, *found, written(buckets) if found[0] > 1 else None)
        for key, (found, buckets) in sorted(sums.items())
    ]


def written(buckets: Buckets) -> str:
    """Return latency buckets as ``subject_day`` holds them: ``512 530x3``."""
    return " ".join(str(bkt) if n == 1 else f"{bkt}x{n}" for bkt, n in sorted(buckets.items()))


def buckets_of(n: int, sum_us: int, text: str | None) -> Buckets:
    """Return the latency buckets of a row of ``subject_day``, ``n`` requests in all."""
    return {bucket_of(sum_us): n} if text is None else read_buckets(text)


def read_buckets(text: str, known: dict[str, tuple[int, int]] | None = None) -> Buckets:
    """Return what :func:`written` has written, once or several times with a space between.

    Args:
        text: The buckets.
        known: Pieces read before, for a caller who has many texts: they have most of them in common.
    """
    found: Buckets = {}
    known = {} if known is None else known
    for piece, times in Counter(text.split(" ")).items():
        pair = known.get(piece)
        if pair is None:
            bkt, _, count = piece.partition("x")
            pair = known[piece] = int(bkt), int(count or 1)
        found[pair[0]] = found.get(pair[0], 0) + pair[1] * times
    return found


def _not_added_up(tables: Tables) -> Select[int]:
    over, known = tables.rollup_day.c.day, tables.subject_rollup.c
    added_up = select(known.day).where(known.day == over, known.state >= SUMMED).exists()
    return select(over).where(tables.rollup_day.c.sealed >= 0, ~added_up).order_by(over)


def _sum_up(store: Store, queries: Mapping[int, Select[Any]], day: int) -> Iterator[int]:
    mark = int.from_bytes(os.urandom(7), "big") | 1
    store.run(lambda connection: _mark(connection, store, day, mark))
    for table in subject_tables(store.tables):
        for _ in delete_times(store, table, [(day, day + DAY_S)]):
            yield 0
    for share in _shares(store, day):
        values = {**share._asdict(), "start_us": day * _US, "end_us": (day + DAY_S) * _US}
        for kind, query in queries.items():
            with store.read() as connection:
                rows = connection.execute(query, values).all()
            packs = [{"day": day, "kind": kind, "part": share.part, **each} for each in _packs(rows)]
            if packs:
                store.run(partial(_add, store.tables, mark, packs))
            yield 0
    store.run(lambda connection: _complete(connection, store.tables, day, mark))
    yield 1


class _GivenUpError(Exception):
    """Our mark is no longer there."""


def _add(tables: Tables, mark: int, packs: Sequence[dict[str, Any]], connection: Connection) -> None:
    done = tables.subject_rollup.c
    mine = (done.day == packs[0]["day"], done.state == OPEN)
    if connection.scalar(select(done.mark).where(*mine)) != mark:
        raise _GivenUpError
    connection.execute(insert(tables.subject_pack), packs)


def _mark(connection: Connection, store: Store, day: int, mark: int) -> None:
    # A batch under way has looked for marks already, and would not find this one.
    store.dialect.hold_batches(connection, store.prefix)
    done = store.tables.subject_rollup
    connection.execute(delete(done).where(done.c.day == day, done.c.state == OPEN))
    connection.execute(insert(done).values(day=day, state=OPEN, mark=mark))


def _complete(connection: Connection, tables: Tables, day: int, mark: int) -> None:
    done = tables.subject_rollup.c
    mine = and_(done.day == day, done.state == OPEN, done.mark == mark)
    connection.execute(update(tables.subject_rollup).where(mine).values(state=SUMMED))


class _Share(NamedTuple):
    """A part of a day's requests, few enough to be added up at a time."""

    endpoints: list[int]
    part: int
    parts: int
    """Subjects whose number leaves the remainder ``part``."""


def _shares(store: Store, day: int) -> list[_Share]:
    endpoint, hits = store.tables.endpoint.c, store.tables.hits_day.c
    requests = (
        select(func.sum(hits.n)).where(hits.endpoint_id == endpoint.id, hits.bucket == day).scalar_subquery()
    )
    with store.read() as connection:
        found = connection.execute(select(endpoint.id, requests).order_by(endpoint.id)).all()
    shares: list[_Share] = []
    few: list[int] = []
    room = SLICE
    for number, n in found:
        parts = -(-int(n or 0) // SLICE)
        if parts > 1:
            shares += [_Share([number], part, parts) for part in range(parts)]
        elif parts == 1:
            if room < n:
                shares.append(_Share(few, 0, 1))
                few, room = [], SLICE
            few.append(number)
            room -= int(n)
    return [*shares, _Share(few, 0, 1)] if few else shares


def _requests_of(tables: Tables, kind: int) -> Select[Any]:
    """Return what counts a share by latency bucket; built once, for that takes as long as running it."""
    raw = tables.request.c
    subject = raw.group_id if kind == SUBJECT_USER else raw.ip_id
    keys = raw.endpoint_id, raw.version_id, subject, raw.bkt
    failed = case((raw.status >= FIRST_ERROR, 1), else_=0)
    return (
        select(
            *keys,
            func.count(),
            cast(func.sum(failed), BigInteger),  # not every database adds up whole numbers to one
            cast(func.sum(raw.duration), BigInteger),
        )
        .where(
            raw.endpoint_id.in_(bindparam("endpoints", expanding=True)),
            raw.ts >= bindparam("start_us"),
            raw.ts < bindparam("end_us"),
            subject.is_not(None),
            subject % bindparam("parts") == bindparam("part"),
        )
        .group_by(*keys)
        .order_by(*keys)
    )


def _packs(rows: Iterable[Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Yield what the table says of the users, or addresses, of each endpoint and version."""
    for (endpoint, version), some in groupby(rows, itemgetter(0, 1)):
        counts, latencies = pack(some)
        yield {
            "endpoint_id": endpoint, "version_id": version, "counts": counts, "latencies": latencies,
        }  # fmt: skip
