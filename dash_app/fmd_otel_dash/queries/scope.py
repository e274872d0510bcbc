"""Which requests a page speaks of: a range of time, a zone to show it in, and filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from datetime import date, tzinfo

US_PER_S = 1_000_000
_HOUR_US = 3600 * US_PER_S
_DAY_US = 24 * _HOUR_US
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Stretch:
    """A part of a range in which local time is UTC plus one offset."""

    start_us: int
    end_us: int
    offset_s: int


@dataclass(frozen=True)
class Scope:
    """The half-open range ``[start_us, end_us)`` of request times, and what to keep of it.

    An empty tuple means "all": a page without a filter need not know what there is to choose from.
    """

    start_us: int
    end_us: int
    tz: str = "UTC"
    services: tuple[str, ...] = ()
    endpoint_ids: tuple[int, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def length_us(self) -> int:
        """Length of the range; never negative, so that a reversed range is an empty one."""
        return max(0, self.end_us - self.start_us)

    def stretches(self) -> tuple[Stretch, ...]:
        """Cut the range where the zone's clock is put forward or back: each part has one offset."""
        return _stretches(self.start_us, self.end_us, self.tz)

    def local_parts_us(self, width_s: int) -> dict[int, int]:
        """Return how much of each local day (or hour, by its width) lies in the range, in microseconds.

        Keys count days (hours) since a local 1 January 1970. A day has 23 or 25 hours where the clocks
        change, and an hour that was skipped is not there.
        """
        width_us = width_s * US_PER_S
        parts: dict[int, int] = {}
        for stretch in self.stretches():
            at, end = (us + stretch.offset_s * US_PER_S for us in (stretch.start_us, stretch.end_us))
            while at < end:
                number = at // width_us
                until = min((number + 1) * width_us, end)
                parts[number] = parts.get(number, 0) + until - at
                at = until
        return parts

    def local_hour(self, day: date, hour: int) -> tuple[int, int] | None:
        """Return when an hour of a local day begins and ends, cut to the range where they overlap.

        None where the clocks skipped it. Where they went back, it may last longer than an hour.
        """
        noon = to_us(datetime(day.year, day.month, day.day, 12, tzinfo=self.zone))
        whole_day = replace(
            self, start_us=midnight_us(noon, self.zone), end_us=next_midnight_us(noon, self.zone)
        )
        begins_us = to_us(datetime(day.year, day.month, day.day, hour, tzinfo=timezone.utc))
        parts = [
            (max(part.start_us, begins_us - ahead_us), min(part.end_us, begins_us + _HOUR_US - ahead_us))
            for part in whole_day.stretches()
            for ahead_us in [part.offset_s * US_PER_S]
        ]
        there = [(start_us, end_us) for start_us, end_us in parts if start_us < end_us]
        if not there:
            return None
        start_us, end_us = there[0][0], there[-1][1]
        within = max(start_us, self.start_us), min(end_us, self.end_us)
        return within if within[0] < within[1] else (start_us, end_us)

    @property
    def zone(self) -> ZoneInfo:
        """The zone that days and hours are cut in."""
        return ZoneInfo(self.tz)

    def until(self, now_us: int) -> Scope:
        """Return this scope without what lies ahead: where no request can be yet, none is missing either."""
        return replace(self, end_us=min(self.end_us, max(now_us, self.start_us)))

    def previous(self) -> Scope:
        """Return the scope of equal length that ends where this one starts."""
        return replace(self, start_us=self.start_us - self.length_us, end_us=self.start_us)

    def only(self, endpoint_id: int) -> Scope:
        """Return this scope narrowed to one endpoint."""
        return replace(self, endpoint_ids=(endpoint_id,))


@dataclass(frozen=True)
class Pair:
    """What is looked at, and what it is compared with."""

    after: Scope
    before: Scope | None = None

    def of_service(self, service: str) -> bool:
        """Tell whether a service's endpoints are meant."""
        return not self.after.services or service in self.after.services


def local_time(ts_us: int, zone: tzinfo) -> datetime:
    """Return a moment as the zone's wall clock shows it.

    By integer arithmetic: ``datetime.fromtimestamp`` goes through a float and is a microsecond off at times.
    """
    return (_EPOCH + timedelta(microseconds=ts_us)).astimezone(zone)


def to_us(moment: datetime) -> int:
    """Return an aware moment as microseconds since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def midnight_us(ts_us: int, zone: ZoneInfo) -> int:
    """Return when the local day of a moment began.

    Not always at 00:00: where the clock skips midnight (Beirut, Santiago), it begins at its first instant.
    """
    local = local_time(ts_us, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return to_us(local)


def next_midnight_us(ts_us: int, zone: ZoneInfo) -> int:
    """Return when the local day after that of a moment begins: 23, 24 or 25 hours after this one did."""
    local = local_time(ts_us, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0, tzinfo=None)
    return to_us((local + timedelta(days=1)).replace(tzinfo=zone))


@lru_cache(maxsize=256)
def _stretches(start_us: int, end_us: int, tz: str) -> tuple[Stretch, ...]:
    """Return the parts of a range; remembered, as a chart asks for them several times, day by day."""
    zone = ZoneInfo(tz)
    found: list[Stretch] = []
    at, offset_s = start_us, _offset_s(start_us, zone)
    while at < end_us:
        # Clocks change at most once a day.
        later = min(at + _DAY_US, end_us)
        changed = later if _offset_s(later, zone) == offset_s else _change_us(at, later, zone)
        if found and found[-1].offset_s == offset_s:
            found[-1] = replace(found[-1], end_us=changed)
        else:
            found.append(Stretch(at, changed, offset_s))
        at, offset_s = changed, _offset_s(changed, zone)
    return tuple(found)


def _offset_s(ts_us: int, zone: ZoneInfo) -> int:
    offset = local_time(ts_us, zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _change_us(before_us: int, after_us: int, zone: ZoneInfo) -> int:
    """Return the first moment whose offset is not that of ``before_us``: a full second."""
    old = _offset_s(before_us, zone)
    low, high = before_us // US_PER_S, -(-after_us // US_PER_S)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset_s(middle * US_PER_S, zone) == old else (low, middle)
    return high * US_PER_S
