"""The address of a page is its whole state: range, zone, comparison, filters.

``?from=now-24h&to=now&tz=Europe/Amsterdam&cmp=prev&v=1.7.0&svc=shop``. Pure: text in, frozen values out, so
that a link, a reload and the back button all show the same thing. What equals the default is left out of the
address.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo, available_timezones

from fmd_otel_dash.queries.scope import US_PER_S, Scope, local_time
from fmd_otel_dash.rangetext import (
    VERSION_PREFIX,
    RangeError,
    VersionStart,
    is_civil,
    is_relative,
    moment_us,
    never_deployed,
    parse_text,
    utc_moment,
)

DEFAULT_START = "now-24h"
DEFAULT_END = "now"
COMPARISONS = {
    "prev": "previous period",
    "day": "a day earlier",
    "week": "a week earlier",
    "month": "a month earlier",
    "version": "previous version",
    "pin": "pinned baseline",
    "off": "no comparison",
}
REFRESHES = {"": 0, "10s": 10, "1m": 60, "5m": 300}
QUICK_RANGES = (
    ("Last 15 minutes", "now-15m", "now"),
    ("Last hour", "now-1h", "now"),
    ("Last 3 hours", "now-3h", "now"),
    ("Last 24 hours", "now-24h", "now"),
    ("Last 7 days", "now-7d", "now"),
    ("Last 30 days", "now-30d", "now"),
    ("Today", "now/d", "now"),
    ("Yesterday", "now-1d/d", "now/d"),
)

_LABELS = {(start, end): label for label, start, end in QUICK_RANGES} | {
    ("now/w", "now"): "This week",
    ("now-1w/w", "now/w"): "Last week",
    ("now/M", "now"): "This month",
    ("now-1M/M", "now/M"): "Last month",
    ("now/y", "now"): "This year",
}
_OWN = ("from", "to", "tz", "cmp", "base", "refresh", "v", "svc")
_MAX_TEXT = 200
_MAX_PAIRS = 64
_UNIT_NAMES = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "M": "month", "y": "year"}
_SMALLEST_US = US_PER_S
_LONGEST_US = 20 * 366 * 86_400 * US_PER_S


@dataclass(frozen=True)
class UrlState:
    """What an address says, unresolved: ``now-24h`` is still ``now-24h``."""

    start: str = DEFAULT_START
    end: str = DEFAULT_END
    tz: str = ""
    """A zone's name; empty for the setting's, else the browser's."""
    compare: str = "prev"
    baseline: str = ""
    """The range that was pinned to compare with: two moments, see :mod:`fmd_otel_dash.comparison`."""
    refresh: str = ""
    versions: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    extra: tuple[tuple[str, str], ...] = ()
    """A page's own parameters, in the order of the address."""

    def get(self, name: str, default: str = "") -> str:
        """Return the first of a page's own parameters of that name."""
        return next((value for key, value in self.extra if key == name), default)

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return all of a page's own parameters of that name."""
        return tuple(value for key, value in self.extra if key == name)

    def with_extra(self, name: str, *values: str) -> UrlState:
        """Return the state with one of the page's own parameters replaced; no value removes it."""
        kept = tuple(pair for pair in self.extra if pair[0] != name)
        return replace(self, extra=kept + tuple((name, value) for value in values))

    def with_range(self, start: str, end: str, zone: str = "") -> UrlState:
        """Return the state with another range; wall-clock times take along the zone they were read in."""
        civil = is_civil(start) or is_civil(end)
        return replace(self, start=start, end=end, tz=(self.tz or zone) if civil else self.tz)

    @property
    def has_range(self) -> bool:
        """Whether a range was asked for; without one a page shows the last 24 hours."""
        return (self.start, self.end) != (DEFAULT_START, DEFAULT_END)

    @property
    def relative(self) -> bool:
        """Whether the range moves with the clock: only then is there something to refresh."""
        return is_relative(self.end)


@dataclass(frozen=True)
class Window:
    """A state resolved at one moment: what to query, and what was wrong with the address."""

    start_us: int
    end_us: int
    tz: str
    problem: str = ""
    """For the person: which value could not be used, and what is shown instead."""

    def scope(self, state: UrlState, *, endpoint_ids: tuple[int, ...] = ()) -> Scope:
        """Return the scope of the range and the state's filters."""
        return Scope(self.start_us, self.end_us, self.tz, state.services, endpoint_ids, state.versions)


def parse(search: str) -> UrlState:
    """Read the query part of an address; never raises, since anybody may type anything there."""
    found: dict[str, list[str]] = {}
    extra: list[tuple[str, str]] = []
    for key, value in _pairs(search):
        if key in _OWN:
            found.setdefault(key, []).append(value)
        else:
            extra.append((key, value))

    def one(key: str, default: str) -> str:
        return found.get(key, [default])[-1].strip() or default

    compare, refresh = one("cmp", "prev"), one("refresh", "")
    return UrlState(
        start=one("from", DEFAULT_START),
        end=one("to", DEFAULT_END),
        tz=one("tz", ""),
        compare=compare if compare in COMPARISONS else "prev",
        baseline=one("base", ""),
        refresh=refresh if refresh in REFRESHES else "",
        versions=tuple(dict.fromkeys(found.get("v", ()))),
        services=tuple(dict.fromkeys(found.get("svc", ()))),
        extra=tuple(extra),
    )


@lru_cache(maxsize=4096)
def format_search(state: UrlState) -> str:
    """Write a state as the query part of an address, ``?`` included; nothing when all is default.

    Remembered: all links of a page carry the same.
    """
    default = UrlState()
    pairs: list[tuple[str, str]] = []
    if (state.start, state.end) != (default.start, default.end):
        pairs += [("from", state.start), ("to", state.end)]
    if state.tz:
        pairs.append(("tz", state.tz))
    if state.compare != default.compare:
        pairs.append(("cmp", state.compare))
    if state.baseline:
        pairs.append(("base", state.baseline))
    if state.refresh:
        pairs.append(("refresh", state.refresh))
    pairs += [("v", version) for version in state.versions]
    pairs += [("svc", service) for service in state.services]
    pairs += state.extra
    return "?" + urlencode(pairs, safe=":/,~") if pairs else ""


def resolve(
    state: UrlState,
    *,
    now_us: int,
    default_tz: str | None = None,
    browser_tz: str | None = None,
    started: VersionStart = never_deployed,
) -> Window:
    """Return what the state means at one moment.

    A value that cannot be used is replaced by its default and named in ``problem``: a mistyped link still
    shows something, and says what it does not show.
    """
    tz, problem = _zone(state.tz, default_tz, browser_tz)
    zone = ZoneInfo(tz)

    def at(moment: str, *, end: bool = False) -> int:
        return moment_us(moment, now_us=now_us, zone=zone, end=end, started=started)

    try:
        start_us, end_us = at(state.start), at(state.end, end=True)
        _check_length(state, end_us - start_us)
    except RangeError as error:
        start_us, end_us = at(DEFAULT_START), at(DEFAULT_END, end=True)
        problem = f"{error} Showing the last 24 hours instead."
    return Window(start_us, end_us, tz, problem)


def previous_label(state: UrlState) -> str:
    """Return what the period before the range is, in a few words: "previous 24 hours"."""
    if state.end == DEFAULT_END and state.start.startswith("now-") and state.start[4:-1].isdigit():
        return _span_label(int(state.start[4:-1]), state.start[-1]).replace("Last", "previous")
    return "previous period"


def with_text(
    state: UrlState, text: str, *, now_us: int, tz: str, started: VersionStart = never_deployed
) -> UrlState:
    """Return the state with the range that a person typed.

    Raises:
        RangeError: it cannot be understood.
    """
    start, end = parse_text(text, now_us=now_us, zone=ZoneInfo(tz), started=started)
    return state.with_range(start, end, tz)


def shifted(state: UrlState, window: Window, direction: int) -> UrlState:
    """Return the state moved by its own length, ``-1`` back or ``1`` forward; the range is fixed then."""
    step = direction * (window.end_us - window.start_us)
    return state.with_range(
        utc_moment(max(0, window.start_us + step)), utc_moment(max(0, window.end_us + step))
    )


def zoomed_out(state: UrlState, window: Window, now_us: int) -> UrlState:
    """Return the state with a range twice as long around the same middle, but not into the future."""
    length = window.end_us - window.start_us
    if state.relative and state.end == DEFAULT_END:
        return state.with_range(f"now-{_compact_s(max(1, 2 * length // US_PER_S))}", DEFAULT_END)
    end_us = min(window.end_us + length // 2, max(now_us, window.end_us))
    return state.with_range(utc_moment(max(0, end_us - 2 * length)), utc_moment(end_us))


def label(state: UrlState, window: Window) -> str:
    """Return the range as a person would say it: "Last 24 hours", "1 Nov, 13:00 – 3 Nov 2026"."""
    known = _LABELS.get((state.start, state.end))
    if known and not window.problem:
        return known
    if window.problem and "Showing" in window.problem:
        return _LABELS[DEFAULT_START, DEFAULT_END]
    if state.end == DEFAULT_END and state.start.startswith("now-") and state.start[4:-1].isdigit():
        return _span_label(int(state.start[4:-1]), state.start[-1])
    if state.end == DEFAULT_END and state.start.startswith(VERSION_PREFIX):
        return f"Since {state.start.removeprefix(VERSION_PREFIX)}"
    return _between(window)


def _compact_s(seconds: int) -> str:
    """Write an elapsed time in the largest unit that loses less than a twentieth: ``172800`` is ``48h``."""
    for size, unit in ((3600, "h"), (60, "m")):
        if seconds % size == 0 or seconds >= 20 * size:
            return f"{round(seconds / size)}{unit}"
    return f"{seconds}s"


def _check_length(state: UrlState, length_us: int) -> None:
    if length_us < _SMALLEST_US:
        raise RangeError(f"The range “{state.start} to {state.end}” ends before it starts.")
    if length_us > _LONGEST_US:
        raise RangeError(f"The range “{state.start} to {state.end}” is longer than 20 years.")


def _span_label(count: int, unit: str) -> str:
    for larger, size in (("m", 60), ("h", 60), ("d", 24)):
        if _UNIT_NAMES[unit] == {"m": "second", "h": "minute", "d": "hour"}[larger] and count % size == 0:
            if larger == "d" and count < 2 * size:
                break
            count, unit = count // size, larger
    return f"Last {_UNIT_NAMES[unit]}" if count == 1 else f"Last {count} {_UNIT_NAMES[unit]}s"


def _between(window: Window) -> str:
    zone = ZoneInfo(window.tz)
    start, end = local_time(window.start_us, zone), local_time(window.end_us, zone)
    if start.time() == end.time() == datetime.min.time():
        last = end - timedelta(days=1)
        if start.date() == last.date():
            return f"{start:%a} {start.day} {start:%b %Y}"
        first = f"{start.day} {start:%b}" + (f" {start.year}" if start.year != last.year else "")
        return f"{first} – {last.day} {last:%b %Y}"
    if start.date() == end.date():
        return f"{start.day} {start:%b %Y}, {start:%H:%M} – {end:%H:%M}"
    year = f" {start.year}" if start.year != end.year else ""
    return f"{start.day} {start:%b}{year}, {start:%H:%M} – {end.day} {end:%b %Y}, {end:%H:%M}"


def _pairs(search: str) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(search.removeprefix("?"), keep_blank_values=False, max_num_fields=_MAX_PAIRS)
    except ValueError:
        return []
    return [(key, value) for key, value in pairs if len(key) <= _MAX_TEXT and len(value) <= _MAX_TEXT]


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _zone(wanted: str, *fallbacks: str | None) -> tuple[str, str]:
    usable = next((tz for tz in fallbacks if tz and tz in _zones()), "UTC")
    if not wanted or wanted in _zones():
        return wanted or usable, ""
    return usable, (
        f"“{wanted[:40]}” is not a time zone; times are in {usable}. Use a name such as Europe/Amsterdam."
    )
