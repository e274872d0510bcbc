"""Durations over time of some endpoints, side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, case, literal

from fmd_otel_dash.queries.counts import NOTHING, Counts
from fmd_otel_dash.queries.latency import Grouped, latency_by
from fmd_otel_dash.queries.look import Look, look
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.statements import built_once
from fmd_otel_dash.queries.timeline import Timeline, points_of, step_of, summed_by_endpoint_and_step
from fmd_otel_dash.stats.percentiles import merge
from fmd_otel_exporter.schema import DAY_S, LATENCY_BUCKET_S

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from fmd_otel_dash.queries.latency import Group
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.slots import Slots
    from fmd_otel_dash.queries.sources import Columns
    from fmd_otel_exporter.store import Store

MAX_POINTS = 48
_MOST_ENDPOINT_HOURS = 4_000
"""Beyond so many, steps are days, which day rollups answer."""
_APART = 1 << 31
"""Seconds from one endpoint to the next in a group's number; no range is as long."""


def bands(
    store: Store, scope: Scope, endpoint_ids: tuple[int, ...], max_points: int = MAX_POINTS
) -> dict[int, Timeline]:
    """Read the timelines of some endpoints in as many statements as that of one; rollups only."""
    if not endpoint_ids:
        return {}
    with look(store, replace(scope, endpoint_ids=endpoint_ids)) as view:
        many = len(endpoint_ids) * scope.length_us > _MOST_ENDPOINT_HOURS * 3600 * US_PER_S
        steps = view.steps(scope, max_points, DAY_S if many else LATENCY_BUCKET_S)
        counted = _counts(view, scope, steps)
        latency = _latency(view, scope, steps)
    return {
        endpoint.id: Timeline(
            replace(scope, endpoint_ids=(endpoint.id,)),
            steps.width_s,
            points_of(steps, counted.get(endpoint.id, {}), latency.get(endpoint.id, {})),
        )
        for endpoint in view.endpoints
    }


def _counts(view: Look, scope: Scope, steps: Slots) -> dict[int, dict[int, Counts]]:
    source = view.hits(scope, days=steps.of_days)
    found: dict[int, dict[int, Counts]] = {}
    for endpoint_id, offset, *counts in view.ask(source, summed_by_endpoint_and_step, **steps.values()):
        mine, home = found.setdefault(endpoint_id, {}), steps.home(steps.base_s + int(offset))
        mine[home] = mine.get(home, NOTHING) + Counts(*counts)
    return found


def _latency(view: Look, scope: Scope, steps: Slots) -> dict[int, Grouped]:
    found: dict[int, Grouped] = {}
    by = _by_place_and_step(view.endpoint_ids)
    for number, sample in latency_by(view, scope, by, days=steps.of_days, **steps.values()).items():
        place, offset = divmod(number, _APART)
        mine, home = found.setdefault(view.endpoint_ids[place], {}), steps.home(steps.base_s + offset)
        mine[home] = merge((mine[home], sample)) if home in mine else sample
    return found


@built_once
def _by_place_and_step(endpoint_ids: tuple[int, ...]) -> Group:
    # Not the id itself: it may be too large to share a number with the time.
    shifts = {number: literal(place * _APART, BigInteger) for place, number in enumerate(endpoint_ids)}

    def by(c: Columns) -> ColumnElement[int]:
        return case(shifts, value=c.endpoint_id) + step_of(c)

    return by
