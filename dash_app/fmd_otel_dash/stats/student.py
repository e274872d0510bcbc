"""Student's t distribution: quantiles and tails, and nothing else that would need a library of statistics.

The tail is the regularised incomplete beta function, by its continued fraction in the form of Lentz (Press,
Teukolsky, Vetterling and Flannery, Numerical Recipes, section 6.4): right to twelve digits, also far out.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, lgamma, log
from statistics import NormalDist

_NORMAL_FROM = 1_000_000
"""Degrees of freedom from which on it is the normal distribution, to six digits."""
_TINY = 1e-300
_ENOUGH = 1e-15
_MOST_STEPS = 10_000


def tail(t: float, df: int) -> float:
    """Return how often chance is as far from 0 as ``t``, in either direction."""
    if df >= _NORMAL_FROM:
        return min(1.0, 2 * NormalDist().cdf(-abs(t)))
    return _beta(df / (df + t * t), df / 2, 0.5)


@lru_cache(maxsize=1024)
def quantile(df: int, level: float = 0.95) -> float:
    """Return the distance from 0 that so large a share of chance stays within."""
    low, high = 0.0, 1.0
    while tail(high, df) > 1 - level:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle, df) > 1 - level else (low, middle)
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function."""
    if x <= 0 or x >= 1:
        return min(1.0, max(0.0, x))
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    """Return the continued fraction of the incomplete beta function; it converges fast below its mean."""
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _MOST_STEPS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            c, d = _not_zero(1 + term / c), 1 / _not_zero(1 + term * d)
            value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
