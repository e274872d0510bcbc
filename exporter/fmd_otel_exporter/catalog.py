"""The endpoints an app has, and the level each is monitored at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, update

from fmd_otel_exporter.endpoint_rules import written
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.level_rules import change_levels, check_level, level_for, read_rules
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import NAME_LENGTH, SUBJECT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.level_rule import LevelRule
    from fmd_otel_exporter.records import EndpointInfo
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

MOST_ORDERED = 100


def register_endpoints(
    store: Store,
    infos: Iterable[EndpointInfo],
    default_level: int,
    default_rules: Sequence[LevelRule] = (),
) -> int:
    """Make endpoints known before anybody has called them; their levels are left alone where they are known.

    Returns:
        How many endpoints were new or have changed.
    """
    wanted = {
        (storable(info.service, NAME_LENGTH), storable(info.endpoint, NAME_LENGTH)): {
            "route": None if info.route is None else storable(info.route, SUBJECT_LENGTH),
            "method": None if info.methods is None else storable(info.methods, NAME_LENGTH),
            "blueprint": None if info.blueprint is None else storable(info.blueprint, NAME_LENGTH),
            "rules": written(info.rules),
        }
        for info in infos
    }
    if not wanted:
        return 0
    table = store.tables.endpoint
    columns = table.c
    said = ("route", "method", "blueprint", "rules")
    query = select(columns.service, columns.name, *(columns[name] for name in said)).where(
        columns.service.in_({service for service, _ in wanted})
    )
    with store.read() as connection:
        known = {(row[0], row[1]): dict(zip(said, row[2:], strict=True)) for row in connection.execute(query)}
    new = sorted(wanted.keys() - known.keys())
    changed = sorted(name for name in wanted.keys() & known.keys() if known[name] != wanted[name])
    if not new and not changed:
        return 0  # the common case, at every start but the first: no write at all

    def write(connection: Connection) -> None:
        if new:
            store.dialect.take_turn(connection, store.prefix)
            rules = (*read_rules(connection, store.tables), *default_rules)
            connection.execute(
                store.dialect.insert_new(table),
                [
                    {
                        "service": name[0],
                        "name": name[1],
                        "level": level_for(rules, *name, default_level),
                        **wanted[name],
                    }
                    for name in new
                ],
            )
        for name in changed:
            connection.execute(
                update(table)
                .where(columns.service == name[0], columns.name == name[1])
                .values(**wanted[name])
            )

    store.run(write)
    return len(new) + len(changed)


def set_level(store: Store, endpoint_id: int, level: int) -> None:
    """Change how closely an endpoint is monitored; every worker follows within two seconds.

    It is *pinned* with that: rules (:mod:`.level_rules`) leave it alone.

    Raises:
        SettingsError: There is no such level.
        StorageError: There is no such endpoint, or the database cannot be written.
    """
    pin_levels(store, {endpoint_id: level})


def pin_levels(store: Store, levels: Mapping[int, int]) -> None:
    """Do so for some endpoints, by their ids: all of them or none. A merged one has the level of the other.

    Raises:
        SettingsError: There is no such level.
        StorageError: There is no such endpoint, or the database cannot be written.
    """
    for level in levels.values():
        check_level(level)

    def write(connection: Connection) -> None:
        root = _require(connection, store.tables, levels)
        wanted: dict[int, list[int]] = {}
        for own, level in levels.items():
            wanted.setdefault(level, []).append(root[own])
        change_levels(connection, store.tables, wanted, {"pinned": 1})

    store.run(write)


def unpin_level(
    store: Store, endpoint_id: int, default_level: int, default_rules: Sequence[LevelRule] = ()
) -> int:
    """Let rules decide on an endpoint again, or the default where none matches; return its level now.

    Raises:
        StorageError: There is no such endpoint, or the database cannot be written.
    """
    table = store.tables.endpoint

    def write(connection: Connection) -> int:
        store.dialect.take_turn(connection, store.prefix)
        _require(connection, store.tables, [endpoint_id])
        name = select(table.c.service, table.c.name).where(table.c.id == endpoint_id)
        service, endpoint = connection.execute(name).one()
        rules = (*read_rules(connection, store.tables), *default_rules)
        level = level_for(rules, service, endpoint, default_level)
        change_levels(connection, store.tables, {level: [endpoint_id]}, {"pinned": 0})
        return level

    return store.run(write)


def _require(connection: Connection, tables: Tables, ids: Iterable[int]) -> dict[int, int]:
    """Make sure that these endpoints are there; return of each the one it counts under, or itself.

    Raises:
        StorageError: One is not.
    """
    endpoint = tables.endpoint.c
    query = select(endpoint.id, endpoint.merged_into).where(endpoint.removed_ts == 0)
    known = {row[0]: row[1] or row[0] for row in connection.execute(query)}
    for own in ids:
        if own not in known:
            raise StorageError(f"there is no endpoint {own!r}; it may have been removed")
    return known


def load_levels(store: Store) -> dict[tuple[str, str], int]:
    """Return the level of every endpoint, by service and name; a merged one has that of the other."""
    columns = store.tables.endpoint.c
    query = select(columns.id, columns.service, columns.name, columns.level, columns.merged_into)
    with store.read() as connection:
        found = connection.execute(query.where(columns.removed_ts == 0)).all()
    levels = {row.id: row.level for row in found}
    return {(row.service, row.name): levels.get(row.merged_into, row.level) for row in found}


def order_profile(store: Store, endpoint_id: int, requests: int = 1) -> None:
    """Let the next requests of an endpoint be profiled with all there is; 0 takes an order back.

    Raises:
        StorageError: There is no such endpoint, or the database cannot be written.
    """
    table = store.tables.endpoint
    requests = min(max(requests, 0), MOST_ORDERED)

    def work(connection: Connection) -> int:
        own = _counts_under(connection, table, endpoint_id)
        change = update(table).where(table.c.id == own, table.c.removed_ts == 0)
        return connection.execute(change.values(profile_next=requests)).rowcount

    if store.run(work) == 0:
        raise StorageError(f"there is no endpoint {endpoint_id!r}; it may have been removed")


def load_profile_orders(store: Store) -> set[tuple[str, str]]:
    """Return the endpoints, by service and name, whose next request shall be profiled."""
    columns = store.tables.endpoint.c
    root = select(columns.id).where(columns.profile_next > 0, columns.removed_ts == 0)
    with store.read() as connection:
        ordered = list(connection.scalars(root))
        if not ordered:
            return set()
        names = select(columns.service, columns.name).where(
            or_(columns.merged_into.in_(ordered), and_(columns.id.in_(ordered), columns.merged_into == 0))
        )
        return {(row[0], row[1]) for row in connection.execute(names)}


def claim_profile(connection: Connection, table: Table, endpoint_id: int) -> bool:
    """End an order, in the transaction that writes the profile; False if another process has done so.

    Of any number that try at once one succeeds: the database changes a row for one at a time, and looks at it
    again before it does.
    """
    own = _counts_under(connection, table, endpoint_id)
    claim = (
        update(table)
        .where(table.c.id == own, table.c.profile_next > 0)
        .values(profile_next=table.c.profile_next - 1)
    )
    return connection.execute(claim).rowcount == 1


def _counts_under(connection: Connection, table: Table, endpoint_id: int) -> int:
    return connection.scalar(select(table.c.merged_into).where(table.c.id == endpoint_id)) or endpoint_id
