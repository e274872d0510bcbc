"""Which table answers which part of a range.

Days that are rolled up are cheapest, buckets come next, and only what is left at the two ends, always less
than one bucket, is counted from raw rows. The parts neither overlap nor leave a gap, so their sum is what
an aggregate of the raw rows would have said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Collection

Source = Literal["day", "bucket", "raw"]


@dataclass(frozen=True)
class Segment:
    """A part of a range, and where to count it.

    In seconds for rollups, as their keys are; in microseconds for raw rows.
    """

    source: Source
    start: int
    end: int
    bucket_s: int
    """For raw rows: the rollup bucket that all of them lie in, so that no database has to divide."""
    offset_s: int = 0
    """What to add to UTC for local time, where the caller cuts days or hours in a zone."""

    @property
    def start_us(self) -> int:
        """Start in microseconds, whatever the source."""
        return self.start if self.source == "raw" else self.start * US_PER_S

    @property
    def end_us(self) -> int:
        """End in microseconds, whatever the source."""
        return self.end if self.source == "raw" else self.end * US_PER_S


def split(start_us: int, end_us: int, *, width_s: int, days: Collection[int] = ()) -> tuple[Segment, ...]:
    """Cut ``[start_us, end_us)`` into segments, in order of time.

    Args:
        start_us: first moment that counts.
        end_us: first moment that no longer does.
        width_s: width of a rollup bucket, a divisor of a day.
        days: starts (epoch seconds) of the UTC days whose ``*_day`` rows are complete. Leave empty to stay on
            buckets, for a chart that is finer than a day or cuts its days in another zone.
    """
    if end_us <= start_us:
        return ()
    width_us = width_s * US_PER_S
    first_s = -(-start_us // width_us) * width_s
    last_s = end_us // width_us * width_s
    if first_s > last_s:
        return (_raw(start_us, end_us, last_s),)
    segments: list[Segment] = []
    if start_us < first_s * US_PER_S:
        segments.append(_raw(start_us, first_s * US_PER_S, first_s - width_s))
    segments += _rollups(first_s, last_s, days)
    if last_s * US_PER_S < end_us:
        segments.append(_raw(last_s * US_PER_S, end_us, last_s))
    return tuple(segments)


def _raw(start_us: int, end_us: int, bucket_s: int) -> Segment:
    return Segment("raw", start_us, end_us, bucket_s)


def _rollups(first_s: int, last_s: int, days: Collection[int]) -> list[Segment]:
    """Cover whole buckets: runs of rolled-up days as one segment each, buckets between them."""
    segments: list[Segment] = []

    def add(source: Source, start: int, end: int) -> None:
        if start >= end:
            return
        if segments and segments[-1].source == source and segments[-1].end == start:
            start = segments.pop().start
        segments.append(Segment(source, start, end, start))

    at = first_s
    for day in sorted(day for day in days if first_s <= day and day + DAY_S <= last_s):
        add("bucket", at, day)
        add("day", day, day + DAY_S)
        at = day + DAY_S
    add("bucket", at, last_s)
    return segments
