"""How fast a database grows, and where that leads: by what was measured, or else by the traffic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MEASURED_DAYS = 14
"""A slope is taken over the last so many days."""
_LEAST_DAYS = 2
AHEAD_DAYS = 30


@dataclass(frozen=True)
class Growth:
    """Bytes a day."""

    per_day_bytes: float
    measured: bool
    """Otherwise worked out from how many requests came and what one takes."""


@dataclass(frozen=True)
class Projection:
    """What is to come if traffic stays as it is."""

    sizes: tuple[int, ...]
    """In bytes: today, tomorrow, and so on."""
    levels_off_days: int | None
    """When as much goes every day as comes; None if nothing ever goes."""
    full_days: int | None
    """When the disk is full; None if that is not to be expected."""


def growth(
    history: Sequence[tuple[int, int]], requests_per_day: float, bytes_per_request: float
) -> Growth | None:
    """Return how fast the database grows.

    Args:
        history: number of a day and size, in the order of days.
        requests_per_day: that came lately.
        bytes_per_request: of all that is stored.
    """
    recent = [each for each in history if each[0] >= history[-1][0] - MEASURED_DAYS] if history else []
    if recent and recent[-1][0] - recent[0][0] >= _LEAST_DAYS:
        (first, before), (last, after) = recent[0], recent[-1]
        return Growth((after - before) / (last - first), measured=True)
    if requests_per_day and bytes_per_request:
        return Growth(requests_per_day * bytes_per_request, measured=False)
    return None


def project(  # noqa: PLR0913 # each says another thing about the database
    size_bytes: int,
    per_day_bytes: float,
    *,
    raw_days: int,
    kept_days: float,
    disk_free_bytes: int | None,
    ahead_days: int = AHEAD_DAYS,
) -> Projection:
    """Carry the growth forward until retention takes as much as comes.

    Args:
        size_bytes: of today.
        per_day_bytes: growth.
        raw_days: how long requests are kept; 0 for ever.
        kept_days: age of the oldest.
        disk_free_bytes: beside the database; None where nobody can tell.
        ahead_days: how far to look.
    """
    growing = per_day_bytes if per_day_bytes >= 1 else 0.0
    left = max(0.0, raw_days - kept_days) if raw_days else None
    sizes = tuple(
        round(size_bytes + growing * (day if left is None else min(day, left)))
        for day in range(ahead_days + 1)
    )
    full = None
    if disk_free_bytes is not None and growing > 0:
        days = disk_free_bytes / growing
        if left is None or days <= left:
            full = int(days)
    return Projection(sizes, None if left is None else round(left), full)
