"""Status codes: how requests were answered, over time and in all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.look import ERROR_STATUS, look
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.sources import Columns, total
from fmd_otel_dash.queries.timeline import step_of
from fmd_otel_exporter.schema import HITS_BUCKET_S

if TYPE_CHECKING:
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.statements import Statement
    from fmd_otel_exporter.store import Store

MAX_POINTS = 60
FIRST_ERROR = 400


@dataclass(frozen=True)
class StatusCodes:
    """Answers by code."""

    scope: Scope
    step_s: int
    starts_us: tuple[int, ...]
    n: dict[int, tuple[int, ...]]
    """Code -> requests per step; codes in ascending order, only those that occurred."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where the range is empty."""

    @property
    def totals(self) -> dict[int, int]:
        """Code -> requests in the range."""
        return {code: sum(steps) for code, steps in self.n.items()}

    @property
    def total(self) -> int:
        """Requests in the range."""
        return sum(self.totals.values())

    @property
    def errors(self) -> int:
        """Answers of 500 and above."""
        return sum(n for code, n in self.totals.items() if code >= ERROR_STATUS)

    @property
    def failed(self) -> int:
        """Answers of 400 and above: what the table of error requests lists."""
        return sum(n for code, n in self.totals.items() if code >= FIRST_ERROR)


def status_codes(store: Store, scope: Scope, max_points: int = MAX_POINTS) -> StatusCodes:
    """Count the scope's answers per code, in at most ``max_points`` steps."""
    with look(store, scope) as view:
        steps = view.steps(scope, max_points, HITS_BUCKET_S)
        counted: dict[int, dict[int, int]] = {}
        rows = view.ask(view.hits(scope, days=steps.of_days), _by_status_and_step, **steps.values())
        for code, offset_s, n in rows:
            mine, home = counted.setdefault(code, {}), steps.home(steps.base_s + int(offset_s))
            mine[home] = mine.get(home, 0) + n
        last_us = None if counted else view.last_recorded_us()
    return StatusCodes(
        scope=scope,
        step_s=steps.width_s,
        starts_us=tuple(start_s * US_PER_S for start_s in steps.starts_s),
        n={
            code: tuple(counted[code].get(start_s, 0) for start_s in steps.starts_s)
            for code in sorted(counted)
        },
        last_recorded_us=last_us,
    )


def _by_status_and_step(c: Columns) -> Statement:
    step = step_of(c)
    return select(c.status, step, total(c.n)).group_by(c.status, step)
