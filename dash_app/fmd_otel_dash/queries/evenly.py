"""Short windows spread evenly over a range: whatever lies in them stands for all that the range holds.

The newest rows are cheap to read, and say how things are right now. A sample of a long range needs some of
each of its parts, in proportion to what happened in it: windows of one width give that, and a clustered key
finds each of them at once.
"""

from __future__ import annotations

from typing import NamedTuple

from fmd_otel_dash.queries.scope import US_PER_S

_HOUR_US = 3600 * US_PER_S
_DAY_US = 24 * _HOUR_US
_STEPS_US = tuple(
    int(hours * _HOUR_US)
    for hours in (0.25, 0.5, 1, 5, 7, 11, 13, 17, 19, 23, 25, 29, 31, 35, 37, 41, 43, 47, 49, 97, 193, 385)
)
"""Parts of an hour, or hours that share no factor with 24: so far apart, windows meet all hours alike."""
_HOURS = 24


class Window(NamedTuple):
    """A part of a range."""

    start_us: int
    end_us: int
    """The first moment after it."""


def evenly(start_us: int, end_us: int, share: float, most: int) -> tuple[Window, ...]:
    """Return windows that together are a share of a range.

    Args:
        start_us: The range's beginning.
        end_us: Its end.
        share: How much of it they cover; 1 or more is all of it.
        most: How many there are, about; of a range of days, as many as meet all hours of the day alike.
    """
    length_us = end_us - start_us
    if length_us <= 0:
        return ()
    if share >= 1:
        return (Window(start_us, end_us),)
    step_us = -(-length_us // most)
    if length_us > _DAY_US:
        meeting_all = [step for step in _STEPS_US if step * _HOURS <= length_us]
        step_us = next((step for step in meeting_all if step >= step_us), meeting_all[-1])
    width_us = max(int(step_us * share), 1)
    # In the middle of their steps: what comes on the hour is met no more often than all else.
    first_us = start_us + (step_us - width_us) // 2
    return tuple(Window(at_us, min(at_us + width_us, end_us)) for at_us in range(first_us, end_us, step_us))
