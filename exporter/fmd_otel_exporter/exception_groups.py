"""What is known of a group of exceptions: since when, in which versions, resolved or not; some examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, select, update

from fmd_otel_exporter.batch import DAY_US
from fmd_otel_exporter.detail_batch import FIRST_KEPT, LAST_KEPT
from fmd_otel_exporter.detail_tables import OPEN, REOPENED, RESOLVED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Update

    from fmd_otel_exporter.detail_batch import GroupTouch
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store


def touch_groups(connection: Connection, store: Store, touches: Mapping[int, GroupTouch]) -> None:
    """Make groups known, or note when and in which version they were met; in the order of their ids."""
    table = store.tables.exception_group
    for group, touch in touches.items():
        if connection.execute(_touch(store.tables, group, touch)).rowcount:
            continue
        row = {
            "id": group,
            "type": touch.type,
            "message": touch.message,
            "place": touch.place,
            "first_ts": touch.first_ts,
            "last_ts": touch.last_ts,
            "first_version_id": touch.first_version,
            "last_version_id": touch.last_version,
            "state": OPEN,
        }
        if not connection.execute(store.dialect.insert_new(table), [row]).rowcount:
            # Another transaction has made it meanwhile.
            connection.execute(_touch(store.tables, group, touch))


def _touch(tables: Tables, group: int, touch: GroupTouch) -> Update:
    old = tables.exception_group.c
    earlier, later = touch.first_ts < old.first_ts, touch.last_ts >= old.last_ts
    # In this order: MySQL looks at what it has just changed.
    changes: list[tuple[Any, Any]] = [
        (old.first_version_id, case((earlier, touch.first_version), else_=old.first_version_id)),
        (old.first_ts, case((earlier, touch.first_ts), else_=old.first_ts)),
        (old.last_version_id, case((later, touch.last_version), else_=old.last_version_id)),
        (old.last_ts, case((later, touch.last_ts), else_=old.last_ts)),
    ]
    # One that was only counted may have come first, without them.
    for column, text in ((old.message, touch.message), (old.place, touch.place)):
        if text:
            changes.append((column, case((column == "", text), else_=column)))
    return update(tables.exception_group).where(old.id == group).ordered_values(*changes)


def reopen(
    connection: Connection, tables: Tables, rows: Iterable[tuple[Any, ...]], first_seen: Mapping[int, int]
) -> None:
    """Open resolved groups again that are met in a version first seen after the one they were resolved in.

    Args:
        connection: In the transaction that has noted these occurrences.
        tables: All of them.
        rows: Occurrences.
        first_seen: When each of their versions was first seen.
    """
    met: dict[int, list[tuple[int, int]]] = {}
    for row in rows:
        met.setdefault(row[0], []).append((row[1], row[4]))
    group, version = tables.exception_group.c, tables.version.c
    query = (
        select(group.id, group.resolved_ts, version.first_ts)
        .select_from(
            tables.exception_group.outerjoin(tables.version, version.id == group.resolved_version_id)
        )
        .where(group.id.in_(sorted(met)), group.state == RESOLVED)
        .order_by(group.id)
    )
    for own, resolved_ts, resolved_seen in connection.execute(query).all():
        # Who has resolved it without naming a version means all that comes after.
        if any(
            ts > (resolved_ts or 0) and (resolved_seen is None or first_seen.get(number, 0) > resolved_seen)
            for ts, number in met[own]
        ):
            connection.execute(
                update(tables.exception_group)
                .where(group.id == own, group.state == RESOLVED)
                .values(state=REOPENED)
            )


def keep_some(connection: Connection, tables: Tables, days: Sequence[tuple[int, int]]) -> None:
    """Delete occurrences beyond the first and the last ones of a group and day.

    Args:
        connection: In the transaction that has added some.
        tables: All of them.
        days: Groups, each with the start of a day in microseconds.
    """
    table = tables.exception_occurrence
    columns = table.c
    for group, start in days:
        here = and_(columns.group_id == group, columns.ts >= start, columns.ts < start + DAY_US)
        query = select(columns.ts, columns.span_id).where(here).order_by(columns.ts, columns.span_id)
        found = connection.execute(query).all()
        for ts, span in found[FIRST_KEPT:-LAST_KEPT]:
            connection.execute(delete(table).where(here, columns.ts == ts, columns.span_id == span))


def resolve(store: Store, group_id: int, *, now_us: int) -> bool:
    """Note that a group is done with, as of the newest version it has been met in.

    In any version first seen later it counts as coming back. Returns whether there is such a group.
    """
    tables = store.tables
    hits, version, group = tables.exception_hits.c, tables.version.c, tables.exception_group.c
    newest = (
        select(version.id)
        .join(tables.exception_hits, hits.version_id == version.id)
        .where(hits.group_id == group_id)
        .order_by(version.first_ts.desc(), version.id.desc())
        .limit(1)
    )

    def work(connection: Connection) -> bool:
        change = (
            update(tables.exception_group)
            .where(group.id == group_id)
            .values(state=RESOLVED, resolved_ts=now_us, resolved_version_id=connection.scalar(newest))
        )
        return connection.execute(change).rowcount == 1

    return store.run(work)


def unresolve(store: Store, group_id: int) -> bool:
    """Open a group again. Returns whether there is such a group."""
    table = store.tables.exception_group
    change = update(table).where(table.c.id == group_id)
    change = change.values(state=OPEN, resolved_ts=None, resolved_version_id=None)
    return store.run(lambda connection: connection.execute(change).rowcount) == 1
