"""One rule for monitor levels, and what a list of them says: *level 0 for* ``static``, *3 for* ``api.*``.

Nothing here needs a database: the rules of a configuration are read before anybody knows which one.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_LEVEL = 3
MOST_RULES = 100
LONGEST_PATTERN = 255
EXAMPLE = "static: 0, api.*: 3"


class LevelRule(NamedTuple):
    """One rule."""

    pattern: str
    """Names of endpoints, with ``*`` and ``?``, separated by commas."""
    level: int
    service: str = ""
    """Whose endpoints; empty for those of all services."""

    def __str__(self) -> str:
        """Return the rule as a configuration words it."""
        return f"{self.pattern}: {self.level}"

    def matches(self, service: str, name: str) -> bool:
        """Tell whether the rule speaks of an endpoint, by the name that the application gives it."""
        return self.service in ("", service) and matches(self.pattern, name)


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name matches one of some patterns, such as ``api.*, static``."""
    return any(fnmatchcase(name, each.strip()) for each in pattern.split(",") if each.strip())


def rule_for(rules: Iterable[LevelRule], service: str, name: str) -> LevelRule | None:
    """Return the rule that decides on an endpoint, if one does."""
    return next((rule for rule in rules if rule.matches(service, name)), None)


def level_for(rules: Iterable[LevelRule], service: str, name: str, default: int) -> int:
    """Return the level of an endpoint that nobody has set one for."""
    rule = rule_for(rules, service, name)
    return default if rule is None else rule.level


def parse_rules(value: Any) -> tuple[LevelRule, ...]:
    """Read the rules of a configuration: ``static: 0, api.*: 3``, or a dictionary of the same.

    Raises:
        ValueError: It holds none, and why.
    """
    pairs = _pairs(value)
    if len(pairs) > MOST_RULES:
        raise ValueError(f"expected {MOST_RULES} rules at most, not {len(pairs)}")
    return tuple(_rule(pattern, level) for pattern, level in pairs)


def _pairs(value: Any) -> Sequence[tuple[Any, Any]]:
    if isinstance(value, str):
        text = value.strip()
        if not text.startswith("{"):
            # The level ends a rule, and so the last colon tells: names of endpoints may have some, too.
            cut = [each.strip().rpartition(":") for each in text.split(",") if each.strip()]
            return [(pattern, level) if colon else (level, None) for pattern, colon, level in cut]
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            value = None
    if not isinstance(value, Mapping):
        raise ValueError(f"expected rules such as {EXAMPLE}")  # noqa: TRY004 # as for settings of any kind
    return list(value.items())


def _rule(pattern: Any, level: Any) -> LevelRule:
    if not isinstance(pattern, str) or not pattern.strip() or len(pattern) > LONGEST_PATTERN:
        raise ValueError(
            f"{pattern!r} names no endpoint: expected a name or a pattern of up to {LONGEST_PATTERN} "
            f"characters, as in {EXAMPLE}"
        )
    if level is None:
        raise ValueError(f"{pattern!r} has no level: expected rules such as {EXAMPLE}")
    number = int(level) if isinstance(level, str) and level.strip().isdecimal() else level
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_LEVEL:
        said = level.strip() if isinstance(level, str) else level
        raise ValueError(
            f"the level of {pattern!r} is {said!r}: expected a whole number from 0 to {MAX_LEVEL}"
        )
    return LevelRule(pattern.strip(), number)
