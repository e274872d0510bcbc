"""Monitor levels by rule: *level 0 for* ``static``, *3 for* ``api.*``.

The rules are a list, and the first one that matches an endpoint decides. A level that somebody has set on an
endpoint by hand is *pinned* and stays, whatever the rules say. Rules are applied to endpoints when these
become known, and to all when the rules are saved; both wait for their turn, so that no endpoint gets its
level by rules that have just been replaced.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select, update

from fmd_otel_exporter.errors import SettingsError
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import NAME_LENGTH
from fmd_otel_exporter.settings import MAX_LEVEL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

MOST_RULES = 100
_CHUNK = 500


class LevelRule(NamedTuple):
    """One rule."""

    pattern: str
    """Names of endpoints, with ``*`` and ``?``, separated by commas."""
    level: int
    service: str = ""
    """Whose endpoints; empty for those of all services."""

    def matches(self, service: str, name: str) -> bool:
        """Tell whether the rule speaks of an endpoint, by the name that the application gives it."""
        return self.service in ("", service) and matches(self.pattern, name)


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name matches one of some patterns, such as ``api.*, static``."""
    return any(fnmatchcase(name, each.strip()) for each in pattern.split(",") if each.strip())


def rule_for(rules: Sequence[LevelRule], service: str, name: str) -> LevelRule | None:
    """Return the rule that decides on an endpoint, if one does."""
    return next((rule for rule in rules if rule.matches(service, name)), None)


def level_for(rules: Sequence[LevelRule], service: str, name: str, default: int) -> int:
    """Return the level of a new endpoint."""
    rule = rule_for(rules, service, name)
    return default if rule is None else rule.level


def read_rules(connection: Connection, tables: Tables) -> tuple[LevelRule, ...]:
    """Return the rules, in their order."""
    rule = tables.level_rule.c
    query = select(rule.pattern, rule.level, rule.service).order_by(rule.position)
    return tuple(LevelRule(*tuple(row)) for row in connection.execute(query))


def load_rules(store: Store) -> tuple[LevelRule, ...]:
    """Return the rules, in their order.

    Raises:
        StorageError: The database cannot be used now.
    """
    with store.read() as connection:
        return read_rules(connection, store.tables)


def save_rules(store: Store, rules: Sequence[LevelRule], *, default_level: int = 1) -> int:
    """Put these in the place of all rules, and apply them; every worker follows within two seconds.

    An endpoint that no rule matches any more, and one did before, gets the default level.

    Returns:
        How many endpoints have another level now.

    Raises:
        SettingsError: One of them is none.
        StorageError: The database cannot be used now; nothing was changed.
    """
    return edit_rules(store, lambda _: rules, default_level=default_level)


def edit_rules(
    store: Store,
    edit: Callable[[Sequence[LevelRule]], Sequence[LevelRule]],
    *,
    default_level: int = 1,
) -> int:
    """Do the same with what a function makes of the rules as they are, so that two admins lose no change.

    Raises:
        SettingsError: As above, or the function's own.
        StorageError: As above.
    """

    def work(connection: Connection) -> int:
        store.dialect.take_turn(connection, store.prefix)
        before = read_rules(connection, store.tables)
        rules = [checked(rule) for rule in edit(before)]
        if len(rules) > MOST_RULES:
            raise SettingsError(f"there may be {MOST_RULES} rules at most")
        _put(connection, store.tables, before, rules)
        return _apply(connection, store.tables, before, rules, default_level)

    return store.run(work)


def removed(rules: Sequence[LevelRule], place: int, rule: LevelRule) -> list[LevelRule]:
    """Return the rules without one, named with its place.

    Raises:
        SettingsError: It is not there: somebody else has changed the rules meanwhile.
    """
    _require(rules, place, rule)
    return [*rules[:place], *rules[place + 1 :]]


def moved(rules: Sequence[LevelRule], place: int, rule: LevelRule, by: int) -> list[LevelRule]:
    """Return the rules with one moved by some places, as far as there are any.

    Raises:
        SettingsError: As above.
    """
    left = removed(rules, place, rule)
    left.insert(min(max(place + by, 0), len(left)), rule)
    return left


def _require(rules: Sequence[LevelRule], place: int, rule: LevelRule) -> None:
    if not 0 <= place < len(rules) or rules[place] != rule:
        raise SettingsError("the rules have been changed meanwhile; look at them again")


def checked(rule: LevelRule) -> LevelRule:
    """Return a rule fit to be stored.

    Raises:
        SettingsError: It is none.
    """
    pattern = ", ".join(each.strip() for each in rule.pattern.split(",") if each.strip())
    if not pattern:
        raise SettingsError("a rule needs the name of an endpoint, or a pattern such as api.*")
    if len(pattern) > NAME_LENGTH:
        raise SettingsError(f"the pattern of a rule must not be longer than {NAME_LENGTH} characters")
    return LevelRule(storable(pattern, NAME_LENGTH), check_level(rule.level), rule.service)


def check_level(level: object) -> int:
    """Return a monitor level.

    Raises:
        SettingsError: There is no such level.
    """
    if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= MAX_LEVEL:
        raise SettingsError(f"monitor level {level!r}: it must be a whole number from 0 to {MAX_LEVEL}")
    return level


def _put(
    connection: Connection, tables: Tables, before: Sequence[LevelRule], rules: Sequence[LevelRule]
) -> None:
    table = tables.level_rule
    for position, rule in enumerate(rules):
        if position >= len(before):
            connection.execute(insert(table).values(position=position, **rule._asdict()))
        elif before[position] != rule:
            connection.execute(update(table).where(table.c.position == position).values(**rule._asdict()))
    if len(rules) < len(before):
        connection.execute(delete(table).where(table.c.position >= len(rules)))


def _apply(
    connection: Connection,
    tables: Tables,
    before: Sequence[LevelRule],
    rules: Sequence[LevelRule],
    default_level: int,
) -> int:
    endpoint = tables.endpoint.c
    query = select(endpoint.id, endpoint.service, endpoint.name, endpoint.level).where(
        endpoint.pinned == 0, endpoint.removed_ts == 0
    )
    wanted: dict[int, list[int]] = {}
    for own, service, name, level in connection.execute(query).all():
        rule = rule_for(rules, service, name)
        if rule is not None:
            new = rule.level
        elif rule_for(before, service, name) is not None:
            new = default_level
        else:
            continue
        if new != level:
            wanted.setdefault(new, []).append(own)
    change_levels(connection, tables, wanted, {})
    return sum(map(len, wanted.values()))


def change_levels(
    connection: Connection, tables: Tables, wanted: Mapping[int, Sequence[int]], also: Mapping[str, int]
) -> int:
    """Set levels of endpoints, given by level, and further columns; return how many there were."""
    table, changed = tables.endpoint, 0
    for level, ids in sorted(wanted.items()):
        for start in range(0, len(ids), _CHUNK):
            some = sorted(ids)[start : start + _CHUNK]
            change = update(table).where(table.c.id.in_(some), table.c.removed_ts == 0)
            changed += connection.execute(change.values(level=level, **also)).rowcount
    return changed
