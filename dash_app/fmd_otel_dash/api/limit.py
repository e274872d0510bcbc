"""So many requests in a while for each caller, counted in this process."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WRONG_TOKENS = 10
"""Wrong tokens from one client at once, and then one each half minute."""
WRONG_TOKENS_PER_S = 1 / 30
MOST = 120
"""Requests at once, and then as many each minute."""
PER_S = 2.0
_MOST_CALLERS = 1000


class Limit:
    """A token bucket for each caller; the callers longest unseen are forgotten."""

    def __init__(
        self, most: int = MOST, per_s: float = PER_S, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Allow ``most`` at once, refilled at ``per_s``."""
        self._most = most
        self._per_s = per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> int:
        """Count a request; return for how many seconds the caller has to wait, 0 if it may go ahead."""
        with self._lock:
            now = self._clock()
            left, at = self._left.pop(caller, (float(self._most), now))
            left = min(float(self._most), left + (now - at) * self._per_s)
            allowed = left >= 1
            self._left[caller] = (left - 1 if allowed else left, now)
            while len(self._left) > _MOST_CALLERS:
                self._left.popitem(last=False)
        return 0 if allowed else max(1, math.ceil((1 - left) / self._per_s))

    def give_back(self, caller: str) -> None:
        """Take a request out of the count again."""
        with self._lock:
            if caller in self._left:
                left, at = self._left[caller]
                self._left[caller] = (min(float(self._most), left + 1), at)
