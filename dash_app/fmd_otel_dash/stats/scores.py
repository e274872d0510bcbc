"""Has the Apdex score changed? A test on the latency buckets, as for durations themselves."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from fmd_otel_dash.stats.percentiles import count, share_below
from fmd_otel_dash.stats.significance import Effect, two_sided

if TYPE_CHECKING:
    from fmd_otel_dash.stats.percentiles import Buckets

_Z_95 = NormalDist().inv_cdf(0.975)


def apdex_change(before: Buckets, after: Buckets, threshold_us: float) -> Effect | None:
    """Compare two Apdex scores, each a mean of ones, halves and noughts; None of an empty sample."""
    old, new = _scores(before, threshold_us), _scores(after, threshold_us)
    if old is None or new is None:
        return None
    n, m = count(before), count(after)
    (old_mean, old_variance), (new_mean, new_variance) = old, new
    error = sqrt(old_variance / n + new_variance / m)
    value = new_mean - old_mean
    if not error:
        return Effect(value, value, value, float(not value), n, m)
    return Effect(value, value - _Z_95 * error, value + _Z_95 * error, two_sided(abs(value) / error), n, m)


def _scores(sample: Buckets, threshold_us: float) -> tuple[float, float] | None:
    """Return mean and variance of the scores that Apdex is the mean of."""
    satisfied, tolerated = share_below(sample, threshold_us), share_below(sample, 4 * threshold_us)
    if satisfied is None or tolerated is None:
        return None
    mean = (satisfied + tolerated) / 2
    return mean, max(0.0, satisfied + (tolerated - satisfied) / 4 - mean**2)
