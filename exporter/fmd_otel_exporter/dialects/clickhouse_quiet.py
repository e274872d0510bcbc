"""Keeps the driver from telling the app's log of each connection that fails: the worker tells an outage once.

The driver and urllib3 may be used by the monitored app too, and what they say to it is its own business. So
nothing is changed about their loggers but a filter, which drops what is said while our own code calls them.
"""

from __future__ import annotations

import logging
import sys

_LOGGERS = ("clickhouse_connect.driver._backend.http_sync", "urllib3.connectionpool")
_OURS = __name__.rpartition(".")[0] + ".clickhouse"
"""What the names of modules begin with that call the driver, and never the app."""


def keep_quiet() -> None:
    """Drop from now on what is said to us; once more does nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_of_others)


def _is_of_others(_record: logging.LogRecord) -> bool:
    frame = sys._getframe(1)  # noqa: SLF001 # the stack of this thread, without its texts
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_OURS):
            return False
        frame = frame.f_back  # type: ignore[assignment]
    return True
