"""Graphs that the monitored application draws of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from fmd_otel_dash.queries.scope import US_PER_S

if TYPE_CHECKING:
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
    c = store.tables.custom_graph_value.c
    here = (c.graph_id == graph_id, c.ts >= scope.start_us, c.ts < scope.end_us)
    with store.read() as connection:
        n = (
            connection.scalar(select(func.count()).select_from(store.tables.custom_graph_value).where(*here))
            or 0
        )
        if n <= max_points:
            found = connection.execute(select(c.ts, c.value).where(*here).order_by(c.ts)).all()
            last_us = None
            if not found:
                last_us = connection.scalar(select(func.max(c.ts)).where(c.graph_id == graph_id))
            return Values(tuple(Step(row[0], 1, *(float(row[1]),) * 3) for row in found), 0, n, last_us)
        step_s = max(1, -(-scope.length_us // (max_points * US_PER_S)))
        since = c.ts - scope.start_us
        step = since - since % (step_s * US_PER_S)
        summed = connection.execute(
            select(step, func.count(), func.avg(c.value), func.min(c.value), func.max(c.value))
            .where(*here)
            .group_by(step)
            .order_by(step)
        ).all()
    steps = tuple(
        Step(scope.start_us + int(row[0]), row[1], *(float(value) for value in row[2:])) for row in summed
    )
    return Values(steps, step_s, n, None)
