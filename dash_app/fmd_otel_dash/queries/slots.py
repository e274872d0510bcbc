"""Equal steps over a range, for a line of at most so many points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOUR = 3600
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, HITS_BUCKET_S, 1800,
            _HOUR, 2 * _HOUR, 3 * _HOUR, 4 * _HOUR, 6 * _HOUR, 8 * _HOUR, 12 * _HOUR, DAY_S)  # fmt: skip
"""Steps a reader can name, each a divisor of a day."""


@dataclass(frozen=True)
class Slots:
    """Steps of one width, aligned to it; the first and the last may stick out of the range."""

    start_us: int
    end_us: int
    base_s: int
    width_s: int
    n: int

    @property
    def of_days(self) -> bool:
        """Whether no step ends within a UTC day, so that day rollups can answer."""
        return self.width_s % DAY_S == 0

    @property
    def starts_s(self) -> tuple[int, ...]:
        """When each step begins."""
        return tuple(self.base_s + i * self.width_s for i in range(self.n))

    def covered_s(self, start_s: int) -> float:
        """Return how much of the step that begins here lies inside the range: what makes a count a rate."""
        start_us = max(start_s * US_PER_S, self.start_us)
        end_us = min((start_s + self.width_s) * US_PER_S, self.end_us)
        return max(0, end_us - start_us) / US_PER_S


def slots(scope: Scope, max_points: int, *, at_least_s: int = HITS_BUCKET_S) -> Slots:
    """Return the finest steps that need no more than ``max_points``.

    Args:
        scope: the range to cover.
        max_points: what a line may be made of; at least 2.
        at_least_s: width of the buckets that will be asked; a finer step would be empty in between.
    """
    for width_s in _wide_enough(_STEPS_S, at_least_s):
        found = _aligned(scope, width_s)
        if found.n <= max_points:
            return found
    days = 2
    while (found := _aligned(scope, days * DAY_S)).n > max_points:
        days += max(1, days // 4)
    return found


def _wide_enough(steps: Sequence[int], at_least_s: int) -> Sequence[int]:
    return [step for step in steps if step >= at_least_s and step % at_least_s == 0]


def _aligned(scope: Scope, width_s: int) -> Slots:
    base_s = scope.start_us // US_PER_S // width_s * width_s
    length_us = max(0, scope.end_us - base_s * US_PER_S)
    return Slots(scope.start_us, scope.end_us, base_s, width_s, -(-length_us // (width_s * US_PER_S)))
