"""What a page compares its range with: an earlier time, an earlier version, or a baseline that was pinned.

Part of the address, and the same for every chart and table of a page: ``?cmp=week``, ``?cmp=version``,
``?cmp=pin&base=2026-11-01~2026-11-03``.

Both sides are cut here, once. What lies ahead has no requests yet, and would make the earlier side look
busier; what both sides shared would be compared with itself; and of versions, the newer side is what the
newer one has served, not what the older one served before it within the same range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from fmd_otel_dash.queries.scope import US_PER_S, Pair, Scope, local_time
from fmd_otel_dash.rangetext import RangeError, VersionStart, moment_us, never_deployed, shifted_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Version
    from fmd_otel_dash.urlstate import UrlState

BETWEEN = "~"
"""Stands between start and end of a baseline in an address; no moment holds it."""
_DAYS = {"day": 1, "week": 7}
_LONGEST_H = {"day": 25, "week": 7 * 24 + 1, "month": 31 * 24 + 1}


@dataclass(frozen=True)
class Comparison:
    """What is compared with what."""

    pairs: tuple[Pair, ...]
    """One pair; of versions, one for each service, since each has versions of its own."""
    words: str
    """What it is compared with, to follow "vs": "previous 24 hours", "version 1.6.0"."""
    of: str = ""
    """What is looked at, where that is less than the page's range and filters: "version 1.7 since 10:00"."""
    versions: bool = False
    """Whether versions are compared: how often they were requested says nothing of them."""


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
        now_us: the present, beyond which there is nothing to compare.
        previous: words for the period of equal length before the range.
        versions: all versions, oldest first; needed for a comparison with one.
        started: when a version first served, for a baseline that begins with one.
    """
    after = scope.until(now_us)
    if state.compare == "prev":
        before = scope.previous()
        return _one(after, before.until(before.start_us + after.length_us), previous)
    if state.compare in _LONGEST_H:
        return _earlier(after, state.compare)
    if state.compare == "version":
        return _previous_versions(after, versions)
    if state.compare == "pin":
        return _pinned(state.baseline, after, now_us, started)
    return None


def chosen_versions(
    scope: Scope, old: str, new: str, versions: Sequence[Version], *, lifetime: bool
) -> tuple[Pair, ...]:
    """Return two chosen versions as pairs: one for each service that has served both.

    Args:
        scope: the range and its filters.
        old: name of the version to compare with.
        new: name of the version in question.
        versions: all versions, oldest first.
        lifetime: whether each is looked at since its first request, whatever the range: the older one may
            have served its last before the range began.
    """
    by_service: dict[str, dict[str, int]] = {}
    for each in versions:
        by_service.setdefault(each.service, {})[each.name] = each.first_us
    both = {service: starts for service, starts in by_service.items() if old in starts and new in starts}

    def side(service: str, name: str, first_us: int) -> Scope:
        start_us = first_us if lifetime else scope.start_us
        end_us = max(scope.end_us, start_us)
        services = (service,) if len(by_service) > 1 else scope.services
        return replace(scope, start_us=start_us, end_us=end_us, versions=(name,), services=services)

    return tuple(
        Pair(side(service, new, starts[new]), side(service, old, starts[old]))
        for service, starts in both.items()
    )


def baseline_problem(state: UrlState, *, now_us: int, scope: Scope, started: VersionStart) -> str:
    """Return why the pinned baseline of an address cannot be used; nothing when it can."""
    if state.compare != "pin":
        return ""
    if not state.baseline:
        return "Nothing is pinned to compare with. Open the range picker and pin a range."
    try:
        start_us, end_us = _moments(state.baseline, scope, now_us, started)
    except RangeError as error:
        return f"The pinned baseline cannot be used: {error}"
    if _overlap(scope.until(now_us), start_us, end_us):
        return "The range overlaps the pinned baseline, so nothing is compared. Show another range."
    return ""


def pinned(start: str, end: str) -> str:
    """Return a range as the address keeps a baseline."""
    return f"{start}{BETWEEN}{end}"


def _one(after: Scope, before: Scope, words: str) -> Comparison:
    return Comparison((Pair(after, before),), words)


def _earlier(after: Scope, name: str) -> Comparison:
    """Return the same time of day so many days, weeks or months earlier that no request is on both sides."""
    times = max(1, after.length_us // (_LONGEST_H[name] * 3600 * US_PER_S))
    while (before := _ago(after, name, times)).end_us > after.start_us:
        times += 1
    return _one(after, before, f"a {name} earlier" if times == 1 else f"{times} {name}s earlier")


def _ago(after: Scope, name: str, times: int) -> Scope:
    zone = after.zone
    if name != "month":
        start_us, end_us = (
            shifted_us(us, -times * _DAYS[name], "d", zone) for us in (after.start_us, after.end_us)
        )
        return replace(after, start_us=start_us, end_us=end_us)
    start_us, end_us = (shifted_us(us, -times, "M", zone) for us in (after.start_us, after.end_us))
    start, moved = local_time(after.start_us, zone), local_time(start_us, zone)
    if start.day != moved.day:  # 29 to 31 March have no counterpart in February: as long a time as they are
        end_us = shifted_us(after.end_us, (moved.date() - start.date()).days, "d", zone)
    return replace(after, start_us=start_us, end_us=end_us)


def _previous_versions(after: Scope, versions: Sequence[Version]) -> Comparison | None:
    """Return each service's newest version against the one before it.

    The newest is that of the versions that were chosen, or of all, that had served by the end of the range;
    it is looked at from its first request on. Its predecessor is looked at for as long as the range is, up to
    its replacement.
    """
    services = dict.fromkeys(each.service for each in versions)
    pairs, told = [], []
    for service in services:
        own = replace(after, services=(service,)) if len(services) > 1 else after
        known = [each for each in versions if each.service == service and each.first_us < after.end_us]
        chosen = [each for each in known if not after.versions or each.name in after.versions]
        if not chosen:
            continue  # there is no request of it
        older = [each for each in known if each.first_us < chosen[-1].first_us]
        if not older:
            pairs.append(Pair(own))
            continue
        newest, before = chosen[-1], older[-1]
        new = replace(own, start_us=max(after.start_us, newest.first_us), versions=(newest.name,))
        start_us = max(before.first_us, newest.first_us - after.length_us)
        old = replace(own, start_us=start_us, end_us=newest.first_us, versions=(before.name,))
        pairs.append(Pair(new, old))
        told.append((newest, before))
    if not told:
        return None
    if len(pairs) > 1:
        words, of = "previous version of each service", "the newest version of each service"
        return Comparison(tuple(pairs), words, of, versions=True)
    ((newest, before),) = told
    return Comparison(tuple(pairs), f"version {before.name}", _since(newest, after), versions=True)


def _since(version: Version, after: Scope) -> str:
    if version.first_us <= after.start_us:
        return f"version {version.name}"
    first = local_time(version.first_us, after.zone)
    return f"version {version.name} since {first.day} {first:%b %H:%M}"


def _pinned(text: str, after: Scope, now_us: int, started: VersionStart) -> Comparison | None:
    try:
        start_us, end_us = _moments(text, after, now_us, started)
    except RangeError:
        return None  # the page says so at its top
    if _overlap(after, start_us, end_us):
        return None  # and likewise
    before = replace(after, start_us=start_us, end_us=end_us).until(now_us)
    return _one(after, before, _words(start_us, end_us, after))


def _overlap(after: Scope, start_us: int, end_us: int) -> bool:
    return start_us < after.end_us and after.start_us < end_us


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
