"""Keeps a lease while something runs that may take longer than it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fmd_otel_exporter.native import Signal, allocate_lock, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("fmd_otel")


@contextmanager
def kept(renew: Callable[[], object], every_s: float) -> Iterator[None]:
    """Renew something again and again while the block runs, on a thread of its own.

    The block may be a function of the application's, of which nobody knows when it comes back. Nothing is
    renewed any more once the block is over.
    """
    renewing, woken = allocate_lock(), Signal()
    over = False

    def run() -> None:
        from opentelemetry.instrumentation.utils import suppress_instrumentation  # noqa: PLC0415 # on the thread

        with suppress_instrumentation():
            while True:
                woken.wait(every_s)
                with renewing:
                    if over:
                        return
                    try:
                        renew()
                    except Exception:  # it may succeed the next time, before the lease is over
                        logger.debug("fmd-otel could not renew a lease", exc_info=True)

    start_thread(run, "fmd-otel-lease")
    try:
        yield
    finally:
        with renewing:
            over = True
        woken.set()
