"""Which requests a page speaks of: a range of time, a zone to show it in, and filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

US_PER_S = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


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

    @property
    def zone(self) -> ZoneInfo:
        """The zone that days and hours are cut in."""
        return ZoneInfo(self.tz)

    def previous(self) -> Scope:
        """Return the scope of equal length that ends where this one starts."""
        return replace(self, start_us=self.start_us - self.length_us, end_us=self.start_us)

    def only(self, endpoint_id: int) -> Scope:
        """Return this scope narrowed to one endpoint."""
        return replace(self, endpoint_ids=(endpoint_id,))


def local_time(ts_us: int, zone: ZoneInfo) -> datetime:
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
