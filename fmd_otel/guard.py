"""Failures of our own: counted, told once, and never passed on to the application."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("fmd_otel")


class Guard:
    """Where everything that goes wrong in a request is brought.

    One log line for each place, however often it fails: a monitoring tool that fills the log of a busy
    application is an outage of its own.
    """

    def __init__(self) -> None:
        """Begin with no failures."""
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each place has failed."""
        return MappingProxyType(self._counts)

    def count(self, what: str) -> None:
        """Count something that was left undone for a reason of its own; nothing has failed."""
        self._counts[what] += 1

    def failed(self, where: str, error: BaseException) -> None:
        """Count a failure, and log the first one of its place."""
        with contextlib.suppress(Exception):  # a logging handler of the application may raise
            self._counts[where] += 1
            if self._counts[where] == 1:
                logger.warning(
                    "%s failed; requests are served as if nothing had happened, "
                    "and further failures are only counted",
                    where,
                    exc_info=error,
                )
