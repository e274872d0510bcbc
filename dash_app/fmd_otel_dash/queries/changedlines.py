"""Which lines account for a change of an endpoint: its profiles of either side, held against each other.

A line is one of the application's own code, with all that it called of others': that is what can be changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmd_otel_dash.queries.profilerange import profiles_of_range
from fmd_otel_dash.stats.treediff import LineChange, difference
from fmd_otel_dash.stats.trees import code_only, own_code

if TYPE_CHECKING:
    from fmd_otel_dash.queries.report import Report
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.stats.trees import Tree
    from fmd_otel_exporter.store import Store

MOST_LINES = 8
MOST_ENDPOINTS = 20
"""Of a report, those whose profiles are read for a file."""
_LEAST_SHARE = 0.02
"""Of the change; what is less does not account for it."""
_LEAST_CHANGE = 0.02
"""Of the time before; of less than that, nobody asks what accounts for it."""


@dataclass(frozen=True)
class ChangedLines:
    """What a profiled request took on average on either side, and by which lines that differs."""

    n_before: int
    """Profiles."""
    n_after: int
    before_us: float = 0.0
    after_us: float = 0.0
    lines: tuple[LineChange, ...] = ()
    """Those that changed the way the whole did, what changed most first; none without both sides."""

    @property
    def delta_us(self) -> float:
        """How much longer a profiled request takes now; negative: shorter."""
        return self.after_us - self.before_us

    @property
    def both(self) -> bool:
        """Whether there are profiles on either side."""
        return bool(self.n_before and self.n_after)

    def share(self, line: LineChange) -> float:
        """Return how much of the change a line is; more than 1 where others went the other way."""
        return line.delta_us / self.delta_us


def changed_lines(store: Store, endpoint_id: int, before: Scope, after: Scope) -> ChangedLines:
    """Hold an endpoint's profiles of two scopes against each other."""
    new = _code(store, after.only(endpoint_id))
    old = _code(store, before.only(endpoint_id))
    if not (old.n and new.n):
        return ChangedLines(old.n, new.n)
    found = difference(old, new)
    before_us, delta_us = found.before.total_us, found.delta_us
    moved = [
        change
        for change in (found.lines if delta_us > 0 else reversed(found.lines))
        if change.line.file
        and abs(delta_us) >= _LEAST_CHANGE * before_us
        and change.delta_us / delta_us >= _LEAST_SHARE
    ]
    return ChangedLines(old.n, new.n, before_us, found.after.total_us, tuple(moved[:MOST_LINES]))


def changed_lines_of(store: Store, report: Report) -> dict[int, ChangedLines]:
    """Return the lines of those of a report's endpoints whose durations changed, by endpoint."""
    changed = [
        one
        for one in report.endpoints
        if any(one.findings[name].matters for name in ("latency", "p95") if name in one.findings)
    ]
    found = {
        one.endpoint.id: changed_lines(store, one.endpoint.id, before, pair.after)
        for one in changed[:MOST_ENDPOINTS]
        for pair in [report.pair_of(one.endpoint)]
        for before in [pair.before]
        if before
    }
    return {endpoint_id: each for endpoint_id, each in found.items() if each.both}


def _code(store: Store, scope: Scope) -> Tree:
    return code_only(own_code(profiles_of_range(store, scope).settled().tree))
