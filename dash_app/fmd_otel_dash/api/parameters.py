"""Parameters of the API: what they may be, and what is said when they are not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import urlstate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.rangetext import VersionStart

_MAX_TEXT = 200


class BadRequestError(ValueError):
    """A request that cannot be answered as it is; the message names the parameter, the value, the remedy."""


@dataclass(frozen=True)
class Parameter:
    """One query parameter."""

    name: str
    description: str
    schema: Mapping[str, Any]
    parse: Callable[[str], Any]
    default: Any = None
    repeatable: bool = False

    def read(self, values: Sequence[str]) -> Any:
        """Return the value that was given, or the default.

        Raises:
            BadRequestError: It cannot be used.
        """
        if not values:
            return () if self.repeatable else self.default
        if self.repeatable:
            return tuple(self._parsed(value) for value in values)
        if len(values) > 1:
            raise BadRequestError(f"{self.name} is given {len(values)} times; give it once")
        return self._parsed(values[0])

    def _parsed(self, text: str) -> Any:
        if len(text) > _MAX_TEXT:
            raise BadRequestError(f"{self.name} is longer than {_MAX_TEXT} characters")
        try:
            return self.parse(text)
        except ValueError as error:
            raise BadRequestError(f"{self.name}={text!r}: {error}") from None


def text(name: str, description: str, *, repeatable: bool = False) -> Parameter:
    """Return a parameter of any text but none at all."""

    def parse(value: str) -> str:
        if not value:
            raise ValueError("leave it out rather than empty")
        return value

    schema = {"type": "string", "minLength": 1, "maxLength": _MAX_TEXT}
    return Parameter(name, description, schema, parse, repeatable=repeatable)


def integer(name: str, description: str, *, least: int, most: int, default: int | None = None) -> Parameter:
    """Return a whole number within bounds."""

    def parse(value: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise ValueError("not a whole number")
        number = int(value)
        if not least <= number <= most:
            raise ValueError(f"not between {least:,} and {most:,}")
        return number

    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    if default is not None:
        schema["default"] = default
    return Parameter(name, description, schema, parse, default)


def choice(name: str, description: str, values: Sequence[str], default: str) -> Parameter:
    """Return one of a few words."""

    def parse(value: str) -> str:
        if value not in values:
            raise ValueError(f"not one of {', '.join(values)}")
        return value

    return Parameter(
        name, description, {"type": "string", "enum": list(values), "default": default}, parse, default
    )


def percents(name: str, description: str, default: tuple[float, ...]) -> Parameter:
    """Return percentages between 0 and 100, separated by commas."""

    def parse(value: str) -> tuple[float, ...]:
        parts = value.split(",")
        if len(parts) > 20 or not all(re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", part) for part in parts):  # noqa: PLR2004
            raise ValueError("write up to 20 numbers between 0 and 100, like 50,95,99.9")
        return tuple(dict.fromkeys(float(part) for part in parts))

    pattern = r"^[0-9]{1,2}(\.[0-9]{1,3})?(,[0-9]{1,2}(\.[0-9]{1,3})?){0,19}$"
    shown = ",".join(f"{each:g}" for each in default)
    return Parameter(
        name, description, {"type": "string", "pattern": pattern, "default": shown}, parse, default
    )


FROM = text("from", "Start: `now-24h`, `now/d`, `2026-11-01`, `2026-11-01T09:00Z` or `version:1.7.0`.")
TO = text("to", "End, likewise.")
TIMEZONE = text("tz", "Zone of dates and days: `Europe/Amsterdam`. Default: the setting TIMEZONE, else UTC.")
ENDPOINT = integer("endpoint", "Only this endpoint, by its `id`.", least=1, most=2**31 - 1)
VERSION = text("version", "Only this version; repeatable.", repeatable=True)
SERVICE = text("service", "Only this service; repeatable.", repeatable=True)
FORMAT = choice("format", "Form of the answer.", ("json", "csv"), "json")
RANGE = (FROM, TO, TIMEZONE, ENDPOINT, VERSION, SERVICE, FORMAT)


def scope_of(
    given: Mapping[str, Any], *, now_us: int, default_tz: str | None, started: VersionStart
) -> Scope:
    """Return the scope that range and filters describe.

    Raises:
        BadRequestError: The range or the zone cannot be understood.
    """
    state = urlstate.UrlState(
        start=given["from"] or urlstate.DEFAULT_START,
        end=given["to"] or urlstate.DEFAULT_END,
        tz=given["tz"] or "",
        versions=given["version"],
        services=given["service"],
    )
    window = urlstate.resolve(state, now_us=now_us, default_tz=default_tz, started=started)
    if window.problem:
        raise BadRequestError(window.problem.partition(" Showing")[0])
    endpoint = given["endpoint"]
    return window.scope(state, endpoint_ids=() if endpoint is None else (endpoint,))
