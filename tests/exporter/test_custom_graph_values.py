"""Values of custom graphs: kept as long as sums by the hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_exporter.graphs import add_value, add_values, last_run_us, note_failure, register_graph
from fmd_otel_exporter.retention import Retention, count_old, prune

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

DAY_US = 86_400_000_000
NOW_US = 20_000 * DAY_US


def moments(store: Store) -> list[int]:
    with store.read() as connection:
        return list(connection.scalars(select(store.tables.custom_graph_value.c.ts)))


def test_a_graph_is_known_once_and_its_schedule_follows(store: Store) -> None:
    first = register_graph(store, "shop", "Orders", "interval[0:05:00]", now_us=1)
    again = register_graph(store, "shop", "Orders", "interval[0:10:00]", now_us=2)
    other = register_graph(store, "mail", "Orders", "interval[0:10:00]", now_us=2)
    assert first == again != other
    with store.read() as connection:
        graphs = connection.execute(select(store.tables.custom_graph).order_by("id")).all()
    assert [(graph.service, graph.schedule) for graph in graphs] == [
        ("shop", "interval[0:10:00]"),
        ("mail", "interval[0:10:00]"),
    ]


def test_of_two_values_for_one_moment_the_first_stays(store: Store) -> None:
    number = register_graph(store, "shop", "Orders", "", now_us=1)
    add_value(store, number, 7, 1.0)
    add_value(store, number, 7, 2.0)
    with store.read() as connection:
        assert connection.scalars(select(store.tables.custom_graph_value.c.value)).all() == [1.0]


def test_a_failure_counts_as_a_run(store: Store) -> None:
    number = register_graph(store, "shop", "Orders", "", now_us=1)
    assert last_run_us(store, number) is None
    note_failure(store, number, 9, "x" * 5000)
    assert last_run_us(store, number) == 9


def test_old_values_go_with_the_sums_by_the_hour(store: Store) -> None:
    number = register_graph(store, "shop", "Orders", "", now_us=1)
    old = [(NOW_US - 91 * DAY_US - i, 1.0) for i in range(1200)]
    young = [(NOW_US - 89 * DAY_US + i, 1.0) for i in range(10)]
    add_values(store, number, old + young)
    cutoffs = Retention().cutoffs(NOW_US)
    assert count_old(store, cutoffs)["custom_graph_value"] == 1200
    deleted = [step.rows for step in prune(store, cutoffs) if step.table == "custom_graph_value"]
    assert sum(deleted) == 1200
    assert max(deleted) <= 500
    assert sorted(moments(store)) == [ts for ts, _ in young]
