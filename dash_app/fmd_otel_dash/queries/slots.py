"""Equal steps over a range, for a line of at most so many points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Sequence

_HOUR = 3600
_SLIVER = 4
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, HITS_BUCKET_S, 1800,
            _HOUR, 2 * _HOUR, 3 * _HOUR, 4 * _HOUR, 6 * _HOUR, 8 * _HOUR, 12 * _HOUR, DAY_S)  # fmt: skip
"""Steps a reader can name, each a divisor of a day."""


@dataclass(frozen=True)
class Slots:
    """Steps of one width, aligned to it.

    The range may begin and end within a step. Where it holds less than a quarter of one, that sliver goes to
    its neighbour: a request or two in a few minutes would make a peak of a rate, and a percentile of nothing.
    """

    start_us: int
    end_us: int
    base_s: int
    """Any step's beginning; what they are aligned to."""
    width_s: int
    first_s: int
    last_s: int

    @property
    def n(self) -> int:
        """How many steps there are."""
        return max(0, (self.last_s - self.first_s) // self.width_s + 1)

    @property
    def of_days(self) -> bool:
        """Whether no step ends within a UTC day, so that day rollups can answer."""
        return self.width_s % DAY_S == 0

    @property
    def starts_s(self) -> tuple[int, ...]:
        """When each step begins."""
        return tuple(self.first_s + i * self.width_s for i in range(self.n))

    def values(self, unit: int = 1) -> dict[str, int]:
        """Return what a statement needs to tell steps apart, in so many to the second."""
        return {"base": self.base_s * unit, "width": self.width_s * unit}

    def home(self, start_s: int) -> int:
        """Return the step that counts the requests of an aligned step: itself, or a sliver's neighbour."""
        return min(max(start_s, self.first_s), self.last_s)

    def covered_s(self, start_s: int) -> float:
        """Return how much of the range the step that begins here counts: what makes a number a rate."""
        start_us = self.start_us if start_s == self.first_s else start_s * US_PER_S
        end_us = self.end_us if start_s == self.last_s else (start_s + self.width_s) * US_PER_S
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
    width_us = width_s * US_PER_S
    base_us = scope.start_us // width_us * width_us
    end_us = max(scope.end_us, scope.start_us)
    last_us = (
        max(base_us, (end_us - 1) // width_us * width_us) if end_us > scope.start_us else base_us - width_us
    )
    first_us = base_us
    if first_us < last_us and base_us + width_us - scope.start_us < width_us // _SLIVER:
        first_us += width_us
    if first_us < last_us and end_us - last_us < width_us // _SLIVER:
        last_us -= width_us
    return Slots(
        scope.start_us,
        end_us,
        base_us // US_PER_S,
        width_s,
        first_us // US_PER_S,
        last_us // US_PER_S,
    )
