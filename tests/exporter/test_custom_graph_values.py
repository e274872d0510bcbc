"""Values of custom graphs: kept as long as sums by the hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_exporter.graphs import (
    add_value,
    add_values,
    delete_graph,
    last_run_us,
    note_failure,
    note_start,
    register_graph,
)
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


def test_a_graph_that_was_deleted_takes_no_more_values(store: Store) -> None:
    number = register_graph(store, "shop", "Orders", "", now_us=1)
    add_value(store, number, 7, 1.0)
    assert delete_graph(store, number)
    assert not note_start(store, number, 8)
    assert not add_value(store, number, 8, 2.0)
    assert not note_failure(store, number, 8, "ValueError")
    assert moments(store) == []
    assert not delete_graph(store, number)


def test_it_comes_back_as_another_and_so_does_none_of_its_values(store: Store) -> None:
    first = register_graph(store, "shop", "Orders", "", now_us=NOW_US)
    add_value(store, first, 7, 1.0)
    delete_graph(store, first)
    second = register_graph(store, "shop", "Orders", "", now_us=NOW_US + 1_000_000)
    third = register_graph(store, "shop", "Baskets", "", now_us=NOW_US + 1_000_000)
    assert first < second < third
    assert last_run_us(store, second) is None
    assert moments(store) == []


def test_a_new_graph_has_none_of_the_values_that_others_left_behind(store: Store) -> None:
    left = 2**30
    add_values(store, left, [(7, 1.0)])
    assert register_graph(store, "shop", "Orders", "", now_us=1) > left


def test_values_without_a_graph_go_however_new_they_are(store: Store) -> None:
    number = register_graph(store, "shop", "Orders", "", now_us=1)
    add_values(store, number, [(NOW_US, 1.0)])
    add_values(store, number + 1, [(NOW_US + i, 1.0) for i in range(1200)])
    add_values(store, number + 2, [(NOW_US, 1.0)])
    for_ever = Retention(raw_days=0, hourly_days=0).cutoffs(NOW_US)
    assert count_old(store, for_ever)["custom_graph_value"] == 1201
    deleted = [step.rows for step in prune(store, for_ever) if step.table == "custom_graph_value"]
    assert sum(deleted) == 1201
    assert moments(store) == [NOW_US]
