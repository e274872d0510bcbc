"""Users and addresses: who sends how many requests, and how long theirs take.

Ranking comes first, by sums alone; latency buckets are read only of those who are shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fmd_otel_dash.queries.look import Version, look
from fmd_otel_dash.queries.named import subject_names
from fmd_otel_dash.queries.subject_ranks import ranks, remembered
from fmd_otel_dash.queries.subject_sources import SubjectPlan, plan
from fmd_otel_dash.stats.percentiles import BoxStats, box, merge
from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.subject_packs import read_latencies
from fmd_otel_exporter.subject_sums import read_buckets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmd_otel_dash.queries.look import Look
    from fmd_otel_dash.queries.plan import Segment
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_exporter.store import Store

LIMIT = 25
_PLACES = 3
"""What a bucket takes: as much memory as so many ranked subjects."""
_SPECIAL = re.compile(r"[%_\\]")

Samples = dict[int, dict[int, dict[int, int]]]
"""Subject -> version -> bucket -> requests."""


@dataclass(frozen=True)
class SubjectCounts:
    """One user, or one address, in the range."""

    value: str
    """Name of the user, or the address."""
    n: int
    errors: int
    """Answers of 500 and above."""
    sum_us: int

    @property
    def mean_us(self) -> float:
        """Mean duration."""
        return self.sum_us / self.n

    @property
    def error_rate(self) -> float:
        """Share of server errors."""
        return self.errors / self.n


@dataclass(frozen=True)
class Busiest:
    """Some of those who sent requests, busiest first."""

    scope: Scope
    kind: int
    rows: tuple[SubjectCounts, ...]
    found: int
    """How many there are in all, of those that were searched for."""
    n: int
    """Requests of all of them together."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where nobody was found and nobody searched for."""


@dataclass(frozen=True)
class SubjectLatency:
    """How long one subject's requests took."""

    counts: SubjectCounts
    box: BoxStats


@dataclass(frozen=True)
class LatencyBySubject:
    """The same as :class:`Busiest`, with durations."""

    busiest: Busiest
    rows: tuple[SubjectLatency, ...]


@dataclass(frozen=True)
class SubjectVersions:
    """One subject's requests, version by version."""

    counts: SubjectCounts
    cells: tuple[BoxStats | None, ...]
    """In the order of the versions; None where there was no request."""


@dataclass(frozen=True)
class BySubjectAndVersion:
    """The same as :class:`Busiest`, for each version."""

    busiest: Busiest
    versions: tuple[Version, ...]
    """Those that have served one of the subjects, oldest first."""
    rows: tuple[SubjectVersions, ...]


def busiest(  # noqa: PLR0913, PLR0917 # what is asked, and which part of the answer
    store: Store, scope: Scope, kind: int, limit: int = LIMIT, search: str = "", offset: int = 0
) -> Busiest:
    """Rank those who sent requests.

    Args:
        store: where the requests are.
        scope: range, endpoints and versions.
        kind: ``SUBJECT_USER`` or ``SUBJECT_IP``.
        limit: how many to return.
        search: what a name has to contain, in capital letters or not.
        offset: how many of the busiest to leave out.
    """
    with look(store, scope) as view:
        return _ranked(store, plan(view, scope, kind), scope, _Part(limit, search, offset))[0]


def latency_by_subject(  # noqa: PLR0913, PLR0917 # as above
    store: Store, scope: Scope, kind: int, limit: int = LIMIT, search: str = "", offset: int = 0
) -> LatencyBySubject:
    """Rank those who sent requests, and say how long theirs took; arguments as of :func:`busiest`."""
    with look(store, scope) as view:
        where = plan(view, scope, kind)
        ranked, ids = _ranked(store, where, scope, _Part(limit, search, offset))
        samples = _samples(store, where, ids)
    rows = []
    for number, counts in zip(ids, ranked.rows, strict=True):
        stats = box(merge(samples.get(number, {}).values()))
        if stats is not None:
            rows.append(SubjectLatency(counts, stats))
    return LatencyBySubject(ranked, tuple(rows))


def subject_by_version(  # noqa: PLR0913, PLR0917 # as above
    store: Store, scope: Scope, kind: int, limit: int = LIMIT, search: str = "", offset: int = 0
) -> BySubjectAndVersion:
    """Say how long the requests of the busiest took under each version; arguments as of :func:`busiest`."""
    with look(store, scope) as view:
        where = plan(view, scope, kind)
        ranked, ids = _ranked(store, where, scope, _Part(limit, search, offset))
        samples = _samples(store, where, ids)
        served = {version for by_version in samples.values() for version in by_version}
        versions = tuple(version for version in view.versions(scope) if version.id in served)
    return BySubjectAndVersion(
        ranked,
        versions,
        tuple(
            SubjectVersions(
                counts, tuple(box(samples.get(number, {}).get(version.id, {})) for version in versions)
            )
            for number, counts in zip(ids, ranked.rows, strict=True)
        ),
    )


def counts_of(store: Store, scope: Scope, kind: int, names: tuple[str, ...]) -> dict[str, SubjectCounts]:
    """Return how many requests some have sent; those who sent none are left out."""
    with look(store, scope) as view:
        known = _ids(view, kind, names)
        rows = ranks(store, plan(view, scope, kind)).some(known)
    return {known[row.id]: SubjectCounts(known[row.id], row.n, row.errors, row.sum_us) for row in rows}


def boxes_of(
    store: Store, scope: Scope, kind: int, names: tuple[str, ...]
) -> dict[str, tuple[BoxStats, dict[int, BoxStats]]]:
    """Return how long the requests of some took, and how long under each version, by its id."""
    with look(store, scope) as view:
        known = _ids(view, kind, names)
        samples = _samples(store, plan(view, scope, kind), tuple(sorted(known)))
    found: dict[str, tuple[BoxStats, dict[int, BoxStats]]] = {}
    for number, by_version in samples.items():
        whole = box(merge(by_version.values()))
        each = {version: stats for version, sample in by_version.items() if (stats := box(sample))}
        if whole is not None:
            found[known[number]] = whole, each
    return found


def _ids(view: Look, kind: int, names: tuple[str, ...]) -> dict[int, str]:
    c = view.tables.subject.c
    wanted = select(c.id, c.value).where(c.kind == kind, c.value.in_(names))
    return {row[0]: row[1] for row in view.conn.execute(wanted)}


@dataclass(frozen=True)
class _Part:
    """Which part of a ranking is wanted."""

    limit: int
    search: str
    offset: int


def _ranked(store: Store, where: SubjectPlan, scope: Scope, part: _Part) -> tuple[Busiest, tuple[int, ...]]:
    """Return the part, and the ids of its rows."""
    view = where.view
    everybody = ranks(store, where)
    whose = _whose(view, where.kind, part.search) if part.search else None
    found, n = everybody.total(whose)
    rows = everybody.busiest(whose, part.limit, part.offset)
    names = subject_names(view.conn, view.tables, [row.id for row in rows])
    ranked = Busiest(
        scope=scope,
        kind=where.kind,
        rows=tuple(SubjectCounts(names.get(row.id, ""), row.n, row.errors, row.sum_us) for row in rows),
        found=found,
        n=n,
        last_recorded_us=None if found or part.search else view.last_recorded_us(),
    )
    return ranked, tuple(row.id for row in rows)


def _whose(view: Look, kind: int, search: str) -> set[int]:
    c = view.tables.subject.c
    # What has a meaning in a pattern may be any character at first: not every database knows ESCAPE.
    pattern = f"%{_SPECIAL.sub('_', search)}%"
    likely = select(c.id, c.value).where(c.kind == kind, c.value.ilike(pattern))
    wanted = search.lower()
    return {number for number, value in view.conn.execute(likely) if wanted in value.lower()}


def _samples(store: Store, where: SubjectPlan, ids: tuple[int, ...]) -> Samples:
    samples: Samples = {}
    if not ids:
        return samples
    if where.days:
        of_days = remembered(store, (where.over, ids), partial(_of_days, where, ids))
        for (subject, version), sample in of_days.samples.items():
            samples.setdefault(subject, {})[version] = dict(sample)
    for segment in where.raw:
        stamp = where.stamp(segment)
        rows = remembered(store, stamp and (stamp, ids), partial(_of_raw, where, segment, ids))
        for subject, version, bkt, n in rows:
            mine = samples.setdefault(subject, {}).setdefault(version, {})
            mine[bkt] = mine.get(bkt, 0) + n
    return samples


@dataclass(frozen=True)
class _OfDays:
    """The buckets of subjects and versions, in days that are over."""

    samples: Mapping[tuple[int, int], Mapping[int, int]]

    def __len__(self) -> int:
        """Return how much there is to remember, in places of what :mod:`subject_ranks` remembers."""
        return _PLACES * sum(map(len, self.samples.values()))


def _of_days(where: SubjectPlan, ids: tuple[int, ...]) -> _OfDays:
    texts: dict[tuple[int, int], list[str]] = {}
    known: dict[str, tuple[int, int]] = {}
    for subject, version, n, sum_us, text in where.view.conn.execute(where.latencies_of_days(ids)):
        written = text or f"{bucket_of(sum_us)}x{n}"
        texts.setdefault((subject, version), []).append(written)
    samples = {both: read_buckets(" ".join(some), known) for both, some in texts.items()}
    for version, counts, latencies in where.view.conn.execute(where.packed_latencies()):
        for subject, buckets in read_latencies(counts, latencies, ids):
            mine = samples.setdefault((subject, version), {})
            for bkt, n in buckets.items():
                mine[bkt] = mine.get(bkt, 0) + n
    return _OfDays(samples)


def _of_raw(where: SubjectPlan, segment: Segment, ids: tuple[int, ...]) -> Sequence[Any]:
    return where.view.conn.execute(where.latencies_of_raw(segment, ids)).all()
