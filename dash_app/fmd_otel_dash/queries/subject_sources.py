"""Where the requests of users and addresses are counted: in the sums of days, and in raw rows for the rest.

The sums of a day tell users apart, but not its hours. So the two ends of a range, and days that are not added
up yet, are read from raw rows: at most a day's worth at each end, whatever the range. Where retention has
left no raw rows, an end moves to the nearest midnight (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from fmd_otel_dash.queries.plan import Kept, Segment, split
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.sources import n_of_each, total
from fmd_otel_exporter.schema import DAY_S, SUBJECT_USER
from fmd_otel_exporter.subject_sums import FIRST_ERROR, SEALED, SUMMED

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from sqlalchemy import Column, ColumnElement, Select
    from sqlalchemy.sql.base import ReadOnlyColumnCollection

    from fmd_otel_dash.queries.look import Look
    from fmd_otel_dash.queries.scope import Scope

_HOUR_US = 3600 * US_PER_S


@dataclass(frozen=True)
class SubjectPlan:
    """What to read for a scope's users, or addresses."""

    view: Look
    kind: int
    days: tuple[tuple[int, int], ...]
    """Starts (epoch seconds) of the UTC days to take from their sums, and the marks of these."""
    raw: tuple[Segment, ...]
    """Parts to count from raw rows: those of whole hours apart from what is left."""
    version_ids: tuple[int, ...] | None
    _stamps: dict[Segment, Hashable] = field(default_factory=dict, compare=False)

    @property
    def over(self) -> Hashable:
        """What stays the same as long as the sums of the days do: a day's mark changes with them."""
        return self.kind, self.days, self.view.endpoint_ids, self.version_ids

    def stamp(self, segment: Segment) -> Hashable | None:
        """Return what stays the same as long as a segment's rows do; None where that is not known.

        Rows are only added, or deleted from the oldest on: hours with as many requests have the same ones.
        """
        if segment.start_us % _HOUR_US or segment.end_us % _HOUR_US:
            return None
        if segment not in self._stamps:
            self._stamps[segment] = self._new_stamp(segment)
        return self._stamps[segment]

    def _new_stamp(self, segment: Segment) -> Hashable:
        hours = Segment("bucket", segment.start_us // US_PER_S, segment.end_us // US_PER_S, 0)
        counted, values = n_of_each(self.view.tables, [hours], self.view.endpoint_ids, self.version_ids)
        n = self.view.conn.execute(counted, values).one()[1]
        asked = self.kind, hours.start, hours.end, self.view.endpoint_ids, self.version_ids
        return asked, n, self.view.raw_from_us

    def counts_of_days(self) -> Select[Any]:
        """Return a query for ``subject_id`` and the sums of requests, errors and microseconds.

        What is packed comes beside it.
        """
        c = self.view.tables.subject_day.c
        return (
            select(c.subject_id, total(c.n), total(c.errors), total(c.sum_us))
            .where(*self._of_days(c))
            .group_by(c.subject_id)
        )

    def packed_counts(self) -> Select[Any]:
        """Return a query for what :func:`read_counts` reads."""
        c = self.view.tables.subject_pack.c
        return select(c.counts).where(*self._of_days(c))

    def packed_latencies(self) -> Select[Any]:
        """Return a query for ``version_id`` and what :func:`read_latencies` reads."""
        c = self.view.tables.subject_pack.c
        return select(c.version_id, c.counts, c.latencies).where(*self._of_days(c))

    def counts_of_raw(self, segment: Segment) -> Select[Any]:
        """Return the same query for some raw rows."""
        c = self.view.tables.request.c
        subject = self._subject()
        failed = case((c.status >= FIRST_ERROR, 1), else_=0)
        return (
            select(subject, func.count(), total(failed), total(c.duration))
            .where(*self._of_raw(segment), subject.is_not(None))
            .group_by(subject)
        )

    def latencies_of_days(self, subject_ids: Collection[int]) -> Select[Any]:
        """Return a query for ``subject_id, version_id, n, sum_us, buckets``, of some subjects.

        What is packed comes beside it.
        """
        c = self.view.tables.subject_day.c
        return select(c.subject_id, c.version_id, c.n, c.sum_us, c.buckets).where(
            *self._of_days(c), c.subject_id.in_(subject_ids)
        )

    def latencies_of_raw(self, segment: Segment, subject_ids: Collection[int]) -> Select[Any]:
        """Return a query for ``subject_id, version_id, bkt`` and how often, of some subjects."""
        c = self.view.tables.request.c
        subject = self._subject()
        return (
            select(subject, c.version_id, c.bkt, func.count())
            .where(*self._of_raw(segment), subject.in_(subject_ids))
            .group_by(subject, c.version_id, c.bkt)
        )

    def _subject(self) -> ColumnElement[Any]:
        c = self.view.tables.request.c
        return c.group_id if self.kind == SUBJECT_USER else c.ip_id

    def _of_days(self, c: ReadOnlyColumnCollection[str, Column[Any]]) -> list[ColumnElement[bool]]:
        found = [
            c.endpoint_id.in_(self.view.endpoint_ids),
            # Each day by name, not as a range: only so the rest of the key is of use.
            c.day.in_([day for day, _ in self.days]),
            c.kind == self.kind,
        ]
        return found if self.version_ids is None else [*found, c.version_id.in_(self.version_ids)]

    def _of_raw(self, segment: Segment) -> list[ColumnElement[bool]]:
        c = self.view.tables.request.c
        found = [
            c.endpoint_id.in_(self.view.endpoint_ids),
            c.ts >= segment.start_us,
            c.ts < segment.end_us,
        ]
        return found if self.version_ids is None else [*found, c.version_id.in_(self.version_ids)]


def _whole_hours_apart(segment: Segment) -> list[Segment]:
    start, end = segment.start_us, segment.end_us
    first, last = -(-start // _HOUR_US) * _HOUR_US, end // _HOUR_US * _HOUR_US
    edges = [start, first, last, end] if first < last else [start, end]
    return [Segment("raw", each, until, 0) for each, until in pairwise(edges) if each < until]


def plan(view: Look, scope: Scope, kind: int) -> SubjectPlan:
    """Work out what to read."""
    c = view.tables.subject_rollup.c
    after, before = scope.start_us // 1_000_000 - DAY_S, -(-scope.end_us // 1_000_000)
    known = select(c.day, c.state, c.mark).where(c.day > after, c.day < before, c.state >= SUMMED)
    rows = view.conn.execute(known).all()
    kept = Kept(frozenset(row[0] for row in rows if row[1] >= SEALED), view.raw_from_us)
    marks = {row[0]: row[2] for row in rows}
    segments = split(scope.start_us, scope.end_us, width_s=DAY_S, days=marks, kept=kept)
    return SubjectPlan(
        view=view,
        kind=kind,
        days=tuple(
            (day, marks[day])
            for segment in segments
            if segment.source == "day"
            for day in range(segment.start, segment.end, DAY_S)
        ),
        raw=tuple(
            part for segment in segments if segment.source != "day" for part in _whole_hours_apart(segment)
        ),
        version_ids=view.version_ids(scope),
    )
