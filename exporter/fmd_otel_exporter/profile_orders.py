"""*Profile the next request*: what the dashboard has ordered, as this process knows it.

Every process profiles one request of such an endpoint, the first one it gets, since nobody knows whose turn
is next; the first such profile to reach the database is the one that counts, and there it ends the order (see
:func:`.claim_profile`). So the very next request is profiled, and one profile is kept.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_REMEMBER_S = 60.0
"""How long an order counts as being carried out here, should no profile come of it."""

Name = tuple[str, str]
"""Service and endpoint."""


class ProfileOrders:
    """Told by the background thread, asked by request threads; without a lock."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """Begin with none."""
        self._open: dict[Name, None] = {}
        self._taken: dict[Name, float] = {}
        self._timer = timer

    def take(self, service: str, endpoint: str) -> bool:
        """Tell whether this request is to be profiled; the one that is told so is the only one here."""
        if not self._open:
            return False
        name = (service, endpoint)
        if name not in self._open:
            return False
        self._taken[name] = self._timer()
        try:
            del self._open[name]
        except KeyError:  # another thread was quicker
            return False
        return True

    def update(self, ordered: Collection[Name]) -> None:
        """Learn what is ordered now."""
        now = self._timer()
        for name, at in list(self._taken.items()):
            if name not in ordered or now - at > _REMEMBER_S:
                self._taken.pop(name, None)
        for name in list(self._open):
            if name not in ordered:
                self._open.pop(name, None)
        for name in ordered:
            if name not in self._taken:
                self._open[name] = None
