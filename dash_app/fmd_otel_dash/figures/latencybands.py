"""Bands of durations, as heat maps and their clicks need them: a few latency buckets to a band."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

from fmd_otel_dash import formatting
from fmd_otel_exporter.buckets import bucket_of, lower_bound_us

if TYPE_CHECKING:
    from collections.abc import Iterable

COARSE = 8
"""Latency buckets to a band: a quarter of an octave, 19 % wide."""
_MOST = 30


@dataclass(frozen=True)
class LatencyBands:
    """Bands next to each other, numbered by ``bucket // coarse``."""

    coarse: int
    numbers: range

    @property
    def edges_us(self) -> list[float]:
        """Where the bands begin, and where the last one ends."""
        return [lower_bound_us(number * self.coarse) for number in (*self.numbers, self.numbers.stop)]

    def of(self, bkt: int) -> int:
        """Return the place of a bucket's band among these."""
        return bkt // self.coarse - self.numbers.start

    def text(self, place: int) -> str:
        """Return a band in words: from when to when."""
        low, high = (lower_bound_us((self.numbers[place] + i) * self.coarse) for i in (0, 1))
        return f"{formatting.duration(low)} – {formatting.duration(high)}"


def bands_over(buckets: Iterable[int], coarse: int = COARSE) -> LatencyBands:
    """Return the bands that some buckets lie in; wider ones, where there would be too many to see."""
    known = {*buckets}
    if not known:
        return LatencyBands(coarse, range(0))
    low, high = min(known), max(known)
    while high // coarse - low // coarse >= _MOST:
        coarse *= 2
    return LatencyBands(coarse, range(low // coarse, high // coarse + 1))


def band_us(middle_us: float, coarse: int = COARSE) -> tuple[int, int]:
    """Return the shortest duration of the band that a duration lies in, and the shortest that is longer."""
    band = bucket_of(max(1, round(middle_us))) // coarse
    return first_us(band * coarse), first_us((band + 1) * coarse)


def first_us(bucket: int) -> int:
    """Return the shortest duration, in whole microseconds, of a bucket or any later one."""
    us = max(0, floor(lower_bound_us(bucket)))
    while bucket_of(us) < bucket:
        us += 1
    return us
