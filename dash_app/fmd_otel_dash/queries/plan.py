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
_DAY_US = DAY_S * US_PER_S


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
    side: int = 0
    """Which of several ranges it is of, where one statement reads them all."""

    @property
    def start_us(self) -> int:
        """Start in microseconds, whatever the source."""
        return self.start if self.source == "raw" else self.start * US_PER_S

    @property
    def end_us(self) -> int:
        """End in microseconds, whatever the source."""
        return self.end if self.source == "raw" else self.end * US_PER_S


@dataclass(frozen=True)
class Kept:
    """What finer rows retention has left."""

    sealed: frozenset[int] = frozenset()
    """Starts (epoch seconds) of the UTC days of which only day rollups remain."""
    raw_from_us: int = 0
    """Before this there are no raw rows."""
    pruned: frozenset[int] = frozenset()
    """Starts (epoch seconds) of UTC days of which raw rows may be missing, but for those that came late."""

    def nearest(self, moment_us: int, width_s: int) -> int:
        """Return a moment that can be counted up to: itself, or the nearest edge of what is left around it.

        One moment is always moved to the same place, so that ranges next to each other stay so.
        """
        day_us = moment_us // _DAY_US * _DAY_US
        if day_us // US_PER_S in self.sealed:
            return _nearer(moment_us, day_us, _DAY_US)
        width_us = width_s * US_PER_S
        bucket_us = moment_us // width_us * width_us
        # The newest such day alone may be cut in its middle. Rows that came late tell nothing of where.
        day = day_us // US_PER_S
        gone = day in self.pruned and (day != max(self.pruned) or self.raw_from_us < day_us)
        if gone or bucket_us + width_us <= self.raw_from_us:
            return _nearer(moment_us, bucket_us, width_us)
        return moment_us


EVERYTHING = Kept()


def split(
    start_us: int, end_us: int, *, width_s: int, days: Collection[int] = (), kept: Kept = EVERYTHING
) -> tuple[Segment, ...]:
    """Cut ``[start_us, end_us)`` into segments, in order of time.

    Where retention has deleted what an end of the range would have to be counted from, that end is moved to
    the nearest edge of something that is left: an hour, or a day.

    Args:
        start_us: first moment that counts.
        end_us: first moment that no longer does.
        width_s: width of a rollup bucket, a divisor of a day.
        days: starts (epoch seconds) of the UTC days whose ``*_day`` rows are complete. Leave empty to stay on
            buckets, for a chart that is finer than a day or cuts its days in another zone. Sealed days are
            counted from their day rows in any case.
        kept: what is left of finer rows.
    """
    start_us, end_us = (kept.nearest(us, width_s) for us in (start_us, end_us))
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
    segments += _rollups(first_s, last_s, {*days, *kept.sealed})
    if last_s * US_PER_S < end_us:
        segments.append(_raw(last_s * US_PER_S, end_us, last_s))
    return tuple(segments)


def _raw(start_us: int, end_us: int, bucket_s: int) -> Segment:
    return Segment("raw", start_us, end_us, bucket_s)


def _nearer(moment_us: int, start_us: int, width_us: int) -> int:
    return start_us if 2 * (moment_us - start_us) <= width_us else start_us + width_us


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
