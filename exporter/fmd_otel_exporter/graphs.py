"""Graphs that an application draws of itself: who they are, their values, and what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, or_, select, update

from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.schema import NAME_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Connection

    from fmd_otel_exporter.store import Store

MESSAGE_LENGTH = 1000
_CHUNK = 500
_US = 1_000_000
_NUMBERS_SINCE_S = 1_577_836_800
"""Numbers of graphs begin in 2020, so that 32 bits last until 2088."""


def register_graph(store: Store, service: str, title: str, schedule: str, *, now_us: int) -> int:
    """Make a graph known, or note that its schedule has changed.

    Numbers come from the clock, since not every database remembers which it has given: a graph that was
    deleted comes back under another, and its address never shows a different one.

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
                "id": _free_number(store, connection, now_us),
                "service": service,
                "title": title,
                "schedule": schedule,
                "created_ts": now_us,
                "runs": 0,
                "failures": 0,
            }
            connection.execute(store.dialect.insert_new(table), [fresh])
            row = connection.execute(found).first()
        elif row.schedule != schedule:
            connection.execute(update(table).where(table.c.id == row.id).values(schedule=schedule))
        if row is None:
            raise StorageError(f"another custom graph took the number of {title!r}", again=True)
        return int(row.id)

    return store.run(write)


def _free_number(store: Store, connection: Connection, now_us: int) -> int:
    """Return a number that no graph has, nor values that a graph has left behind."""
    graph, value = store.tables.custom_graph.c, store.tables.custom_graph_value.c
    taken = (connection.scalar(select(func.max(column))) or 0 for column in (graph.id, value.graph_id))
    return max(now_us // _US - _NUMBERS_SINCE_S, *(number + 1 for number in taken))


def last_run_us(store: Store, graph_id: int) -> int | None:
    """Return when a graph last ran, whether or not it gave a value; None if it never did."""
    table = store.tables.custom_graph
    with store.read() as connection:
        found: int | None = connection.scalar(select(table.c.last_ts).where(table.c.id == graph_id))
    return found


def note_start(store: Store, graph_id: int, ts_us: int) -> bool:
    """Keep that a graph's function is being run, so that no other process does it as well.

    Returns:
        Whether there is such a graph still.
    """
    return _note(store, graph_id, {"last_ts": ts_us})


def add_value(store: Store, graph_id: int, ts_us: int, value: float) -> bool:
    """Keep a value; of two for the same moment, the first stays.

    Returns:
        Whether there is such a graph still; if it was deleted meanwhile, nothing is kept.
    """
    table = store.tables.custom_graph

    def write(connection: Connection) -> bool:
        # The graph first: whoever deletes it now waits until its value is there to be deleted, too.
        known = connection.execute(
            update(table)
            .where(table.c.id == graph_id)
            .values(last_ts=ts_us, runs=table.c.runs + 1, last_error=None)
        ).rowcount
        if known:
            values = store.tables.custom_graph_value
            connection.execute(
                store.dialect.insert_new(values), [{"graph_id": graph_id, "ts": ts_us, "value": value}]
            )
        return bool(known)

    return store.run(write)


def note_failure(store: Store, graph_id: int, ts_us: int, message: str) -> bool:
    """Keep that a graph's function gave no value, and why; it stands on the graph's page.

    Returns:
        Whether there is such a graph still.
    """
    columns = store.tables.custom_graph.c
    noted = {
        "last_ts": ts_us,
        "runs": columns.runs + 1,
        "failures": columns.failures + 1,
        "last_error": storable(message, MESSAGE_LENGTH),
        "last_error_ts": ts_us,
    }
    return _note(store, graph_id, noted)


def _note(store: Store, graph_id: int, noted: dict[str, Any]) -> bool:
    table = store.tables.custom_graph
    change = update(table).where(table.c.id == graph_id).values(**noted)
    return bool(store.run(lambda connection: connection.execute(change).rowcount))


def add_values(store: Store, graph_id: int, values: list[tuple[int, float]]) -> None:
    """Keep many values at once, none of which is there yet; moments in microseconds."""
    rows = [{"graph_id": graph_id, "ts": ts_us, "value": value} for ts_us, value in values]
    if rows:
        store.run(lambda connection: connection.execute(insert(store.tables.custom_graph_value), rows))


def delete_graph(store: Store, graph_id: int) -> bool:
    """Forget a graph and its values; one that is still drawn comes back, as another, when it runs again.

    Its values go a little at a time. Should that be interrupted, retention finds what is left.

    Returns:
        Whether there was such a graph.
    """
    table = store.tables.custom_graph
    gone = store.run(
        lambda connection: connection.execute(delete(table).where(table.c.id == graph_id)).rowcount
    )
    for _ in _forget(store, graph_id, None):
        pass
    return bool(gone)


def forget_values(store: Store, end_us: int | None) -> Iterator[int]:
    """Delete the values of before a moment, if any, and all those whose graph is gone, a little at a time.

    Yields:
        How many each step deleted.
    """
    with_values = _with_values(store)  # before the graphs, of which each is known before it has values
    with store.read() as connection:
        known = set(connection.scalars(select(store.tables.custom_graph.c.id)))
    for graph_id in with_values:
        if graph_id not in known:
            yield from _forget(store, graph_id, None)
        elif end_us is not None:
            yield from _forget(store, graph_id, end_us)


def forgettable(store: Store, end_us: int | None) -> ColumnElement[bool]:
    """Return which values :func:`forget_values` would delete."""
    c = store.tables.custom_graph_value.c
    orphaned = c.graph_id.not_in(select(store.tables.custom_graph.c.id))
    return orphaned if end_us is None else or_(orphaned, c.ts < end_us)


def _with_values(store: Store) -> list[int]:
    """Return the graphs that have values, known or not, by a look at the first value of each."""
    c = store.tables.custom_graph_value.c
    found: list[int] = []
    with store.read() as connection:
        number = connection.scalar(select(func.min(c.graph_id)))
        while number is not None:
            found.append(int(number))
            number = connection.scalar(select(func.min(c.graph_id)).where(c.graph_id > number))
    return found


def _forget(store: Store, graph_id: int, end_us: int | None) -> Iterator[int]:
    c = store.tables.custom_graph_value.c
    old = [c.graph_id == graph_id] if end_us is None else [c.graph_id == graph_id, c.ts < end_us]
    while True:
        with store.read() as connection:
            some = list(connection.scalars(select(c.ts).where(*old).order_by(c.ts).limit(_CHUNK)))
        if not some:
            break
        chunk = delete(store.tables.custom_graph_value).where(c.graph_id == graph_id, c.ts <= some[-1])
        yield store.run(lambda connection, chunk=chunk: connection.execute(chunk).rowcount)  # type: ignore[misc] # bound at once
        if len(some) < _CHUNK:
            break
