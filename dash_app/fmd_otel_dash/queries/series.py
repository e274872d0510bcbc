"""Requests of every endpoint step by step, of one range or of several that are compared.

Steps shorter than a day are added up from quarters of an hour, of which a week of a large application has
some hundred thousand rows. What days that are over come to is remembered: it holds for as long as their day
rows say as many requests as then, since rows of sums are only ever added to.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, literal, select

from fmd_otel_dash.queries.counts import NOTHING, Counts, summed
from fmd_otel_dash.queries.remembered import Remembered
from fmd_otel_dash.queries.statements import Statement, built_once, integer
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S

if TYPE_CHECKING:
    from sqlalchemy import Engine, Subquery

    from fmd_otel_dash.queries.look import Look
    from fmd_otel_dash.queries.plan import Segment
    from fmd_otel_dash.queries.scope import Scope

MOST_REMEMBERED = 100_000
"""Steps of endpoints remembered of one database, at about 250 bytes each."""

Sums = tuple[int, int, int, int]
"""What :class:`Counts` are made of; there are too many of them for objects."""
_Series = Mapping[int, Mapping[int, Sums]]
"""Endpoint -> number of the step -> sums; steps are numbered from a base, and there are negative ones."""


@dataclass(frozen=True)
class Steps:
    """A range, and how to cut it."""

    scope: Scope
    base_s: int
    """Where the first step begins."""
    width_s: int
    whole: bool = False
    """Only what all steps come to is asked for."""

    @property
    def of_days(self) -> bool:
        """Whether sums of days will do."""
        return self.whole or self.width_s % DAY_S == 0


@dataclass(frozen=True)
class Series:
    """The requests of a range."""

    by_step: dict[int, dict[int, Sums]]
    """Endpoint -> number of the step -> sums. What lies before the first step counts in that."""

    def whole(self, endpoint_id: int) -> Counts:
        """Return the sums of an endpoint."""
        found = self.by_step.get(endpoint_id)
        return Counts(*map(sum, zip(*found.values(), strict=True))) if found else NOTHING

    @property
    def wholes(self) -> dict[int, Counts]:
        """The sums of each endpoint that was requested."""
        return {endpoint_id: self.whole(endpoint_id) for endpoint_id in self.by_step}


def series_of_each(view: Look, sides: Sequence[Steps]) -> list[Series]:
    """Return the requests of several ranges, each cut as it wants to be."""
    versions = [view.version_ids(side.scope) for side in sides]
    if len({*versions}) > 1:
        return [series_of_each(view, (side,))[0] for side in sides]
    plans = [_plan(view, side) for side in sides]
    over = _remembered(view, [piece for plan in plans for piece in plan.over], versions[0])
    read = _read(view, [plan.rest for plan in plans], versions[0])
    return [Series(_together(plan, [over[piece] for piece in plan.over], read[plan.rest])) for plan in plans]


@dataclass(frozen=True)
class _Piece:
    """Some segments, and how steps are numbered in them."""

    segments: tuple[Segment, ...]
    base_s: int
    width_s: int


@dataclass(frozen=True)
class _Plan:
    """What a range consists of."""

    over: tuple[_Piece, ...]
    """Days that are over, each run of them in quarters of an hour."""
    rest: _Piece


def _plan(view: Look, side: Steps) -> _Plan:
    segments = view.segments(side.scope, HITS_BUCKET_S, days=True)
    # A quarter of an hour counts in the step in which it begins, so the base may as well be one
    base_s = -(-side.base_s // HITS_BUCKET_S) * HITS_BUCKET_S
    if side.of_days:
        return _Plan((), _Piece(segments, base_s, side.width_s))
    over, rest = [], []
    sealed = view.sealed_days(side.scope)
    for segment in segments:
        if segment.source != "day":
            rest.append(segment)
            continue
        for run in _runs(segment, sealed):
            if run.start in sealed:
                rest.append(run)
            else:
                # Numbered from where they begin, they are the same for all ranges that are cut alike.
                own_s = run.start - (run.start - base_s) % side.width_s
                over.append(_Piece((replace(run, source="bucket"),), own_s, side.width_s))
    return _Plan(tuple(over), _Piece(tuple(rest), base_s, side.width_s))


def _runs(segment: Segment, sealed: frozenset[int]) -> list[Segment]:
    """Cut days where those begin or end of which nothing finer is kept."""
    runs: list[Segment] = []
    for day in range(segment.start, segment.end, DAY_S):
        if runs and (runs[-1].start in sealed) == (day in sealed):
            runs[-1] = replace(runs[-1], end=day + DAY_S)
        else:
            runs.append(replace(segment, start=day, end=day + DAY_S, bucket_s=day))
    return runs


def _remembered(
    view: Look, pieces: Sequence[_Piece], versions: tuple[int, ...] | None
) -> dict[_Piece, _Series]:
    remembered = _REMEMBERED.setdefault(view.conn.engine, Remembered(MOST_REMEMBERED))
    whose = view.endpoint_ids, versions, *view.home.items()
    days = {piece: replace(piece.segments[0], source="day") for piece in pieces}
    counted = view.n_of_each([*days.values()], versions)
    found: dict[_Piece, _Series] = {}
    missing = []
    for piece, day in days.items():
        known = remembered.get((piece, whose), counted[day])
        if known is None:
            missing.append(piece)
        else:
            found[piece] = known
    for piece, series in _read(view, missing, versions).items():
        remembered.put((piece, whose), counted[days[piece]], series)
        found[piece] = series
    return found


def _read(view: Look, pieces: Sequence[_Piece], versions: tuple[int, ...] | None) -> dict[_Piece, _Series]:
    """Read pieces: in one question those that are cut at the same places, where more would take longer."""
    found: dict[_Piece, _Series] = {piece: {} for piece in pieces}
    groups: dict[Hashable, list[_Piece]] = {}
    for piece in found:
        if piece.segments:
            alike = (piece.width_s, piece.base_s % piece.width_s) if view.dialect.plans_long else piece
            groups.setdefault(alike, []).append(piece)
    for group in groups.values():
        found |= _read_alike(view, group, versions)
    return found


def _read_alike(
    view: Look, group: Sequence[_Piece], versions: tuple[int, ...] | None
) -> dict[_Piece, _Series]:
    first = group[0]
    segments = [replace(segment, side=side) for side, piece in enumerate(group) for segment in piece.segments]
    source = view.hits_of_versions(segments, versions)
    base_s = min(piece.base_s for piece in group)
    values = {"base": base_s, "width": first.width_s}
    found: list[dict[int, dict[int, Sums]]] = [{} for _ in group]
    ahead = [(base_s - piece.base_s) // first.width_s for piece in group]
    rows = view.conn.execute(_by_step(source.rows, len(group) > 1), source.values | values)
    for side, endpoint_id, offset_s, *sums in rows.all():
        mine = found[side].setdefault(endpoint_id, {})
        mine[int(offset_s) // first.width_s + ahead[side]] = tuple(sums)
    return dict(zip(group, found, strict=True))


@built_once
def _by_step(rows: Subquery, of_sides: bool) -> Statement:  # noqa: FBT001 # part of the shape
    c = rows.c
    since = c.bucket - integer("base")
    # By remainder rather than by quotient: "/" on integers differs between databases, "%" does not.
    step = since - since % integer("width")
    if not of_sides:
        nothing = literal(0, BigInteger)
        return select(nothing, c.endpoint_id, step, *summed(c)).group_by(c.endpoint_id, step)
    return select(c.side, c.endpoint_id, step, *summed(c)).group_by(c.side, c.endpoint_id, step)


def _together(plan: _Plan, over: Sequence[_Series], rest: _Series) -> dict[int, dict[int, Sums]]:
    found: dict[int, dict[int, Sums]] = {}
    numbered = [(piece.base_s, series) for piece, series in zip(plan.over, over, strict=True)]
    for base_s, series in [*numbered, (plan.rest.base_s, rest)]:
        ahead = (base_s - plan.rest.base_s) // plan.rest.width_s
        for endpoint_id, steps in series.items():
            mine = found.setdefault(endpoint_id, {})
            for number, sums in steps.items():
                at = max(0, number + ahead)
                there = mine.get(at)
                mine[at] = sums if there is None else _added(there, sums)
    return found


def _added(one: Sums, other: Sums) -> Sums:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]


_REMEMBERED: WeakKeyDictionary[Engine, Remembered[_Series]] = WeakKeyDictionary()
