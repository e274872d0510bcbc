"""What do they have in common? Attributes by how differently two groups of requests have them.

The question of an outlier is seldom "which one" and often "what sort": one user, one version, one worker, the
requests with a certain parameter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import log2
from typing import TYPE_CHECKING, TypeVar

from fmd_otel_dash.stats.significance import adjusted, share_change

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

T = TypeVar("T", bound="Hashable")

LEVEL = 0.01
_LEAST = 2
"""Outliers that have a value before it is said to be what they share."""
_MOST_VALUES = 12
_OTHERS = "others"


@dataclass(frozen=True)
class Share:
    """One value of an attribute, in both groups."""

    value: str
    n_outliers: int
    n_others: int
    outliers: float
    """Share of the outliers that have it."""
    others: float
    """Share of the rest that have it."""
    q: float
    """How likely chance alone gives such a difference, corrected for the number of values looked at."""

    @property
    def telling(self) -> bool:
        """Whether outliers have it more often than the rest, by more than chance."""
        return self.q <= LEVEL and self.outliers > self.others and self.n_outliers >= _LEAST

    @property
    def lift(self) -> float | None:
        """How many times as frequent it is among outliers; None where the rest never has it."""
        return self.outliers / self.others if self.others else None


@dataclass(frozen=True)
class Common:
    """One attribute."""

    attribute: str
    difference: float
    """Jensen-Shannon divergence of the two distributions, in bits: 0 equal, 1 nothing in common."""
    values: tuple[Share, ...]
    """What speaks for outliers most first."""
    n_outliers: int
    n_others: int

    @property
    def telling(self) -> tuple[Share, ...]:
        """The values that outliers have in common."""
        return tuple(value for value in self.values if value.telling)


def commonalities(
    outliers: Mapping[str, Mapping[str, int]], others: Mapping[str, Mapping[str, int]]
) -> tuple[Common, ...]:
    """Rank attributes by how differently outliers and the rest have them.

    Args:
        outliers: Attribute -> value -> how many outliers have it.
        others: The same of the rest. An attribute that is not known of the rest is left out: nothing can be
            said of what is special about it.
    """
    tests: list[tuple[str, str, int, int, int, int, float]] = []
    for attribute in outliers.keys() & others.keys():
        mine, rest = outliers[attribute], others[attribute]
        n, m = sum(mine.values()), sum(rest.values())
        if not n or not m:
            continue
        for value in mine:
            k, j = mine[value], rest.get(value, 0)
            effect = share_change(j, m, k, n)
            tests.append((attribute, value, k, n, j, m, effect.p if effect else 1.0))
    corrected = adjusted([test[-1] for test in tests])
    found: dict[str, list[Share]] = {}
    for (attribute, value, k, n, j, m, _), q in zip(tests, corrected, strict=True):
        found.setdefault(attribute, []).append(Share(value, k, j, k / n, j / m, q))
    ranked = [
        Common(
            attribute,
            divergence(outliers[attribute], others[attribute]),
            tuple(
                sorted(values, key=lambda one: (not one.telling, one.others - one.outliers))[:_MOST_VALUES]
            ),
            sum(outliers[attribute].values()),
            sum(others[attribute].values()),
        )
        for attribute, values in found.items()
    ]
    # Something that is told apart for certain comes before something that only looks different.
    return tuple(sorted(ranked, key=lambda one: (not one.telling, -one.difference, one.attribute)))


def divergence(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return the Jensen-Shannon divergence of two samples in bits (Lin 1991); 0 if one is empty."""
    n, m = sum(one.values()), sum(other.values())
    if not n or not m:
        return 0.0

    def information(share: float, mean: float) -> float:
        return share * log2(share / mean) if share else 0.0

    total = 0.0
    for value in one.keys() | other.keys():
        p, q = one.get(value, 0) / n, other.get(value, 0) / m
        total += (information(p, (p + q) / 2) + information(q, (p + q) / 2)) / 2
    return min(1.0, max(0.0, total))


def counted(values: Iterable[T] | Mapping[T, int], *, most: int = 200) -> dict[T | str, int]:
    """Return how often each value occurs; of very many the rarest are put together.

    Args:
        values: one by one, or each with how often it does.
        most: how many to tell apart.
    """
    counts = Counter(values)
    kept: dict[T | str, int] = dict(counts.most_common(most))
    rest = sum(counts.values()) - sum(kept.values())
    return {**kept, _OTHERS: rest} if rest else kept
