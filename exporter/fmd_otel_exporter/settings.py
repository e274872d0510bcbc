"""What the exporter needs to know, checked once, without importing anything heavy."""

from __future__ import annotations

import itertools
import os
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from fmd_otel_exporter.errors import SettingsError, safe_url
from fmd_otel_exporter.level_rule import MAX_LEVEL, LevelRule, parse_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

DEFAULT_DATABASE = "sqlite:///fmd_otel.db"
NO_SQLITE_FILE = re.compile(r"sqlite(\+\w+)?://[^/?].*", re.DOTALL)
"""Two slashes and a name: SQLAlchemy would take the name for a host, and the database for one in memory."""
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,30}")
_SQLITE_FILE = re.compile(r"(?P<scheme>sqlite(?:\+\w+)?:///)(?P<path>[^?]*)(?P<query>\?.*)?", re.DOTALL)

_VARIABLES = {
    "FMD_OTEL_DATABASE": "database",
    "FMD_OTEL_TABLE_PREFIX": "table_prefix",
    "FMD_OTEL_MONITOR_LEVEL": "default_level",
    "FMD_OTEL_MONITOR_RULES": "default_rules",
    "FMD_OTEL_QUEUE_SIZE": "queue_size",
    "FMD_OTEL_BATCH_SIZE": "batch_size",
    "FMD_OTEL_DELAY_MS": "delay_ms",
    "FMD_OTEL_SPOOL_DIR": "spool_dir",
    "FMD_OTEL_SPOOL_MB": "spool_mb",
    "FMD_OTEL_RETENTION_RAW_DAYS": "retention_raw_days",
    "FMD_OTEL_RETENTION_HOURLY_DAYS": "retention_hourly_days",
    "FMD_OTEL_RETENTION_DAILY_DAYS": "retention_daily_days",
}
MOST_DAYS = 36_500
RETENTION_DAYS = {"retention_raw_days": 30, "retention_hourly_days": 90, "retention_daily_days": 0}
"""How long requests, their sums by the hour, and those by the day are kept; 0 is for ever.

From fine to coarse: the coarser must not go before the finer.
"""
_RANGES = {
    "default_level": (0, MAX_LEVEL),
    "queue_size": (1, 1_000_000),
    "batch_size": (1, 10_000),
    "delay_ms": (10, 60_000),
    "spool_mb": (0, 1_000_000),
    **dict.fromkeys(RETENTION_DAYS, (0, MOST_DAYS)),
}


@dataclass(frozen=True)
class ExporterSettings:
    """Where requests go, and how many may wait on the way."""

    database: str = DEFAULT_DATABASE
    table_prefix: str = "fmd"
    default_level: int = 1
    """Monitor level of an endpoint nobody has set one for."""
    default_rules: tuple[LevelRule, ...] = ()
    """What goes before it, for endpoints whose names match."""
    queue_size: int = 8192
    """Most requests that wait for the database; beyond it the oldest are dropped and counted."""
    batch_size: int = 512
    delay_ms: int = 500
    """Longest time a request waits for others to share its transaction."""
    spool_dir: str | None = None
    """Where requests wait on disk; unset: beside a SQLite database, else in the user's state directory."""
    spool_mb: int = 64
    """Most megabytes (of 1,048,576 bytes) that may wait there; 0 keeps requests in memory only."""
    retention_raw_days: int = RETENTION_DAYS["retention_raw_days"]
    retention_hourly_days: int = RETENTION_DAYS["retention_hourly_days"]
    retention_daily_days: int = RETENTION_DAYS["retention_daily_days"]
    reported: str = field(default="", repr=False, compare=False)
    """What this process tells others of its settings, as JSON: ``{"QUEUE_SIZE": ["8192", "default"]}``."""

    def __post_init__(self) -> None:
        """Refuse what cannot work, here rather than in a background thread later."""
        if "://" not in self.database:
            raise SettingsError(
                f"database {safe_url(self.database)!r} is no database URL; write it like "
                f"{DEFAULT_DATABASE!r} or 'postgresql://user:password@host/name'"
            )
        if NO_SQLITE_FILE.fullmatch(self.database):
            raise SettingsError(
                f"database {safe_url(self.database)!r} names no file; write it like {DEFAULT_DATABASE!r}, "
                "with three slashes, or four before an absolute path"
            )
        if not _PREFIX.fullmatch(self.table_prefix):
            raise SettingsError(
                f"table prefix {self.table_prefix!r} cannot begin a table name; use up to 31 letters, digits "
                "and underscores, not starting with a digit"
            )
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise SettingsError(f"{name} is {value!r}; it must be a whole number from {low} to {high}")
        for problem in retention_problems({name: getattr(self, name) for name in RETENTION_DAYS}):
            raise SettingsError(problem)

    def __repr__(self) -> str:
        """Show everything but the password."""
        shown = ", ".join(
            f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr and f.name != "database"
        )
        return f"ExporterSettings(database={safe_url(self.database)!r}, {shown})"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> ExporterSettings:
        """Read the ``FMD_OTEL_*`` variables; an empty one counts as unset."""
        values: dict[str, Any] = {}
        for variable, name in _VARIABLES.items():
            text = environ.get(variable, "").strip()
            if not text:
                continue
            if name == "default_rules":
                try:
                    values[name] = parse_rules(text)
                except ValueError as error:
                    raise SettingsError(f"environment variable {variable}={text!r}: {error}") from None
                continue
            if name not in _RANGES:
                values[name] = text
                continue
            low, high = _RANGES[name]
            try:
                number = int(text)
            except ValueError:
                number = low - 1
            if not low <= number <= high:
                raise SettingsError(
                    f"environment variable {variable}={text!r}: "
                    f"it must be a whole number from {low} to {high}"
                )
            values[name] = number
        return cls(**values)


def retention_problems(days: Mapping[str, int], told: Callable[[str], str] | None = None) -> Iterator[str]:
    """Yield what is wrong with ages that each are possible: sums that go before what they sum up.

    Args:
        days: The three ages.
        told: Names one of them, and its value, as the user knows it.
    """
    told = told or (lambda name: f"{name} ({days[name]})")
    names = list(RETENTION_DAYS)
    for fine, coarse in itertools.pairwise(names):
        if days[coarse] and not 0 < days[fine] <= days[coarse]:
            least = f"{days[fine]} or more, or to 0, which is for ever" if days[fine] else "0"
            for_ever = "" if days[fine] else ", which is for ever"
            yield (
                f"{told(coarse)} is less than {told(fine)}{for_ever}: sums would go before the requests they "
                f"are made of; set it to {least}, or lower the other"
            )


def sqlite_path(database: str) -> str:
    """Return the path in a SQLite URL, letter by letter, and ``:memory:`` where there is none.

    SQLAlchemy decodes ``%20`` in it since 2.1 and did not before; a file must not change its name with a
    release of SQLAlchemy.
    """
    match = _SQLITE_FILE.fullmatch(database)
    return match["path"] or ":memory:" if match else ":memory:"


def absolute_url(database: str) -> str:
    """Return the URL with a relative SQLite path made absolute: a later ``chdir`` moves no database."""
    match = _SQLITE_FILE.fullmatch(database)
    if not match or sqlite_path(database) == ":memory:" or match["path"].startswith("file:"):
        return database
    return f"{match['scheme']}{os.path.abspath(match['path'])}{match['query'] or ''}"  # noqa: PTH100 # no resolving of links
