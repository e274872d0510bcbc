"""What a page compares its range with: an earlier time, an earlier version, or a baseline that was pinned.

Part of the address, and the same for every chart and table of a page: ``?cmp=week``, ``?cmp=version``,
``?cmp=pin&base=2026-11-01~2026-11-03``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.rangetext import RangeError, VersionStart, moment_us, never_deployed, shifted_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Version
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.urlstate import UrlState

BETWEEN = "~"
"""Stands between start and end of a baseline in an address; no moment holds it."""
_DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True)
class Comparison:
    """What to compare with."""

    scope: Scope
    words: str
    """What it is, to follow "vs": "previous 24 hours", "version 1.6.0"."""


def compared(  # noqa: PLR0913 # a comparison with a version needs versions, one with the past the present
    state: UrlState,
    scope: Scope,
    *,
    now_us: int,
    previous: str,
    versions: Sequence[Version] = (),
    started: VersionStart = never_deployed,
) -> Comparison | None:
    """Return what to compare a scope with, if the address asks for it and there is such a thing.

    Args:
        state: the address.
        scope: what it shows.
        now_us: the present, for a baseline that moves.
        previous: words for the period of equal length before the range.
        versions: all versions, oldest first; needed for a comparison with one.
        started: when a version first served, for a baseline that begins with one.
    """
    if state.compare == "prev":
        return Comparison(scope.previous(), previous)
    if state.compare in _DAYS:
        return Comparison(_earlier(scope, -_DAYS[state.compare], "d"), f"a {state.compare} earlier")
    if state.compare == "month":
        return Comparison(_earlier(scope, -1, "M"), "a month earlier")
    if state.compare == "version":
        return _previous_version(scope, versions)
    if state.compare == "pin":
        return _pinned(state.baseline, scope, now_us, started)
    return None


def baseline_problem(state: UrlState, *, now_us: int, scope: Scope, started: VersionStart) -> str:
    """Return why the pinned baseline of an address cannot be used; nothing when it can."""
    if state.compare != "pin":
        return ""
    if not state.baseline:
        return "Nothing is pinned to compare with. Open the range picker and pin a range."
    try:
        _moments(state.baseline, scope, now_us, started)
    except RangeError as error:
        return f"The pinned baseline cannot be used: {error}"
    return ""


def pinned(start: str, end: str) -> str:
    """Return a range as the address keeps a baseline."""
    return f"{start}{BETWEEN}{end}"


def _earlier(scope: Scope, count: int, unit: str) -> Scope:
    start_us, end_us = (shifted_us(us, count, unit, scope.zone) for us in (scope.start_us, scope.end_us))
    return replace(scope, start_us=start_us, end_us=end_us)


def _previous_version(scope: Scope, versions: Sequence[Version]) -> Comparison | None:
    """Return the version before the one that is looked at, for as long as the range is.

    What is looked at is the newest of the versions that were chosen, or the newest of all; and of its
    predecessor, the time until it was replaced.
    """
    chosen = [each for each in versions if not scope.versions or each.name in scope.versions]
    if not chosen:
        return None
    newest = chosen[-1]
    older = [each for each in versions if each.service == newest.service and each.first_us < newest.first_us]
    if not older:
        return None
    before = older[-1]
    start_us = max(before.first_us, newest.first_us - scope.length_us)
    return Comparison(
        replace(scope, start_us=start_us, end_us=newest.first_us, versions=(before.name,)),
        f"version {before.name}",
    )


def _pinned(text: str, scope: Scope, now_us: int, started: VersionStart) -> Comparison | None:
    try:
        start_us, end_us = _moments(text, scope, now_us, started)
    except RangeError:
        return None  # the page says so at its top
    return Comparison(replace(scope, start_us=start_us, end_us=end_us), _words(start_us, end_us, scope))


def _words(start_us: int, end_us: int, scope: Scope) -> str:
    start, end = (local_time(us, scope.zone) for us in (start_us, end_us))
    if not (start.hour or start.minute or end.hour or end.minute):
        last = end - timedelta(days=1)
        if start.date() == last.date():
            return f"{start.day} {start:%b %Y}"
        return f"{start.day} {start:%b} – {last.day} {last:%b %Y}"
    return f"{start.day} {start:%b %H:%M} – {end.day} {end:%b %H:%M}"


def _moments(text: str, scope: Scope, now_us: int, started: VersionStart) -> tuple[int, int]:
    start, between, end = text.partition(BETWEEN)
    if not between:
        raise RangeError(f"“{text[:60]}” is not a range; write two moments with {BETWEEN} between them.")
    start_us = moment_us(start, now_us=now_us, zone=scope.zone, started=started)
    end_us = moment_us(end, now_us=now_us, zone=scope.zone, end=True, started=started)
    if start_us >= end_us:
        raise RangeError(f"“{text[:60]}” ends before it starts.")
    return start_us, end_us
