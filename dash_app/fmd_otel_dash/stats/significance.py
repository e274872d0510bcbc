"""Has it changed? Tests on what the rollups hold: latency buckets and counts, never single requests.

Each test returns the size of the effect with its 95 % interval beside the p-value: with many requests
anything is significant, so only the size says whether it matters. All tests are two-sided.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from math import exp, inf, log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING

from fmd_otel_dash.stats import student
from fmd_otel_dash.stats.percentiles import count, interpolated, interpolated_with_interval, share_below
from fmd_otel_exporter.buckets import PER_OCTAVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.stats.percentiles import Buckets

_NORMAL = NormalDist()
_Z_95 = _NORMAL.inv_cdf(0.975)
LEAST_N = 8
"""Requests on either side below which ranks say nothing: the normal approximation needs about so many."""
_LARGEST_EXPONENT = 700
_FEWEST_SLOTS = 1.01
"""Slots in one of which nearly all requests fell show no variance."""
_EXACT_UP_TO = 2_000
"""Events in both samples together up to which Fisher's exact test is summed up term by term."""


@dataclass(frozen=True)
class Effect:
    """What a test found."""

    value: float
    """Relative change (0.18 is 18 % more) or, for rates of errors, a difference of two shares."""
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end; may be infinite."""
    p: float
    """How often chance alone gives a difference as large as this or larger."""
    n_before: int
    n_after: int


def latency_shift(before: Buckets, after: Buckets) -> Effect | None:
    """Compare two whole distributions of durations; None where either has fewer than eight requests.

    The p-value is that of the Mann-Whitney U test with the correction for ties (Mann and Whitney 1947;
    Lehmann, Nonparametrics, 1975, section 1.2), the effect Hodges and Lehmann's estimate of the shift with
    the interval of Moses. Buckets are logarithmic, so a shift of buckets is a factor of durations: "a typical
    request takes 18 % longer".
    """
    n, m = count(before), count(after)
    if n < LEAST_N or m < LEAST_N:
        return None
    differences = _Differences(before, after)
    pairs = n * m
    u = pairs - (differences.up_to(-1) + differences.up_to(0)) / 2  # those greater, and half of the ties
    both = n + m
    together = (before.get(b, 0) + after.get(b, 0) for b in before.keys() | after.keys())
    tied = sum(t * (t * t - 1) for t in together)
    variance = pairs / 12 * (both + 1 - tied / (both * (both - 1)))
    if variance <= 0:  # all in one bucket
        return Effect(0.0, 0.0, 0.0, 1.0, n, m)
    # Half a pair towards the middle: the sum of ranks moves in steps.
    z = max(0.0, abs(u - pairs / 2) - 0.5) / sqrt(variance)
    half = _Z_95 * sqrt(pairs * (both + 1) / 12)
    middle, low, high = map(differences.at, (pairs / 2, pairs / 2 - half, pairs / 2 + half))
    return Effect(_factor(middle), _factor(low), _factor(high), two_sided(z), n, m)


def percentile_shift(before: Buckets, after: Buckets, q: float) -> Effect | None:
    """Compare one percentile of two samples; None where a sample is too small to have an interval for it.

    Tested by the shares of either sample above the percentile of both together (Mood's test, for any
    percentile); the interval combines those of the two percentiles, which are binomial, on a logarithmic
    scale (MOVER: Donner and Zou 2012).
    """
    old, old_span = interpolated_with_interval(before, q)
    new, new_span = interpolated_with_interval(after, q)
    if old_span is None or new_span is None or old is None or new is None:
        return None
    n, m = count(before), count(after)
    (old_low, old_high), (new_low, new_high) = old_span, new_span
    moved = log(new / old)
    low = moved - sqrt(log(new / new_low) ** 2 + log(old_high / old) ** 2)
    high = moved + sqrt(log(new_high / new) ** 2 + log(old / old_low) ** 2)
    pooled = interpolated({b: before.get(b, 0) + after.get(b, 0) for b in before.keys() | after.keys()}, q)
    above = [_above(sample, pooled or 0.0) for sample in (before, after)]
    p = _pooled_z(above[0], n, above[1], m)
    return Effect(exp(moved) - 1, exp(low) - 1, exp(high) - 1, p, n, m)


@lru_cache(maxsize=10_000)
def share_change(k_before: int, n_before: int, k_after: int, n_after: int) -> Effect | None:
    """Compare two shares, such as those of errors; None of an empty sample.

    Fisher's exact test while events are few, the pooled z test above; the interval of the difference is
    Newcombe's (1998, method 10), out of Wilson's. Remembered: of hundreds of users, many have the same few.
    """
    if n_before <= 0 or n_after <= 0:
        return None
    old, new = k_before / n_before, k_after / n_after
    few = k_before + k_after <= _EXACT_UP_TO
    p = (
        _fisher(k_before, n_before, k_after, n_after)
        if few
        else _pooled_z(k_before, n_before, k_after, n_after)
    )
    old_low, old_high = wilson(k_before, n_before)
    new_low, new_high = wilson(k_after, n_after)
    low = new - old - sqrt((new - new_low) ** 2 + (old_high - old) ** 2)
    high = new - old + sqrt((new_high - new) ** 2 + (old - old_low) ** 2)
    return Effect(new - old, low, high, p, n_before, n_after)


def rate_change(before: Sequence[int], after: Sequence[int], *, exposure: float = 1.0) -> Effect | None:
    """Compare traffic, slot by slot; None where a period has no request, or there are fewer than two slots.

    Given the requests of both periods in a slot (the same hour of two days, say), how many of them came in
    the later one is binomial. Traffic comes in bursts, so the variance is what the slots show, if that is
    more than the binomial's: in proportion to their requests (quasi-likelihood: McCullagh and Nelder 1989,
    section 4.5), or as it may be (the "sandwich" of White 1980), whichever is more. A few slots show it only
    roughly, and so do many of which a few have most requests; Student's t allows for that.

    Args:
        before: requests of each slot of the earlier period.
        after: those of the same slots of the later one.
        exposure: how many times as long as the earlier one the later period was.
    """
    n, m = sum(before), sum(after)
    slots = [(a, b) for a, b in zip(before, after, strict=True) if a + b]
    if not n or not m or len(slots) < 2:  # noqa: PLR2004 - one slot shows no variance
        return None
    both, share = n + m, m / (n + m)
    like_so_many = both**2 / sum((a + b) ** 2 for a, b in slots)
    if like_so_many < _FEWEST_SLOTS:
        return None
    squares = [((b - (a + b) * share) ** 2, a + b) for a, b in slots]
    in_proportion = sum(square / size for square, size in squares) / (len(slots) - 1) / (share * (1 - share))
    as_it_may_be = (
        sum(square for square, _ in squares) / (both * share * (1 - share)) ** 2
        * like_so_many / (like_so_many - 1)
    )  # fmt: skip
    error = sqrt(max(max(1.0, in_proportion) * (1 / n + 1 / m), as_it_may_be))
    df = max(1, round(like_so_many - 1))
    ratio = m / n / exposure
    half = student.quantile(df) * error
    p = student.tail(log(ratio) / error, df)
    return Effect(ratio - 1, _grown(ratio, -half), _grown(ratio, half), p, n, m)


def presence(n: int, m: int, *, share: float = 0.5) -> Effect | None:
    """Test whether something that was seen on one side only came or went by chance; None where on both.

    Each of its requests fell on the later side with the same chance, if nothing changed: the share of the
    later side in all time, or in all requests. That all of them fell on one side is then as likely as heads
    each time (the conditional test of two Poisson rates: Przyborowski and Wilenski 1940).

    Args:
        n: requests on the earlier side.
        m: requests on the later side.
        share: of the later side.
    """
    if bool(n) == bool(m) or not 0 < share < 1:
        return None
    p = min(1.0, 2 * (share**m if m else (1 - share) ** n))
    value = 1.0 if m else -1.0
    return Effect(value, value, value, p, n, m)


def adjusted(ps: Sequence[float]) -> list[float]:
    """Return the p-values, corrected for how many there are, in their order.

    Of all findings at or below ``q``, no more than the share ``q`` are false on average (Benjamini and
    Hochberg 1995).
    """
    total = len(ps)
    smallest, corrected = 1.0, [1.0] * total
    for rank, index in sorted(enumerate(sorted(range(total), key=lambda i: ps[i]), 1), reverse=True):
        smallest = min(smallest, ps[index] * total / rank)
        corrected[index] = smallest
    return corrected


def two_sided(z: float) -> float:
    """Return how often a standard normal is as far from 0 as ``z``; does not round to 0 before 1e-300."""
    if z < 37:  # noqa: PLR2004 - beyond, the distribution function is exactly 0
        return min(1.0, 2 * _NORMAL.cdf(-z))
    return 0.0


def wilson(k: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share (1927)."""
    z2 = _Z_95**2
    middle = (k + z2 / 2) / (n + z2)
    half = _Z_95 / (n + z2) * sqrt(k * (n - k) / n + z2 / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


class _Differences:
    """How often a request of the later sample is how many buckets above one of the earlier."""

    def __init__(self, before: Buckets, after: Buckets) -> None:
        """Count all pairs of buckets of two samples, neither of which is empty."""
        self._first = min(after) - max(before)
        self._weights = _products(before, after)
        self._passed = list(accumulate(self._weights))

    def up_to(self, step: int) -> int:
        """Return how many pairs are as far apart, or less."""
        place = step - self._first
        return 0 if place < 0 else self._passed[min(place, len(self._passed) - 1)]

    def at(self, rank: float) -> float:
        """Return the difference of a rank, spread evenly over its bucket."""
        if rank <= 0:
            return -inf
        place = bisect_left(self._passed, rank)
        if place == len(self._passed):
            return inf
        passed = self._passed[place - 1] if place else 0
        return place + self._first - 0.5 + (rank - passed) / self._weights[place]


def _products(before: Buckets, after: Buckets) -> Sequence[int]:
    """Return the number of pairs of each difference, from the smallest on.

    All pairs of buckets at once: as digits of two large numbers, whose product Python works out a hundred
    times as fast as a loop would.
    """
    pairs = count(before) * count(after)
    highest, lowest = max(before), min(after)
    size = highest - min(before) + max(after) - lowest + 1
    earlier = {highest - bkt: n for bkt, n in before.items()}
    later = {bkt - lowest: n for bkt, n in after.items()}
    if pairs < 1 << 64:
        # Digits of eight bytes each, which are put together and taken apart without a loop.
        product = _of_words(earlier) * _of_words(later)
        return struct.unpack(f"<{size}Q", product.to_bytes(8 * size, "little"))
    width = -(-pairs.bit_length() // 8)  # bytes: no digit can be larger than all pairs
    product = _number(earlier, width) * _number(later, width)
    digits = product.to_bytes(size * width, "little")
    return [int.from_bytes(digits[at : at + width], "little") for at in range(0, size * width, width)]


def _of_words(digits: Buckets) -> int:
    """Return the same of eight bytes each."""
    words = [0] * (max(digits) + 1)
    for place, digit in digits.items():
        words[place] = digit
    return int.from_bytes(struct.pack(f"<{len(words)}Q", *words), "little")


def _number(digits: Buckets, width: int) -> int:
    """Return a number with these digits, each of so many bytes."""
    text = bytearray((max(digits) + 1) * width)
    for place, digit in digits.items():
        text[place * width : (place + 1) * width] = digit.to_bytes(width, "little")
    return int.from_bytes(text, "little")


def _grown(ratio: float, exponent: float) -> float:
    """Return a relative change at an end of its interval, which may be farther out than numbers go."""
    return ratio * exp(exponent) - 1 if exponent < _LARGEST_EXPONENT else inf


def _factor(buckets: float) -> float:
    return float(2 ** (buckets / PER_OCTAVE)) - 1 if buckets != inf else inf


def _above(sample: Buckets, threshold_us: float) -> float:
    return count(sample) * (1 - (share_below(sample, threshold_us) or 0.0)) if threshold_us else 0.0


def _pooled_z(k: float, n: int, j: float, m: int) -> float:
    share = (k + j) / (n + m)
    variance = share * (1 - share) * (1 / n + 1 / m)
    return two_sided(abs(k / n - j / m) / sqrt(variance)) if variance > 0 else 1.0


def _fisher(k: int, n: int, j: int, m: int) -> float:
    """Return the two-sided p-value of Fisher's exact test: all tables no likelier than the one seen."""
    events = k + j
    low, high = max(0, events - m), min(n, events)
    # From the likeliest table both ways, each from the one before: no logarithm, and nothing that overflows.
    likeliest = min(max((n + 1) * (events + 1) // (n + m + 2), low), high)
    up, down = [1.0], [1.0]
    for x in range(likeliest, high):
        up.append(up[-1] * (n - x) * (events - x) / ((x + 1) * (m - events + x + 1)))
    for x in range(likeliest, low, -1):
        down.append(down[-1] * x * (m - events + x) / ((n - x + 1) * (events - x + 1)))
    seen = (up[k - likeliest] if k >= likeliest else down[likeliest - k]) * (1 + 1e-7)
    tables = (*up, *down[1:])
    return min(1.0, sum(each for each in tables if each <= seen) / sum(tables))
