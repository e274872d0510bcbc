"""Endpoints renamed, merged, and deleted by people.

* A *name* given by people stands beside the one that the application uses, so that it survives every start.
* A *merged* endpoint keeps its rows and its number, and points to the one it counts under; whoever reads
  follows the pointer. No row moves: that is exact on every database, at any moment, whatever writers are in
  the middle of, and it can be taken back.
* A *deleted* one loses its name first, in a transaction that no batch is in the middle of. From then on its
  name is free: the next request makes a new endpoint. Writers that still know the old number are told when
  they use it (:class:`.EndpointGoneError`), and ask again. Then its rows go, a few at a time. Whoever dies
  over that is replaced by retention, which looks after deleted endpoints for as long as they are remembered.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, delete, func, or_, select, update

from fmd_otel_exporter.deleting import delete_of, sweep
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

REMEMBERED_DAYS = 7
"""How long a deleted endpoint is told to writers, who ask for each number anew every day."""
_SUFFIX = 40
"""Characters of a deleted endpoint's name that say so."""


class Removed(NamedTuple):
    """An endpoint that has just been deleted, with those that counted under it."""

    name: str
    ids: tuple[int, ...]


def rename(store: Store, endpoint_id: int, name: str) -> None:
    """Let people call an endpoint by another name; an empty one gives the application's own back.

    Raises:
        StorageError: There is no such endpoint, another one of its service has that name, or the database
            cannot be used.
    """
    name = storable(" ".join(name.split()), NAME_LENGTH)

    def work(connection: Connection) -> None:
        store.dialect.take_turn(connection, store.prefix)
        mine = _endpoint(connection, store.tables, endpoint_id)
        alias = name if name and name != mine.name else None
        endpoint = store.tables.endpoint.c
        taken = select(endpoint.id).where(
            endpoint.service == mine.service,
            endpoint.id != endpoint_id,
            endpoint.removed_ts == 0,
            or_(endpoint.name == alias, endpoint.alias == alias),
        )
        if alias is not None and connection.execute(taken).first() is not None:
            raise StorageError(
                f"another endpoint of {mine.service} is called {alias!r}; merge the two instead"
            )
        _change(connection, store.tables, [endpoint_id], alias=alias)

    store.run(work)


def merge(store: Store, endpoint_id: int, into: int) -> None:
    """Let an endpoint count under another one of its service, with all that counts under it.

    Raises:
        StorageError: There are no such two endpoints, they are of different services, one counts under the
            other already, or the database cannot be used.
    """

    def work(connection: Connection) -> None:
        store.dialect.take_turn(connection, store.prefix)
        mine, other = (_endpoint(connection, store.tables, each) for each in (endpoint_id, into))
        root = other.merged_into or other.id
        if mine.id == root:
            raise StorageError("an endpoint cannot be merged into itself")
        if mine.service != other.service:
            raise StorageError(
                f"{mine.name} belongs to {mine.service}, and {other.name} to {other.service}; only "
                "endpoints of one service can be merged"
            )
        _change(connection, store.tables, family(connection, store.tables, mine.id), merged_into=root)

    store.run(work)


def separate(store: Store, endpoint_id: int) -> None:
    """Let a merged endpoint count for itself again; nothing has been lost.

    Raises:
        StorageError: There is no such endpoint, or the database cannot be used.
    """

    def work(connection: Connection) -> None:
        store.dialect.take_turn(connection, store.prefix)
        _endpoint(connection, store.tables, endpoint_id)
        _change(connection, store.tables, [endpoint_id], merged_into=0)

    store.run(work)


def family(connection: Connection, tables: Tables, endpoint_id: int) -> list[int]:
    """Return an endpoint and those that count under it."""
    endpoint = tables.endpoint.c
    query = select(endpoint.id).where(
        or_(endpoint.id == endpoint_id, endpoint.merged_into == endpoint_id), endpoint.removed_ts == 0
    )
    return sorted(connection.scalars(query))


def remove(store: Store, endpoint_id: int, *, now_us: int | None = None) -> Removed:
    """Delete an endpoint, and those that count under it: nobody sees them now, and their names are free.

    Their rows are still there, see :func:`delete_rows`.

    Raises:
        StorageError: There is no such endpoint, or the database cannot be used.
    """
    ts = time.time_ns() // 1000 if now_us is None else now_us
    tables = store.tables

    def work(connection: Connection) -> Removed:
        store.dialect.take_turn(connection, store.prefix)
        # A batch under way has its numbers already, and would not find what is written here.
        store.dialect.hold_batches(connection, store.prefix)
        mine = _endpoint(connection, tables, endpoint_id)
        ids = family(connection, tables, endpoint_id)
        names = select(tables.endpoint.c.id, tables.endpoint.c.name).where(tables.endpoint.c.id.in_(ids))
        for own, name in connection.execute(names).all():
            connection.execute(store.dialect.insert_new(tables.removed_endpoint), [{"id": own, "ts": ts}])
            gone = f"{name[: NAME_LENGTH - _SUFFIX]} (deleted, was number {own})"
            _change(connection, tables, [own], name=gone, removed_ts=ts)
        return Removed(mine.alias or mine.name, tuple(ids))

    return store.run(work)


def count_rows(store: Store, ids: Sequence[int]) -> int:
    """Return how many rows endpoints have in all tables."""
    total = 0
    for table in _tables(store.tables):
        query = select(func.count()).select_from(table).where(table.c.endpoint_id.in_(ids))
        with store.read() as connection:
            total += connection.scalar(query) or 0
    return total


def delete_rows(store: Store, ids: Sequence[int]) -> Iterator[tuple[Table, int]]:
    """Delete all rows of deleted endpoints; every step is a short transaction, and may be the last.

    Yields:
        What each step deleted.

    Raises:
        StorageError: The database cannot be used now.
    """
    tables = store.tables
    for own in ids:
        for table in _by_endpoint(tables):
            for rows in delete_of(store, table, own):
                yield table, rows
        for group in _groups_of(store, own):
            for table in (tables.exception_occurrence, tables.exception_hits):
                for rows in delete_of(store, table, group, table.c.endpoint_id == own):
                    yield table, rows
            for table, rows in _forget_group(store, group):
                yield table, rows


def delete_rest(store: Store) -> Iterator[tuple[Table, int]]:
    """Delete what is there of all endpoints that are remembered as deleted: left over, or come too late."""
    removed = store.tables.removed_endpoint.c
    with store.read() as connection:
        ids = list(connection.scalars(select(removed.id).order_by(removed.id)))
    if ids:
        yield from delete_rows(store, ids)


def forget_removed(store: Store, now_us: int) -> Iterator[int]:
    """Forget endpoints whose numbers no writer knows any more."""
    table = store.tables.removed_endpoint
    yield from sweep(store, table, table.c.ts < now_us - REMEMBERED_DAYS * 86_400_000_000)


def _tables(tables: Tables) -> list[Table]:
    return [*_by_endpoint(tables), tables.exception_occurrence, tables.exception_hits]


def _by_endpoint(tables: Tables) -> list[Table]:
    """Return the tables whose key begins with the endpoint; what is made from others comes after these."""
    return [
        tables.request, tables.hits, tables.lat_hist, tables.hits_day, tables.lat_hist_day,
        tables.subject_pack, tables.subject_day, tables.outlier, tables.request_trace, tables.profile,
        tables.profile_day, tables.profile_day_n,
    ]  # fmt: skip


def _groups_of(store: Store, endpoint_id: int) -> list[int]:
    """Return the groups of exceptions that an endpoint has a part in."""
    found: set[int] = set()
    with store.read() as connection:
        for table in (store.tables.exception_hits, store.tables.exception_occurrence):
            c = table.c
            found.update(
                connection.scalars(select(c.group_id).where(c.endpoint_id == endpoint_id).distinct())
            )
    return sorted(found)


def _forget_group(store: Store, group: int) -> Iterator[tuple[Table, int]]:
    """Delete what is left of a group that no endpoint has a part in any more."""
    tables = store.tables
    hits = tables.exception_hits.c
    left = select(hits.group_id).where(hits.group_id == group).limit(1)
    with store.read() as connection:
        if connection.execute(left).first() is not None:
            return  # who has met it is not counted by endpoint, and stays
    for rows in delete_of(store, tables.exception_subject, group):
        yield tables.exception_subject, rows
    own = tables.exception_group
    nothing = and_(own.c.id == group, ~left.exists())
    yield own, store.run(lambda connection: connection.execute(delete(own).where(nothing)).rowcount)


def _endpoint(connection: Connection, tables: Tables, endpoint_id: int) -> Any:
    endpoint = tables.endpoint.c
    query = select(endpoint.id, endpoint.service, endpoint.name, endpoint.alias, endpoint.merged_into).where(
        endpoint.id == endpoint_id, endpoint.removed_ts == 0
    )
    found = connection.execute(query).first()
    if found is None:
        raise StorageError(f"there is no endpoint {endpoint_id!r}; it may have been removed")
    return found


def _change(connection: Connection, tables: Tables, ids: Sequence[int], **values: Any) -> None:
    connection.execute(update(tables.endpoint).where(tables.endpoint.c.id.in_(ids)).values(**values))
