"""Monitor levels by rule: *level 0 for* ``static``, *3 for* ``api.*``.

The rules are a list, and the first one that matches an endpoint decides. A level that somebody has set on an
endpoint by hand is *pinned* and stays, whatever the rules say. Rules are applied to endpoints when these
become known, and to all when the rules are saved; both wait for their turn, so that no endpoint gets its
level by rules that have just been replaced.

A configuration may have rules, too (``MONITOR_RULES``): they come after those of the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, insert, select, update

from fmd_otel_exporter.errors import SettingsError
from fmd_otel_exporter.level_rule import MAX_LEVEL, MOST_RULES, LevelRule, level_for, matches, rule_for
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

__all__ = ["LevelRule", "level_for", "matches", "rule_for"]

_CHUNK = 500


class _Undecided(NamedTuple):
    """An endpoint whose level nobody has set by hand."""

    id: int
    service: str
    name: str
    level: int


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


def save_rules(
    store: Store,
    rules: Sequence[LevelRule],
    *,
    default_level: int = 1,
    default_rules: Sequence[LevelRule] = (),
) -> int:
    """Put these in the place of all rules, and apply them; every worker follows within two seconds.

    An endpoint that no rule matches any more, and one did before, gets the level of the configuration: that
    of the first of ``default_rules`` that matches, or else the default.

    Returns:
        How many endpoints have another level now.

    Raises:
        SettingsError: One of them is none.
        StorageError: The database cannot be used now; nothing was changed.
    """
    return edit_rules(store, lambda _: rules, default_level=default_level, default_rules=default_rules)


def edit_rules(
    store: Store,
    edit: Callable[[Sequence[LevelRule]], Sequence[LevelRule]],
    *,
    default_level: int = 1,
    default_rules: Sequence[LevelRule] = (),
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
        endpoints = _undecided(connection, store.tables)
        wanted = _wanted(
            endpoints,
            before,
            rules,
            lambda service, name: level_for(default_rules, service, name, default_level),
        )
        return change_levels(connection, store.tables, wanted, {})

    return store.run(work)


def apply_default_rules(store: Store, services: Iterable[str], default_rules: Sequence[LevelRule]) -> int:
    """Give the endpoints of some services the levels of a configuration's rules, where no other rule decides.

    Returns:
        How many endpoints have another level now; most often none, and then nothing is written.

    Raises:
        StorageError: The database cannot be used now; nothing was changed.
    """
    of = tuple(sorted(set(services)))

    def wanted(connection: Connection) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        known = read_rules(connection, store.tables)
        for own, service, name, level in _undecided(connection, store.tables, of):
            rule = rule_for(default_rules, service, name)
            if rule and rule.level != level and rule_for(known, service, name) is None:
                found.setdefault(rule.level, []).append(own)
        return found

    def work(connection: Connection) -> int:
        store.dialect.take_turn(connection, store.prefix)
        return change_levels(connection, store.tables, wanted(connection), {})

    with store.read() as connection:
        if not wanted(connection):
            return 0
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


def _wanted(
    endpoints: Iterable[_Undecided],
    before: Sequence[LevelRule],
    rules: Sequence[LevelRule],
    configured: Callable[[str, str], int],
) -> dict[int, list[int]]:
    """Return which endpoints get another level, by it."""
    wanted: dict[int, list[int]] = {}
    for own, service, name, level in endpoints:
        rule = rule_for(rules, service, name)
        if rule is not None:
            new = rule.level
        elif rule_for(before, service, name) is not None:
            new = configured(service, name)
        else:
            continue
        if new != level:
            wanted.setdefault(new, []).append(own)
    return wanted


def _undecided(connection: Connection, tables: Tables, services: Sequence[str] = ()) -> list[_Undecided]:
    """Return the endpoints whose level nobody has set by hand: of some services, or of all."""
    endpoint = tables.endpoint.c
    query = select(endpoint.id, endpoint.service, endpoint.name, endpoint.level).where(
        endpoint.pinned == 0, endpoint.removed_ts == 0
    )
    rows = connection.execute(query.where(endpoint.service.in_(services)) if services else query)
    return [_Undecided(*row) for row in rows.all()]


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
