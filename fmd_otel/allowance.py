"""How much may be kept of something that may come at any rate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_MOST_KEYS = 1024


class Allowance:
    """A bucket of tokens for each key, filled slowly: the first ones are kept, and then one now and again.

    Takes no lock. Where two threads meet, one token may be given away twice, which harms nobody.
    """

    def __init__(self, burst: float, every_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow ``burst`` at once, and one more in every ``every_s`` seconds."""
        self._burst = float(burst)
        self._every_s = every_s
        self._clock = clock
        self._buckets: dict[Hashable, tuple[float, float]] = {}

    def take(self, key: Hashable) -> bool:
        """Take a token for ``key``, if there is one."""
        now = self._clock()
        buckets = self._buckets
        tokens, since = buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - since) / self._every_s)
        if key not in buckets and len(buckets) >= _MOST_KEYS:
            buckets.clear()  # keys are as many as there are kinds of things; so many are made up
        if tokens < 1.0:
            buckets[key] = (tokens, now)
            return False
        buckets[key] = (tokens - 1.0, now)
        return True
