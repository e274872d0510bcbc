"""All profiles of a range as one tree: from the sums of whole days, and one by one at its ends.

Where the profiles of a day's part are no longer kept one by one, or are too many to be read in a moment, the
whole day stands in for it; the answer says so.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from fmd_otel_dash.queries.look import Look, family, look
from fmd_otel_dash.queries.profiles import ProfileRow, by_endpoint, grouped, profiles
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.queries.sources import total
from fmd_otel_dash.queries.stacks import trees_of
from fmd_otel_dash.stats.trees import EMPTY, Tree, merged, settled, under
from fmd_otel_exporter.profile_data import unpack
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement

    from fmd_otel_exporter.store import Store

MOST_SINGLE = 1_000
"""Profiles of a day's part that are read one by one."""
_DAY_US = DAY_S * US_PER_S


@dataclass(frozen=True)
class Covered:
    """A tree, and what it is the sum of."""

    tree: Tree
    start_us: int
    end_us: int
    """What it covers: the range, or the whole days around it."""
    snapped: bool
    """Whether whole days stand in for parts of days."""
    versions: tuple[str, ...]
    newest_us: int | None
    """The newest profile at any time, sought only where the range has none."""

    def settled(self) -> Covered:
        """Return it with lines that moved between versions put together."""
        return replace(self, tree=settled(self.tree)) if len(self.versions) > 1 else self


@dataclass(frozen=True)
class _Plan:
    """Where to read: the sums of whole days, and single profiles."""

    first_day_s: int
    last_day_s: int
    edges: tuple[tuple[int, int], ...]
    snapped: bool


def profiles_of_range(store: Store, scope: Scope) -> Covered:
    """Return the profiles of the scope's endpoints and versions as one tree."""
    with look(store, scope) as view:
        plan, ids = _plan(view, scope), view.version_ids(scope)
        versions = _versions(view, scope, plan, ids)
        edges = _singles(view, plan, ids)
        newest = None if versions else _newest(view)
        endpoint_ids = view.endpoint_ids
    trees = [tree for _, tree in edges]
    if plan.first_day_s < plan.last_day_s:
        trees.append(grouped(store, endpoint_ids, plan.first_day_s, plan.last_day_s, version_ids=ids))
    return _covered(scope, plan, merged(trees), versions, newest)


def profiles_by_endpoint(store: Store, scope: Scope) -> Covered:
    """Return the profiles of all of the scope's endpoints, each under its name."""
    with look(store, scope) as view:
        plan, ids = _plan(view, scope), view.version_ids(scope)
        versions = _versions(view, scope, plan, ids)
        edges = _singles(view, plan, ids)
        newest = None if versions else _newest(view)
        endpoints, home = {endpoint.id: endpoint for endpoint in view.endpoints}, view.home
    trees = defaultdict(list, {endpoint_id: [tree] for endpoint_id, tree in edges})
    if plan.first_day_s < plan.last_day_s:
        for endpoint_id, tree in by_endpoint(store, plan.first_day_s, plan.last_day_s, version_ids=ids):
            trees[home.get(endpoint_id, endpoint_id)].append(tree)
    several = len({endpoint.service for endpoint in endpoints.values()}) > 1
    named = [
        (
            f"{endpoints[each].service} · {endpoints[each].name}" if several else endpoints[each].name,
            merged(found),
        )
        for each, found in trees.items()
        if each in endpoints
    ]
    return _covered(scope, plan, under(named), versions, newest)


def profiles_listed(store: Store, scope: Scope, until_us: int, limit: int) -> list[ProfileRow]:
    """Return the profiles of a scope of one endpoint, newest first."""
    with look(store, scope) as view:
        ids = view.version_ids(scope)
    between = (scope.start_us, min(scope.end_us, until_us))
    return profiles(store, scope.endpoint_ids[0], between, version_ids=ids, limit=limit)


def newest_exact(store: Store, endpoint_id: int) -> ProfileRow | None:
    """Return the newest profile that somebody had asked for, if there is one."""
    c = store.tables.profile.c
    newest = select(c.ts).order_by(c.ts.desc()).limit(1)
    with store.read() as conn:
        mine = c.endpoint_id.in_(family(conn, store.tables, endpoint_id))
        at = conn.scalar(newest.where(mine, c.exact == 1))
    found = profiles(store, endpoint_id, (at, at + 1)) if at is not None else []
    return next((row for row in found if row.exact), None)


def ordered(store: Store, endpoint_id: int) -> int:
    """Return of how many of the next requests a profile is wanted."""
    c = store.tables.endpoint.c
    with store.read() as conn:
        root = family(conn, store.tables, endpoint_id)[0]
        return conn.scalar(select(c.profile_next).where(c.id == root)) or 0


def _covered(scope: Scope, plan: _Plan, tree: Tree, versions: tuple[str, ...], newest: int | None) -> Covered:
    start_us, end_us = scope.start_us, scope.end_us
    if plan.snapped:
        start_us, end_us = (
            min(start_us, plan.first_day_s * US_PER_S), max(end_us, plan.last_day_s * US_PER_S)
        )  # fmt: skip
    return Covered(tree if tree.n else EMPTY, start_us, end_us, plan.snapped, versions, newest)


def _plan(view: Look, scope: Scope) -> _Plan:
    first, last = -(-scope.start_us // _DAY_US), scope.end_us // _DAY_US
    if first > last:  # within one day
        parts = [(last, scope.start_us, scope.end_us)]
        first = last = last + 1
    else:
        parts = [(first - 1, scope.start_us, first * _DAY_US), (last, last * _DAY_US, scope.end_us)]
    edges: list[tuple[int, int]] = []
    snapped = False
    days = set(range(first, last))
    for day, start_us, end_us in parts:
        if start_us >= end_us:
            continue
        inside, in_day = _counts(view, scope, day, start_us, end_us)
        if inside == in_day or inside is None:
            days.add(day)  # nothing lies outside, or it cannot be told apart
            snapped = snapped or (inside is None)
        else:
            edges.append((start_us, end_us))
    if not days:
        return _Plan(0, 0, tuple(edges), snapped)
    return _Plan(min(days) * DAY_S, (max(days) + 1) * DAY_S, tuple(edges), snapped)


def _counts(view: Look, scope: Scope, day: int, start_us: int, end_us: int) -> tuple[int | None, int]:
    """Return how many profiles lie in a part of a day, and in its sums.

    None for the part: they are not all kept one by one any more, or are too many to be read so.
    """
    details, ids = view.tables, view.version_ids(scope)
    c = details.profile_day_n.c
    of_day = [c.endpoint_id.in_(view.endpoint_ids), c.day == day * DAY_S]
    if ids is not None:
        of_day.append(c.version_id.in_(ids))
    in_day = view.conn.scalar(select(total(c.n)).where(*of_day)) or 0
    within = view.conn.scalar(select(func.count()).where(*_single(view, start_us, end_us, ids))) or 0
    all_day = view.conn.scalar(
        select(func.count()).where(*_single(view, day * _DAY_US, (day + 1) * _DAY_US, ids))
    )
    if (all_day or 0) < in_day or (within > MOST_SINGLE and within != in_day):
        return None, in_day
    return within, in_day


def _single(view: Look, start_us: int, end_us: int, ids: tuple[int, ...] | None) -> list[ColumnElement[bool]]:
    """Return the conditions for single profiles that the sums of days hold as well: the sampled ones."""
    c = view.tables.profile.c
    where = [c.endpoint_id.in_(view.endpoint_ids), c.ts >= start_us, c.ts < end_us, c.exact == 0]
    return where if ids is None else [*where, c.version_id.in_(ids)]


def _singles(view: Look, plan: _Plan, ids: tuple[int, ...] | None) -> list[tuple[int, Tree]]:
    """Return the trees of single profiles, by endpoint."""
    c = view.tables.profile.c
    found: dict[int, list[Any]] = defaultdict(list)
    for start_us, end_us in plan.edges:
        rows = select(c.endpoint_id, c.data).where(*_single(view, start_us, end_us, ids))
        for endpoint_id, data in view.conn.execute(rows):
            found[view.home.get(endpoint_id, endpoint_id)].append(unpack(bytes(data)))
    return list(trees_of(view.conn, view.tables, found).items())


def _versions(view: Look, scope: Scope, plan: _Plan, ids: tuple[int, ...] | None) -> tuple[str, ...]:
    """Return the versions that the profiles are of, oldest first."""
    details = view.tables
    c = details.profile_day_n.c
    where = [c.endpoint_id.in_(view.endpoint_ids), c.day >= plan.first_day_s, c.day < plan.last_day_s]
    if ids is not None:
        where.append(c.version_id.in_(ids))
    found = set(view.conn.scalars(select(c.version_id).where(*where).distinct()))
    for start_us, end_us in plan.edges:
        single = select(details.profile.c.version_id).where(*_single(view, start_us, end_us, ids)).distinct()
        found |= set(view.conn.scalars(single))
    known = view.versions(replace(scope, services=()))
    return tuple(dict.fromkeys(version.name for version in known if version.id in found))


def _newest(view: Look) -> int | None:
    details = view.tables
    times: Iterable[tuple[Any, Any, int]] = (
        (details.profile.c.endpoint_id, details.profile.c.ts, 1),
        (details.profile_day_n.c.endpoint_id, details.profile_day_n.c.day, US_PER_S),
    )
    for endpoint_id, time, unit in times:
        newest: int | None = view.conn.scalar(
            select(func.max(time)).where(endpoint_id.in_(view.endpoint_ids))
        )
        if newest is not None:
            return newest * unit
    return None
