"""Imports what the background thread needs without having requests wait for the garbage collector.

The thread gives way to requests every few milliseconds, but a collection gives way to nobody: it goes through
all objects of the process, and the hundred thousand that imports make bring one about that lasts as long as a
slow query. They are there for good, so that nothing is gained by it.
"""

from __future__ import annotations

import gc
import os
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEEDED = (
    "fmd_otel_exporter.spool",
    "fmd_otel_exporter.store",
    "fmd_otel_exporter.writer",
    "fmd_otel_exporter.detail_writer",
    "fmd_otel_exporter.averages",
    "fmd_otel_exporter.heartbeat",
    "fmd_otel_exporter.maintainer",
)
"""With what they import. Alembic is not among them: it is needed once in the life of a database."""


def load(url: str) -> None:
    """Import what it takes to write to a database; what cannot be imported is for its user to tell.

    Args:
        url: SQLAlchemy URL, whose database's driver is imported as well. Nothing is opened.
    """
    with made_for_good(), suppress(Exception):
        for name in _NEEDED:
            import_module(name)
        from fmd_otel_exporter.dialects import dialect_for  # noqa: PLC0415 # SQLAlchemy
        from fmd_otel_exporter.schema import build_tables  # noqa: PLC0415 # the same

        build_tables()  # SQLAlchemy imports each dialect that a table has options of
        dialect_for(url).write_engine()


@contextmanager
def made_for_good() -> Iterator[None]:
    """Have the garbage collector pass over what is made within, for some seconds at the most.

    What other threads make meanwhile is not collected before the next full collection, either, if it is still
    alive in the end. Where the application has plans of its own with the collector, nothing is done.
    """
    has_plans = not gc.isenabled() or not hasattr(gc, "freeze") or gc.get_freeze_count() > 0
    if has_plans:
        yield
        return
    off = [True]

    def on_again() -> None:
        # Whatever is frozen and thawed counts as old, and not as new, many of which make a collection due.
        if off:
            off.clear()
            gc.freeze()
            gc.unfreeze()
            gc.enable()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=on_again)
    gc.disable()
    try:
        yield
    finally:
        on_again()
