"""Percentiles out of latency buckets.

A bucket number says a duration to within a factor of ``2**(1/32)``, which is 2.2 %. Two estimates inside it:

* the *middle* of the bucket is never more than 1.083 % off, whatever the data look like: what a page shows;
* *log-interpolation* by rank is off by 0.1 % on smooth data but by up to 2.2 % on data that sit on one
  value: what two samples are compared with, where the steps of the first would turn a hair's breadth into
  "2 % slower".

A percentile is the nearest rank (the smallest duration that at least ``q`` of the requests did not exceed),
never a mean of two requests that may lie seconds apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, log2, sqrt

from fmd_otel_exporter.buckets import PER_OCTAVE, bucket_of, lower_bound_us

Buckets = Mapping[int, int]
"""Bucket number -> number of requests."""

MAX_RELATIVE_ERROR = (2 ** (1 / PER_OCTAVE) - 1) / (2 ** (1 / PER_OCTAVE) + 1)
"""Half a bucket's width over its middle: 1.083 %. No estimate has a smaller bound: a bucket does not say at
which of its edges the duration is, and this one is equally far from both."""

_MIDDLE = 2 * 2 ** (1 / PER_OCTAVE) / (1 + 2 ** (1 / PER_OCTAVE))
"""Lower bound -> harmonic mean of both: the estimate that is equally far, relatively, from either edge."""

_Z_95 = 1.96
_BOX = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True)
class BoxStats:
    """A box plot of a sample that nobody has to send."""

    n: int
    p5_us: float
    q1_us: float
    median_us: float
    q3_us: float
    p95_us: float
    p99_us: float


@dataclass(frozen=True)
class Change:
    """How a percentile differs between two samples."""

    before_us: float
    after_us: float
    n_before: int
    n_after: int
    ratio: float
    """After / before - 1, interpolated; 0.18 is 18 % slower."""
    significant: bool
    """Whether the 95 % intervals of the two percentiles are apart."""


def count(buckets: Buckets) -> int:
    """Return how many requests the buckets hold."""
    return sum(buckets.values())


def merge(samples: Iterable[Buckets]) -> dict[int, int]:
    """Return the buckets of all samples together; exact, since counts add."""
    total: dict[int, int] = {}
    for buckets in samples:
        for bkt, n in buckets.items():
            total[bkt] = total.get(bkt, 0) + n
    return total


def percentile(buckets: Buckets, q: float) -> float | None:
    """Return the ``q`` percentile (``0.95``) in microseconds, at most 1.09 % off; None of an empty sample."""
    return percentiles(buckets, (q,))[0]


def percentiles(buckets: Buckets, qs: Sequence[float]) -> tuple[float | None, ...]:
    """Return several percentiles, as :func:`percentile` would."""
    total = count(buckets)
    if total <= 0:
        return (None,) * len(qs)
    return tuple(_middles(buckets, qs, total))


def interpolated(buckets: Buckets, q: float) -> float | None:
    """Return the ``q`` percentile log-interpolated inside its bucket: for comparing, see above."""
    return interpolated_with_interval(buckets, q)[0]


def interpolated_with_interval(buckets: Buckets, q: float) -> tuple[float | None, tuple[float, float] | None]:
    """Return the same with its 95 % interval, None where the sample is too small to have one."""
    total = count(buckets)
    if total <= 0:
        return None, None
    ordered = _Ordered(buckets)
    half = _Z_95 * sqrt(total * q * (1 - q))
    low, high = ceil(q * total - half), ceil(q * total + half)
    interval = None if low < 1 or high > total else (ordered.interpolated(low), ordered.interpolated(high))
    return ordered.interpolated(_rank(q, total)), interval


def box(buckets: Buckets) -> BoxStats | None:
    """Return what a box plot needs; None of an empty sample."""
    total = count(buckets)
    if total <= 0:
        return None
    return BoxStats(total, *_middles(buckets, _BOX, total))


def change(before: Buckets, after: Buckets, q: float) -> Change | None:
    """Return how the ``q`` percentile moved; None where either sample is empty.

    The interval of a percentile is that of its rank, a binomial's, and asks nothing of the distribution.
    Where a sample is too small for the interval to end inside it, nothing is significant.
    """
    old, before_interval = interpolated_with_interval(before, q)
    new, after_interval = interpolated_with_interval(after, q)
    if old is None or new is None:
        return None
    significant = (
        before_interval is not None
        and after_interval is not None
        and (before_interval[1] < after_interval[0] or after_interval[1] < before_interval[0])
    )
    return Change(old, new, count(before), count(after), new / old - 1, significant)


def share_below(buckets: Buckets, threshold_us: float) -> float | None:
    """Return the share of requests that took at most the threshold, log-interpolated in its bucket."""
    total = count(buckets)
    if total <= 0:
        return None
    edge = bucket_of(max(1, round(threshold_us)))
    below = sum(n for bkt, n in buckets.items() if bkt < edge)
    inside = (log2(threshold_us / lower_bound_us(edge))) * PER_OCTAVE
    return (below + buckets.get(edge, 0) * min(1.0, max(0.0, inside))) / total


def apdex(buckets: Buckets, threshold_us: float) -> float | None:
    """Return the Apdex score: satisfied up to the threshold, half satisfied up to four times that."""
    satisfied, tolerated = share_below(buckets, threshold_us), share_below(buckets, 4 * threshold_us)
    if satisfied is None or tolerated is None:
        return None
    return satisfied + (tolerated - satisfied) / 2


def _rank(q: float, total: int) -> int:
    # 0.07 * 100 is a little more than 7 in floating point; the rank is 7 all the same.
    return min(total, max(1, ceil(q * total - 1e-9)))


def _middles(buckets: Buckets, qs: Sequence[float], total: int) -> Iterator[float]:
    """Yield the middle of the bucket that each percentile lies in."""
    ordered = _Ordered(buckets)
    for q in qs:
        yield lower_bound_us(ordered.bkts[ordered.place(_rank(q, total))]) * _MIDDLE


class _Ordered:
    """Buckets from the fastest on, to look ranks up."""

    def __init__(self, buckets: Buckets) -> None:
        self.bkts = sorted(buckets)
        self._passed = list(accumulate(map(buckets.__getitem__, self.bkts)))

    def place(self, rank: int) -> int:
        """Return at which place the bucket is that holds a rank."""
        return bisect_left(self._passed, rank)

    def interpolated(self, rank: int) -> float:
        """Return the duration of a rank, the requests of its bucket spread evenly over it."""
        place = self.place(rank)
        before = self._passed[place - 1] if place else 0
        inside: float = 2.0 ** ((rank - before - 0.5) / (self._passed[place] - before) / PER_OCTAVE)
        return lower_bound_us(self.bkts[place]) * inside
