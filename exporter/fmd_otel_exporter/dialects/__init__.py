"""Everything that differs from database to database, one file each.

``dialect_for`` is the only place that asks which database it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from fmd_otel_exporter.errors import StorageError, safe_url

if TYPE_CHECKING:
    from fmd_otel_exporter.dialects.base import Dialect

_MODULES = {
    "clickhouse": "fmd_otel_exporter.dialects.clickhouse",
    "clickhousedb": "fmd_otel_exporter.dialects.clickhouse",
    "mariadb": "fmd_otel_exporter.dialects.mysql",
    "mysql": "fmd_otel_exporter.dialects.mysql",
    "postgres": "fmd_otel_exporter.dialects.postgresql",
    "postgresql": "fmd_otel_exporter.dialects.postgresql",
    "sqlite": "fmd_otel_exporter.dialects.sqlite",
}


def dialect_for(url: str) -> Dialect:
    """Return what knows how to talk to the database of this URL."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as exc:  # a port that is no number is a ValueError
        raise StorageError(
            f"database {safe_url(url)!r} is no database URL; write it like 'sqlite:///fmd_otel.db' or "
            "'postgresql://user:password@host:5432/name'"
        ) from exc
    backend = parsed.get_backend_name()
    if backend not in _MODULES:
        raise StorageError(
            f"database {safe_url(url)!r}: no support for {backend!r}; "
            f"supported are {', '.join(sorted(_MODULES))}"
        )
    return cast("Dialect", import_module(_MODULES[backend]).create(url, parsed))
