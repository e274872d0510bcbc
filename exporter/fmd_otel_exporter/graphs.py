"""Graphs that an application draws of itself: who they are, their values, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from fmd_otel_exporter.store import Store

MESSAGE_LENGTH = 1000
_CHUNK = 500


def register_graph(store: Store, service: str, title: str, schedule: str, *, now_us: int) -> int:
    """Make a graph known, or note that its schedule has changed.

    Returns:
        Its number.

    Raises:
        StorageError: The database cannot be used now.
    """
    table = store.tables.custom_graph
    service, title = storable(service, NAME_LENGTH), storable(title, NAME_LENGTH)
    found = select(table.c.id, table.c.schedule).where(table.c.service == service, table.c.title == title)

    def write(connection: Connection) -> int:
        row = connection.execute(found).first()
        if row is None:
            fresh = {
                "service": service,
                "title": title,
                "schedule": schedule,
                "created_ts": now_us,
                "runs": 0,
                "failures": 0,
            }
            connection.execute(store.dialect.insert_new(table), [fresh])
            row = connection.execute(found).one()
        elif row.schedule != schedule:
            connection.execute(update(table).where(table.c.id == row.id).values(schedule=schedule))
        return int(row.id)

    return store.run(write)


def last_run_us(store: Store, graph_id: int) -> int | None:
    """Return when a graph last ran, whether or not it gave a value; None if it never did."""
    table = store.tables.custom_graph
    with store.read() as connection:
        found: int | None = connection.scalar(select(table.c.last_ts).where(table.c.id == graph_id))
    return found


def add_value(store: Store, graph_id: int, ts_us: int, value: float) -> None:
    """Keep a value; of two for the same moment, the first stays."""
    table = store.tables.custom_graph

    def write(connection: Connection) -> None:
        values = store.tables.custom_graph_value
        connection.execute(
            store.dialect.insert_new(values), [{"graph_id": graph_id, "ts": ts_us, "value": value}]
        )
        connection.execute(
            update(table)
            .where(table.c.id == graph_id)
            .values(last_ts=ts_us, runs=table.c.runs + 1, last_error=None)
        )

    store.run(write)


def note_failure(store: Store, graph_id: int, ts_us: int, message: str) -> None:
    """Keep that a graph's function gave no value, and why; it stands on the graph's page."""
    table = store.tables.custom_graph
    change = (
        update(table)
        .where(table.c.id == graph_id)
        .values(
            last_ts=ts_us,
            runs=table.c.runs + 1,
            failures=table.c.failures + 1,
            last_error=storable(message, MESSAGE_LENGTH),
            last_error_ts=ts_us,
        )
    )
    store.run(lambda connection: connection.execute(change))


def add_values(store: Store, graph_id: int, values: list[tuple[int, float]]) -> None:
    """Keep many values at once, none of which is there yet; moments in microseconds."""
    rows = [{"graph_id": graph_id, "ts": ts_us, "value": value} for ts_us, value in values]
    if rows:
        store.run(lambda connection: connection.execute(insert(store.tables.custom_graph_value), rows))


def forget_values(store: Store, end_us: int) -> Iterator[int]:
    """Delete the values of before a moment, a little at a time.

    Yields:
        How many each step deleted.
    """
    c = store.tables.custom_graph_value.c
    with store.read() as connection:
        graphs = list(connection.scalars(select(store.tables.custom_graph.c.id)))
    for graph_id in graphs:
        old = (c.graph_id == graph_id, c.ts < end_us)
        while True:
            with store.read() as connection:
                some = list(connection.scalars(select(c.ts).where(*old).order_by(c.ts).limit(_CHUNK)))
            if not some:
                break
            chunk = delete(store.tables.custom_graph_value).where(c.graph_id == graph_id, c.ts <= some[-1])
            yield store.run(lambda connection, chunk=chunk: connection.execute(chunk).rowcount)  # type: ignore[misc] # bound at once
            if len(some) < _CHUNK:
                break
