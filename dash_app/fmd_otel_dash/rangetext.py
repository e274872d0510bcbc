"""Times as people write them: ``now-3h``, ``yesterday``, ``2026-11-01 to 2026-11-03``, ``since 1.7.0``.

Two languages. *Moments* are what a URL holds (``now-1d/d``, ``2026-11-01T13:00``, ``version:1.7.0``) and stay
relative until somebody asks which instant they mean. *Free text* is what a person types; it is turned into
two moments. Hours and shorter are elapsed time; days, weeks, months and years follow the calendar of the
zone, so that "yesterday" is 23 hours long where the clocks went forward.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from fmd_otel_dash.queries.scope import US_PER_S, local_time, midnight_us, next_midnight_us, to_us

VersionStart = Callable[[str], "int | None"]
"""Tells when a version served its first request, in microseconds; None for one that never did."""

VERSION_PREFIX = "version:"
EXAMPLES = "Try 3h, 7d, yesterday, 2026-11-01 to 2026-11-03, or since 1.7.0."

_MAX_US = 253_370_764_800 * US_PER_S  # the year 9999, less a day for the zones
_ELAPSED_S = {"s": 1, "m": 60, "h": 3600}
_MONTHS = {"M": 1, "y": 12}
_UNIT_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "d": "d", "day": "d", "days": "d",
    "w": "w", "wk": "w", "week": "w", "weeks": "w",
    "mo": "M", "month": "M", "months": "M",
    "y": "y", "yr": "y", "year": "y", "years": "y",
}  # fmt: skip
_RELATIVE = re.compile(r"now(?:([+-])(\d{1,6})([smhdwMy]))?(?:/([hdwMy]))?")
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)(Z|[+-]\d{2}:\d{2})?)?")
_CLOCK = re.compile(r"\d{1,2}:\d{2}")
_SPAN = re.compile(r"(?:last\s+|past\s+)?(\d{1,6})?\s*([a-zA-Z]+)")
_BETWEEN = re.compile(r"\s+(?:to|until|till|and|-|–|—|→)\s+|\s*\.\.\.?\s*|\s*→\s*")
_NAMED = {
    "today": ("now/d", "now"),
    "yesterday": ("now-1d/d", "now/d"),
    "this week": ("now/w", "now"),
    "last week": ("now-1w/w", "now/w"),
    "this month": ("now/M", "now"),
    "last month": ("now-1M/M", "now/M"),
    "this year": ("now/y", "now"),
    "now": ("now-15m", "now"),
}


class RangeError(ValueError):
    """A time that cannot be understood; the message is for the person who wrote it."""


def never_deployed(_version: str) -> int | None:
    """Know no versions: for callers that have no database at hand."""
    return None


def moment_us(
    text: str, *, now_us: int, zone: ZoneInfo, end: bool = False, started: VersionStart = never_deployed
) -> int:
    """Return the instant that a moment means.

    Args:
        text: the moment, as a URL holds it.
        now_us: what ``now`` means.
        zone: whose calendar and wall clock to read it by.
        end: whether it closes a range. A bare date then means the end of that day, and a wall-clock time that
            occurs twice (clocks going back) means the second one.
        started: knows when a version first served.
    """
    text = text.strip()
    outside = f"“{_short(text)}” lies outside the years 1970 to 9998."
    try:
        us = _moment_us(text, now_us, zone, started, end=end)
    except RangeError:
        raise
    except OverflowError:
        raise RangeError(outside) from None
    except ValueError:
        raise RangeError(f"“{_short(text)}” is not a time. {EXAMPLES}") from None
    if not 0 <= us <= _MAX_US:
        raise RangeError(outside)
    return us


def is_civil(moment: str) -> bool:
    """Tell whether a moment is wall-clock time, which means something only together with a zone."""
    match = _DATE.fullmatch(moment)
    return bool(match and not match[3])


def is_relative(moment: str) -> bool:
    """Tell whether a moment moves with the clock."""
    return bool(_RELATIVE.fullmatch(moment))


def utc_moment(us: int) -> str:
    """Write an instant as a moment that means the same in every zone; whole seconds, as people read them.

    What lies beyond the last one that people can ask for is written as that.
    """
    return local_time(min(us, _MAX_US), ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_text(
    text: str, *, now_us: int, zone: ZoneInfo, started: VersionStart = never_deployed
) -> tuple[str, str]:
    """Turn what a person typed into the two moments of a range.

    Raises:
        RangeError: it cannot be understood, names a version nobody deployed, or ends before it starts.
    """
    wanted = " ".join(text.split())
    if not wanted:
        raise RangeError(f"Type a range of time. {EXAMPLES}")
    try:
        start, end = _moments(wanted, now_us, zone, started)
    except RangeError:
        raise
    except (ValueError, OverflowError):  # of a date that no calendar has, or whose next day none has
        raise RangeError(f"“{_short(wanted)}” is not a range of time. {EXAMPLES}") from None
    start_us = moment_us(start, now_us=now_us, zone=zone, started=started)
    end_us = moment_us(end, now_us=now_us, zone=zone, end=True, started=started)
    if start_us >= end_us:
        raise RangeError(f"“{_short(wanted)}” ends before it starts.")
    return start, end


def _moments(wanted: str, now_us: int, zone: ZoneInfo, started: VersionStart) -> tuple[str, str]:
    lower = wanted.lower()
    if lower in _NAMED:
        return _NAMED[lower]
    if lower.startswith("since "):
        return _since(wanted[len("since ") :], now_us, zone, started), "now"
    parts = _BETWEEN.split(wanted, maxsplit=1)
    if len(parts) == 2:  # noqa: PLR2004 - a start and an end
        start = _one(parts[0].strip(), now_us, zone)
        end = _same_day(start, parts[1].strip()) or _one(parts[1].strip(), now_us, zone)
        return start, end
    if span := _span(wanted):
        return f"now-{span}", "now"
    if _DATE.fullmatch(wanted):
        return _canonical(wanted), _canonical(wanted) if len(wanted) == len("2026-11-01") else "now"
    if _RELATIVE.fullmatch(wanted) and wanted != "now":
        return wanted, "now"
    raise RangeError(f"“{_short(wanted)}” is not a range of time. {EXAMPLES}")


def _same_day(start: str, end: str) -> str | None:
    """Return an end that is but a time of day, on the day of its start, or on the next if it is earlier."""
    match = _DATE.fullmatch(start)
    if not match or not _CLOCK.fullmatch(end):
        return None
    date, clock, offset = match.groups()
    if clock and end.zfill(5) <= clock:
        date = f"{datetime.fromisoformat(date) + timedelta(days=1):%Y-%m-%d}"
    return f"{date}T{end.zfill(5)}{offset or ''}"


def _one(part: str, now_us: int, zone: ZoneInfo) -> str:
    """Turn one side of "A to B" into a moment."""
    lower = part.lower()
    if lower in {"now", "today"}:
        return {"now": "now", "today": "now/d"}[lower]
    if lower == "yesterday":
        return "now-1d/d"
    if _DATE.fullmatch(part):
        return _canonical(part)
    if _CLOCK.fullmatch(part):
        return f"{local_time(now_us, zone):%Y-%m-%d}T{part.zfill(5)}"
    if _RELATIVE.fullmatch(part) or part.startswith(VERSION_PREFIX):
        return part
    if span := _span(part.removesuffix(" ago")):
        return f"now-{span}"
    raise RangeError(f"“{_short(part)}” is not a time. {EXAMPLES}")


def _since(what: str, now_us: int, zone: ZoneInfo, started: VersionStart) -> str:
    name = what.strip()
    for version in dict.fromkeys((name, name.removeprefix("version ").strip(), name.removeprefix("v"))):
        if version and started(version) is not None:
            return f"{VERSION_PREFIX}{version}"
    try:
        return _one(name, now_us, zone)
    except RangeError:
        raise RangeError(f"No version “{_short(name)}” has served a request yet. {EXAMPLES}") from None


def _span(text: str) -> str | None:
    """Read "3h", "last 90 minutes" or "last week" as ``3h``, ``90m``, ``1w``."""
    match = _SPAN.fullmatch(text)
    if not match:
        return None
    unit = "M" if match[2] == "M" else _UNIT_WORDS.get(match[2].lower())
    if unit is None or (match[1] is None and not text.lower().startswith(("last ", "past "))):
        return None
    count = int(match[1] or 1)
    return f"{count}{unit}" if count else None


def _canonical(date: str) -> str:
    return date.replace(" ", "T")


def _moment_us(text: str, now_us: int, zone: ZoneInfo, started: VersionStart, *, end: bool) -> int:
    if match := _RELATIVE.fullmatch(text):
        sign, count, unit, floor = match.groups()
        us = (
            now_us
            if unit is None
            else shifted_us(now_us, int(count) * (1 if sign == "+" else -1), unit, zone)
        )
        return us if floor is None else _floored(us, floor, zone)
    if text.startswith(VERSION_PREFIX):
        version = text.removeprefix(VERSION_PREFIX)
        first_us = started(version)
        if first_us is None:
            raise RangeError(f"No version “{_short(version)}” has served a request yet.")
        return first_us
    match = _DATE.fullmatch(text)
    if not match:
        raise RangeError(f"“{_short(text)}” is not a time. {EXAMPLES}")
    date, clock, offset = match.groups()
    if clock is None:
        noon = datetime.fromisoformat(f"{date}T12:00").replace(tzinfo=zone)
        return next_midnight_us(to_us(noon), zone) if end else midnight_us(to_us(noon), zone)
    local = datetime.strptime(f"{date}T{clock}", _clock_format(clock))  # noqa: DTZ007 - the zone follows
    if offset is None:
        return to_us(_end(local, zone) if end else local.replace(tzinfo=zone))
    return to_us(local.replace(tzinfo=timezone.utc)) - _offset_s(offset) * US_PER_S


def _end(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment before which the clocks show no more than a time of day, that excluded.

    Of a time that comes twice it is the second one, but for the first moment of what is repeated: where the
    clocks go back from 03:00 to 02:00, nothing before 02:00 comes twice. A time that is skipped is as long
    after midnight as on other days.
    """
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    just_before = local - timedelta(microseconds=1)
    again = [just_before.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)]
    twice = to_us(second) > to_us(first) and again[0] != again[1]
    return second if twice else first


def _clock_format(clock: str) -> str:
    return "%Y-%m-%dT" + {1: "%H:%M", 2: "%H:%M:%S"}[clock.count(":")] + (".%f" if "." in clock else "")


def _offset_s(offset: str) -> int:
    if offset == "Z":
        return 0
    hours, minutes = int(offset[1:3]), int(offset[4:])
    seconds = hours * 3600 + minutes * 60
    return -seconds if offset[0] == "-" else seconds


def shifted_us(us: int, count: int, unit: str, zone: ZoneInfo) -> int:
    """Return a moment some units later; days and longer keep the time of day (``M`` is a month)."""
    if unit in _ELAPSED_S:
        return us + count * _ELAPSED_S[unit] * US_PER_S
    there = local_time(us, zone)
    local = there.replace(tzinfo=None, fold=0)
    if unit in _MONTHS:
        month = local.year * 12 + local.month - 1 + count * _MONTHS[unit]
        first = datetime(month // 12, month % 12 + 1, 1)  # noqa: DTZ001 - wall clock, given its zone below
        next_month = (first + timedelta(days=32)).replace(day=1)
        moved = local.replace(
            year=first.year, month=first.month, day=min(local.day, (next_month - timedelta(days=1)).day)
        )
    else:
        moved = local + timedelta(days=count * (7 if unit == "w" else 1))
    return to_us(moved.replace(tzinfo=zone, fold=there.fold))


def _floored(us: int, unit: str, zone: ZoneInfo) -> int:
    local = local_time(us, zone)
    if unit == "h":
        # By elapsed time within the hour: the wall clock shows one hour twice when it goes back.
        return us - (local.minute * 60 + local.second) * US_PER_S - local.microsecond
    noon = local.replace(hour=12, minute=0, second=0, microsecond=0, fold=0)
    if unit == "w":
        noon -= timedelta(days=noon.weekday())
    elif unit in _MONTHS:
        noon = noon.replace(day=1, month=1 if unit == "y" else noon.month)
    return midnight_us(to_us(noon), zone)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"  # noqa: PLR2004 - what fits the picker's error line
