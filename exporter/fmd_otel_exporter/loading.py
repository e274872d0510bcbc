"""Imports what the background thread needs while an application starts, before it has requests.

On that thread it would happen beside the first requests. It gives way to them every few milliseconds, but a
full collection of garbage, which a hundred thousand new objects bring about, gives way to nobody: requests
would wait for it as long as for a slow query. No thread is started here, no file and no connection opened.
"""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

_NEEDED = (
    "opentelemetry.instrumentation.utils",
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
    """Import what it takes to write to a database; what cannot be imported is for the thread to tell.

    Args:
        url: SQLAlchemy URL, whose database's driver is imported as well.
    """
    with suppress(Exception):
        for name in _NEEDED:
            import_module(name)
        from fmd_otel_exporter.dialects import dialect_for  # noqa: PLC0415 # SQLAlchemy
        from fmd_otel_exporter.schema import build_tables  # noqa: PLC0415 # the same

        build_tables()  # SQLAlchemy imports each dialect that a table has options of
        dialect_for(url).write_engine()
