"""How many requests each subject of a range has sent: what all of them are ranked by.

To find the busiest, all have to be added up. Days and hours that are over hardly ever change, and are most of
the work: what they come to is remembered, in a few bytes a subject, for whoever asks for the same again. So
a page that is looked at twice reads no more than the first and the last hour of its range the second time.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from heapq import nlargest
from threading import Lock
from typing import TYPE_CHECKING, TypeVar, cast
from weakref import WeakKeyDictionary

from fmd_otel_exporter.subject_packs import read_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence, Sized

    from sqlalchemy import Row

    from fmd_otel_dash.queries.plan import Segment
    from fmd_otel_dash.queries.subject_sources import SubjectPlan
    from fmd_otel_exporter.store import Store

T = TypeVar("T", bound="Sized")

_FEW = 50
MOST_REMEMBERED = 1_000_000
"""Subjects remembered for one store, at 32 bytes each."""


@dataclass(frozen=True)
class Ranked:
    """One subject's place."""

    id: int
    n: int
    errors: int
    sum_us: int


class Ranks:
    """Requests of each subject, as columns: a hundred thousand of them are a few megabytes."""

    def __init__(self) -> None:
        """Know nobody."""
        self._place: dict[int, int] = {}
        self._n, self._errors, self._sum_us = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        """Return how many subjects there are."""
        return len(self._place)

    def copy(self) -> Ranks:
        """Return the same, to be added to."""
        other = Ranks()
        other._place = self._place.copy()
        other._n, other._errors, other._sum_us = self._n[:], self._errors[:], self._sum_us[:]
        return other

    def rows(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield what to add, to have the same again."""
        return zip(self._place, self._n, self._errors, self._sum_us, strict=True)

    def add(self, rows: Iterable[Row[int, int, int, int] | tuple[int, int, int, int]]) -> Ranks:
        """Add rows of a subject and its requests, errors and microseconds; returns itself."""
        place, n, errors, sum_us = self._place, self._n, self._errors, self._sum_us
        for subject, more_n, more_errors, more_us in rows:
            at = place.get(subject)
            if at is None:
                place[subject] = len(n)
                n.append(more_n)
                errors.append(more_errors)
                sum_us.append(more_us)
            else:
                n[at] += more_n
                errors[at] += more_errors
                sum_us[at] += more_us
        return self

    def total(self, whose: Container[int] | None) -> tuple[int, int]:
        """Return how many subjects there are, of those that count, and their requests."""
        if whose is None:
            return len(self), sum(self._n)
        found = [self._n[at] for subject, at in self._place.items() if subject in whose]
        return len(found), sum(found)

    def busiest(self, whose: Container[int] | None, limit: int, offset: int) -> list[Ranked]:
        """Return some of those that count, busiest first; of equals, the one that was known first."""
        if whose is None:
            counted: Iterable[tuple[int, int]] = zip(self._place, self._n, strict=True)
            numbers: Sequence[int] = self._n
        else:
            counted = [(subject, self._n[at]) for subject, at in self._place.items() if subject in whose]
            numbers = [n for _, n in counted]
        # Who sent how many is told apart by numbers alone at first: most are out of the question.
        least = min(_largest(numbers, offset + limit), default=0)
        # Whoever has the same number comes in the order of ids, by its sign.
        best = sorted(((n, -subject) for subject, n in counted if n >= least), reverse=True)
        return [self._of(-subject) for _, subject in best[offset : offset + limit]]

    def some(self, whose: Iterable[int]) -> list[Ranked]:
        """Return those of some subjects that are known."""
        return [self._of(subject) for subject in whose if subject in self._place]

    def _of(self, subject: int) -> Ranked:
        at = self._place[subject]
        return Ranked(subject, self._n[at], self._errors[at], self._sum_us[at])


def _largest(some: Sequence[int], n: int) -> list[int]:
    """Return the largest; by sorting all, where a heap of so many would take longer."""
    return nlargest(n, some) if n * _FEW < len(some) else sorted(some, reverse=True)[:n]


class Remembered:
    """Ranks of days that are over, those asked for last; safe to share between threads."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        """Remember up to so many subjects in all."""
        self._most = most
        self._lock = Lock()
        self._known: OrderedDict[Hashable, Sized] = OrderedDict()

    def get(self, key: Hashable) -> Sized | None:
        """Return what is remembered under a key."""
        with self._lock:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
            return found

    def put(self, key: Hashable, value: Sized) -> None:
        """Remember something, which nobody may change from now on."""
        with self._lock:
            self._known[key] = value
            while len(self._known) > 1 and sum(map(len, self._known.values())) > self._most:
                self._known.popitem(last=False)


_REMEMBERED: WeakKeyDictionary[Store, Remembered] = WeakKeyDictionary()


def ranks(store: Store, where: SubjectPlan) -> Ranks:
    """Add up all subjects of a plan."""
    stamps = [(segment, where.stamp(segment)) for segment in where.raw]
    over = tuple((segment, stamp) for segment, stamp in stamps if stamp is not None)

    def of_what_is_over() -> Ranks:
        hours = [remembered(store, stamp, partial(_of_raw, where, segment)) for segment, stamp in over]
        return _together(_of_days(store, where), hours)

    found = remembered(store, (where.over, over), of_what_is_over) if over else of_what_is_over()
    return _together(found, [_of_raw(where, segment) for segment, stamp in stamps if stamp is None])


def _together(first: Ranks, others: Sequence[Ranks]) -> Ranks:
    """Return the ranks of all together; of none but the first, itself, which nobody may change."""
    if not others:
        return first
    found = first.copy()
    for other in others:
        found.add(other.rows())
    return found


def remembered(store: Store, key: Hashable | None, compute: Callable[[], T]) -> T:
    """Return what is remembered under a key, computed where it is not; without a key, computed each time."""
    if key is None:
        return compute()
    known = _REMEMBERED.setdefault(store, Remembered())
    found = cast("T | None", known.get(key))
    if found is None:
        found = compute()
        known.put(key, found)
    return found


def _of_raw(where: SubjectPlan, segment: Segment) -> Ranks:
    return Ranks().add(where.view.conn.execute(where.counts_of_raw(segment)))


def _of_days(store: Store, where: SubjectPlan) -> Ranks:
    if not where.days:
        return Ranks()
    return remembered(store, where.over, partial(_of_days_anew, where))


def _of_days_anew(where: SubjectPlan) -> Ranks:
    found = Ranks().add(where.view.conn.execute(where.counts_of_days()))
    for counts in where.view.conn.scalars(where.packed_counts()):
        found.add(read_counts(counts))
    return found
