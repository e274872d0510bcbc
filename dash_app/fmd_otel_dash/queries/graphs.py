"""Graphs that the monitored application draws of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, select

from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.statements import Statement, built_once, integer

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Table

    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_exporter.store import Store

MAX_POINTS = 300
"""Values drawn one by one; of more, each step shows the mean with the smallest and the greatest."""


@dataclass(frozen=True)
class CustomGraph:
    """One graph."""

    id: int
    service: str
    title: str
    schedule: str
    created_us: int
    last_us: int | None
    """Its function last ran, with or without a value."""
    runs: int
    failures: int
    last_error: str | None
    """Of the last run; None if that gave a value."""


@dataclass(frozen=True)
class Step:
    """The values of one moment, or of a stretch of time."""

    ts_us: int
    n: int
    mean: float
    least: float
    greatest: float


@dataclass(frozen=True)
class Values:
    """What a graph shows of a range."""

    steps: tuple[Step, ...]
    step_s: int
    """Width of a step; 0 where every value is shown."""
    n: int
    last_us: int | None
    """The newest value of all, sought only where the range has none."""


def custom_graphs(store: Store, services: tuple[str, ...] = ()) -> tuple[CustomGraph, ...]:
    """Return all graphs, by title."""
    c = store.tables.custom_graph.c
    query = select(
        c.id, c.service, c.title, c.schedule, c.created_ts, c.last_ts, c.runs, c.failures, c.last_error
    ).order_by(c.title, c.service)
    if services:
        query = query.where(c.service.in_(services))
    with store.read() as connection:
        return tuple(CustomGraph(*row) for row in connection.execute(query))


def graph_values(store: Store, graph_id: int, scope: Scope, max_points: int = MAX_POINTS) -> Values:
    """Return a graph's values in the scope's range, in at most about ``max_points`` steps."""
    table = store.tables.custom_graph_value
    here = {"graph": graph_id, "start": scope.start_us, "end": scope.end_us}
    with store.read() as connection:
        n = connection.scalar(_n(table), here) or 0
        if n <= max_points:
            found = connection.execute(_each(table), here).all()
            last_us = None if found else connection.scalar(_last(table), here)
            return Values(tuple(Step(row[0], 1, *(float(row[1]),) * 3) for row in found), 0, n, last_us)
        step_s = max(1, -(-scope.length_us // (max_points * US_PER_S)))
        summed = connection.execute(_summed_by_step(table), here | {"width": step_s * US_PER_S}).all()
    steps = tuple(
        Step(scope.start_us + int(offset_us), each, float(mean), float(least), float(greatest))
        for offset_us, each, mean, least, greatest in summed
    )
    return Values(steps, step_s, n, None)


def _within(table: Table) -> tuple[ColumnElement[bool], ...]:
    c = table.c
    return c.graph_id == bindparam("graph"), c.ts >= integer("start"), c.ts < integer("end")


@built_once
def _n(table: Table) -> Statement:
    return select(func.count()).select_from(table).where(*_within(table))


@built_once
def _each(table: Table) -> Statement:
    return select(table.c.ts, table.c.value).where(*_within(table)).order_by(table.c.ts)


@built_once
def _last(table: Table) -> Statement:
    return select(func.max(table.c.ts)).where(table.c.graph_id == bindparam("graph"))


@built_once
def _summed_by_step(table: Table) -> Statement:
    c = table.c
    since = c.ts - integer("start")
    step = since - since % integer("width")
    return (
        select(step, func.count(), func.avg(c.value), func.min(c.value), func.max(c.value))
        .where(*_within(table))
        .group_by(step)
        .order_by(step)
    )
