"""Options that commands on a database have in common, and how people write ages and large numbers."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import click

from fmd_otel.cli.problems import told_plainly
from fmd_otel.composition import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate, ParamSpec, TypeVar

    from fmd_otel.settings import Settings

    P = ParamSpec("P")
    R = TypeVar("R")

_HOUR_US = 3600 * 1_000_000
_UNITS_US = {"h": _HOUR_US, "d": 24 * _HOUR_US, "w": 7 * 24 * _HOUR_US, "y": 365 * 24 * _HOUR_US}
_MOST_YEARS = 100
_AGE = re.compile(r"(\d{1,6})\s*([hdwy])", re.IGNORECASE)
_MULTIPLES = {"": 1, "k": 1000, "m": 1_000_000, "g": 1_000_000_000}
_COUNT = re.compile(r"(\d+(?:[_,]\d{3})*|\d*\.\d+)\s*([kmg]?)", re.IGNORECASE)


def on_database(command: Callable[Concatenate[Settings, P], R]) -> Callable[..., R]:
    """Give a command the options that say which database is meant, and call it with the settings in force."""

    @click.option(
        "--database", metavar="URL", help="SQLAlchemy URL of the database the applications write to."
    )
    @click.option("--table-prefix", metavar="PREFIX", help="Beginning of the tables' names.")
    @click.option(
        "--config", metavar="FILE", help="Configuration file; default: the one FMD_OTEL_CONFIG names."
    )
    @functools.wraps(command)
    def run(
        *args: Any, database: str | None, table_prefix: str | None, config: str | None, **options: Any
    ) -> R:
        with told_plainly():
            settings = load_settings(
                {"database": database, "table_prefix": table_prefix, "config": config},
                keyword_origin=lambda keyword: f"option --{keyword.replace('_', '-')}",
            )
            for warning in settings.warnings:
                click.echo(f"Warning: {warning}", err=True)
            return command(settings, *args, **options)

    return run


class Age(click.ParamType[int]):
    """A length of time such as ``14d``, in microseconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        match = _AGE.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r} is no age; write it like 12h, 14d, 8w or 1y", param, ctx)
        age = int(match[1]) * _UNITS_US[match[2].lower()]
        if age > _MOST_YEARS * _UNITS_US["y"]:
            self.fail(f"{value!r} is more than {_MOST_YEARS} years", param, ctx)
        return age


class Count(click.ParamType[int]):
    """A whole number such as ``250000``, ``250_000``, ``250k`` or ``1.5M``."""

    name = "count"

    def __init__(self, most: int) -> None:
        """Allow 1 to ``most``."""
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        match = _COUNT.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r} is no number; write it like 250000, 250k or 1.5M", param, ctx)
        digits, multiple = match[1].replace("_", "").replace(",", ""), _MULTIPLES[match[2].lower()]
        count = round(float(digits) * multiple) if "." in digits else int(digits) * multiple
        if not 1 <= count <= self._most:
            self.fail(f"{value} is not between 1 and {self._most:,}", param, ctx)
        return count
