"""How many requests are profiled of an endpoint that has very many of them.

Each profile costs its writer about half a millisecond and the database a few hundred bytes. Of a thousand
requests a second nobody looks at every single profile, and ten of them a second show the same picture as all.
Which ones are taken does not depend on what they do, so that sums over them stay true.
"""

from __future__ import annotations

from time import monotonic

BURST_S = 10.0
"""So many seconds' worth is taken at once after a quiet time: where there is little traffic, all of it is."""


class Admission:
    """One endpoint's allowance in one process."""

    __slots__ = ("_at_s", "_left", "_most", "_rate")

    def __init__(self, rate: float) -> None:
        """Allow so many a second; 0 allows all."""
        self._rate = rate
        self._most = self._left = max(rate * BURST_S, 1.0)
        self._at_s = monotonic()

    def take(self) -> bool:
        """Tell whether one more is allowed."""
        if not self._rate:
            return True
        now_s = monotonic()
        self._left = min(self._left + (now_s - self._at_s) * self._rate, self._most)
        self._at_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def give_back(self) -> None:
        """Take note that there was nothing to keep of one that had been allowed."""
        self._left = min(self._left + 1.0, self._most)
