"""Endpoints renamed, merged and deleted: nothing is counted twice, lost, or written to what is gone."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import pytest

from fmd_otel_exporter.averages import Average, load_averages
from fmd_otel_exporter.catalog import (
    load_levels,
    load_profile_orders,
    order_profile,
    register_endpoints,
    set_level,
)
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.endpoint_changes import (
    REMEMBERED_DAYS,
    count_rows,
    delete_rows,
    merge,
    remove,
    rename,
    separate,
)
from fmd_otel_exporter.errors import EndpointGoneError, StorageError
from fmd_otel_exporter.level_rules import LevelRule, save_rules
from fmd_otel_exporter.records import EndpointInfo
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.writer import Writer
from tests.exporter.details import exception, outlier, profile, trace

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

KEEP_ALL = Retention(0, 0, 0)
DAY_US = 86_400_000_000


@pytest.fixture
def number_of(see):
    """Return the number of an endpoint that is there."""

    def of(name: str) -> int:
        return next(row["id"] for row in see.rows("endpoint") if row["name"] == name)

    return of


@pytest.fixture
def wipe(store: Store):
    def all_of(endpoint_id: int) -> int:
        found = remove(store, endpoint_id)
        return sum(rows for _, rows in delete_rows(store, found.ids))

    return all_of


def _register(store: Store, *names: str, service: str = "shop") -> None:
    register_endpoints(store, [EndpointInfo(service, name) for name in names], default_level=1)


def _rows_by_endpoint(see, name: str) -> dict[int, int]:
    found: dict[int, int] = {}
    for row in see.rows(name):
        found[row["endpoint_id"]] = found.get(row["endpoint_id"], 0) + row.get("n", 1)
    return found


# Names


def test_a_name_given_by_people_survives_the_application_s_next_start(store: Store, see, number_of):
    _register(store, "shop.cart")
    rename(store, number_of("shop.cart"), "  The  cart ")
    register_endpoints(store, [EndpointInfo("shop", "shop.cart", "/new")], default_level=1)
    (endpoint,) = see.rows("endpoint")
    assert (endpoint["name"], endpoint["alias"], endpoint["route"]) == ("shop.cart", "The cart", "/new")
    assert load_levels(store) == {("shop", "shop.cart"): 1}


@pytest.mark.parametrize("back", ["", " ", "shop.cart"])
def test_its_own_name_can_be_given_back(store: Store, see, number_of, back):
    _register(store, "shop.cart")
    rename(store, number_of("shop.cart"), "The cart")
    rename(store, number_of("shop.cart"), back)
    assert see.rows("endpoint")[0]["alias"] is None


def test_a_name_belongs_to_one_endpoint_of_a_service(store: Store, see, number_of):
    _register(store, "a", "b")
    _register(store, "c", service="billing")
    rename(store, number_of("a"), "One")
    for taken in ("One", "a"):
        with pytest.raises(StorageError, match="merge the two instead"):
            rename(store, number_of("b"), taken)
    rename(store, number_of("c"), "One")
    assert {row["name"]: row["alias"] for row in see.rows("endpoint")} == {"a": "One", "b": None, "c": "One"}


# Merged


def test_a_merged_endpoint_keeps_its_rows_and_what_follows(store: Store, record, see, number_of):
    writer = Writer(store)
    writer.write([record(endpoint="a"), record(endpoint="b")])
    merge(store, number_of("b"), number_of("a"))
    merge(store, number_of("b"), number_of("a"))
    writer.write([record(endpoint="b")])
    assert {row["name"]: row["merged_into"] for row in see.rows("endpoint")} == {"a": 0, "b": number_of("a")}
    assert (
        _rows_by_endpoint(see, "request")
        == _rows_by_endpoint(see, "hits")
        == {number_of("a"): 1, number_of("b"): 2}
    )
    separate(store, number_of("b"))
    assert {row["merged_into"] for row in see.rows("endpoint")} == {0}


def test_what_counts_under_an_endpoint_goes_where_that_goes(store: Store, see, number_of):
    _register(store, "a", "b", "c", "d")
    merge(store, number_of("c"), number_of("b"))
    merge(store, number_of("b"), number_of("a"))
    merge(store, number_of("d"), number_of("c"))
    assert {row["merged_into"] for row in see.rows("endpoint") if row["name"] != "a"} == {number_of("a")}


def test_what_cannot_be_merged_is_told(store: Store, number_of):
    _register(store, "a", "b")
    _register(store, "c", service="billing")
    merge(store, number_of("b"), number_of("a"))
    for one, other in (("a", "a"), ("a", "b")):
        with pytest.raises(StorageError, match="into itself"):
            merge(store, number_of(one), number_of(other))
    with pytest.raises(StorageError, match="endpoints of one service"):
        merge(store, number_of("c"), number_of("a"))
    with pytest.raises(StorageError, match="no endpoint 77"):
        merge(store, 77, number_of("a"))


def test_merged_endpoints_have_one_level_one_average_and_one_order(store: Store, record, noon_us, number_of):
    writer = Writer(store)
    writer.write([record(endpoint="a", duration_us=1000), record(endpoint="b", duration_us=3000)])
    merge(store, number_of("b"), number_of("a"))
    set_level(store, number_of("b"), 2)
    assert load_levels(store) == {("shop", "a"): 2, ("shop", "b"): 2}
    both = Average(2, 2000)
    assert load_averages(store, noon_us // 1_000_000) == {("shop", "a"): both, ("shop", "b"): both}
    order_profile(store, number_of("b"))
    assert load_profile_orders(store) == {("shop", "a"), ("shop", "b")}
    DetailWriter(store, writer).write([profile(endpoint="b", exact=True)])
    assert load_profile_orders(store) == set()


# Deleted


def test_a_deleted_endpoint_leaves_no_row_and_others_lose_none(store: Store, record, see, number_of, wipe):
    writer = Writer(store)
    writer.write([record(endpoint=name, group_by="ada", ip="::1") for name in ("a", "b", "b")])
    details = DetailWriter(store, writer)
    for name in ("a", "b"):
        details.write(
            [profile(endpoint=name), outlier(endpoint=name), trace(endpoint=name), exception(endpoint=name)]
        )
    compact_days(store, now_ts_us=record().ts_us + DAY_US)
    for _ in prune(store, KEEP_ALL.cutoffs(record().ts_us + DAY_US)):
        pass
    b, n = number_of("b"), count_rows(store, [number_of("b")])
    assert (n, wipe(b) >= n, count_rows(store, [b])) == (n, True, 0)
    assert n > 10
    names = (
        "request",
        "hits",
        "lat_hist",
        "hits_day",
        "lat_hist_day",
        "subject_pack",
        "profile",
        "profile_day",
    )
    for name in (
        *names,
        "profile_day_n",
        "outlier",
        "request_trace",
        "exception_hits",
        "exception_occurrence",
    ):
        assert {row["endpoint_id"] for row in see.rows(name)} == {number_of("a")}, name
    assert see.sums() == {"requests": 1, "hits": 1, "latencies": 1}
    assert load_levels(store) == {("shop", "a"): 1}


def test_exceptions_that_nobody_else_has_met_go_with_it(store: Store, see, number_of, wipe):
    DetailWriter(store).write(
        [
            exception(endpoint="a", group_id=1, group_by="ada"),
            exception(endpoint="b", group_id=1, group_by="ada"),
            exception(endpoint="b", group_id=2, group_by="ada"),
        ]
    )
    groups = {row["id"] for row in see.rows("exception_group")}
    assert len(groups) == 2
    wipe(number_of("b"))
    (left,) = see.rows("exception_group")
    assert {row["group_id"] for row in see.rows("exception_subject")} == {left["id"]}


def test_asked_for_again_it_is_a_new_one(store: Store, record, see, number_of, wipe):
    writer = Writer(store)
    writer.write([record(endpoint="a")])
    old = number_of("a")
    set_level(store, old, 3)
    wipe(old)
    batch = [record(endpoint="a", level=1), record(endpoint="a", level=0)]
    assert writer.write(batch).written == 2
    assert Writer(store).write(batch).duplicate == 2
    assert number_of("a") != old
    assert _rows_by_endpoint(see, "request") == _rows_by_endpoint(see, "hits") == {number_of("a"): 1}
    assert next(row for row in see.rows("endpoint") if row["name"] == "a")["level0_n"] == 1
    assert load_levels(store) == {("shop", "a"): 1}


def test_the_newest_endpoint_s_number_is_not_given_again(store: Store, record, number_of, wipe):
    _register(store, "a", "b")
    newest = number_of("b")
    wipe(newest)
    _register(store, "c")
    assert number_of("c") > newest


def test_requests_that_leave_no_row_are_counted_for_the_new_one(store: Store, record, see, number_of, wipe):
    writer = Writer(store)
    writer.write([record(endpoint="a", level=0)])
    wipe(number_of("a"))
    writer.write([record(endpoint="a", level=0), record(endpoint="a", level=0)])
    assert next(row for row in see.rows("endpoint") if row["name"] == "a")["level0_n"] == 2


def test_so_are_details(store: Store, see, number_of, wipe):
    writer = DetailWriter(store)
    writer.write([profile(endpoint="a")])
    old = number_of("a")
    wipe(old)
    writer.write([profile(endpoint="a"), outlier(endpoint="a"), exception(endpoint="a")])
    for name in ("profile", "profile_day", "outlier", "exception_hits"):
        assert {row["endpoint_id"] for row in see.rows(name)} == {number_of("a")}, name


def test_a_rule_gives_the_new_one_its_level(store: Store, record, number_of, wipe):
    writer = Writer(store)
    writer.write([record(endpoint="a")])
    save_rules(store, [LevelRule("a", 2)])
    wipe(number_of("a"))
    writer.write([record(endpoint="a")])
    assert load_levels(store) == {("shop", "a"): 2}


def test_what_counts_under_it_goes_with_it(store: Store, record, see, number_of, wipe):
    writer = Writer(store)
    writer.write([record(endpoint=name) for name in ("a", "b", "c")])
    merge(store, number_of("b"), number_of("a"))
    wipe(number_of("a"))
    assert _rows_by_endpoint(see, "request") == {number_of("c"): 1}
    assert load_levels(store) == {("shop", "c"): 1}


def test_it_cannot_be_deleted_twice(store: Store, record, number_of):
    _register(store, "a")
    own = number_of("a")
    remove(store, own)
    with pytest.raises(StorageError, match="no endpoint"):
        remove(store, own)
    with pytest.raises(StorageError, match="no endpoint"):
        set_level(store, own, 2)


def test_whoever_dies_over_it_is_replaced_by_retention(store: Store, record, see, number_of, keep):
    Writer(store).write([record(endpoint="a"), record(endpoint="b")])
    remove(store, number_of("b"))  # and no more of it
    assert see.sums()["requests"] == 2
    keep(KEEP_ALL)
    assert _rows_by_endpoint(see, "request") == _rows_by_endpoint(see, "hits_day") == {number_of("a"): 1}


def test_a_deleted_endpoint_is_told_for_as_long_as_a_writer_may_know_its_number(
    store: Store, see, number_of, keep
):
    _register(store, "a")
    remove(store, number_of("a"), now_us=DAY_US)
    keep(KEEP_ALL, now_us=DAY_US)
    assert len(see.rows("removed_endpoint")) == 1
    keep(KEEP_ALL, now_us=(REMEMBERED_DAYS + 1) * DAY_US + 1)
    assert see.rows("removed_endpoint") == []


def test_a_batch_made_elsewhere_for_a_deleted_endpoint_is_refused_whole(store: Store, record, see, number_of):
    writer = Writer(store)
    writer.write([record(endpoint="a"), record(endpoint="b")])
    batch = writer._prepare([record(endpoint="a"), record(endpoint="b")])
    deleted = number_of("b")
    remove(store, deleted)
    with pytest.raises(EndpointGoneError):
        writer.write_batch(batch)
    assert _rows_by_endpoint(see, "request")[number_of("a")] == 1


def test_writers_at_work_lose_no_request_and_count_none_twice(store: Store, record, see, number_of, wipe):
    """What was asked for before the deletion is gone; what comes after is there, once."""
    stop = Event()
    written: list[list[Any]] = [[], []]
    failed: list[BaseException] = []

    def work(mine: list[Any]) -> None:
        writer = Writer(store)
        try:
            while not stop.is_set():
                batch = [record(endpoint=name) for name in ("a", "b", "a")]
                writer.write(batch)
                mine.append(batch)
        except BaseException as error:  # noqa: BLE001 # told below
            failed.append(error)

    threads = [Thread(target=work, args=(mine,)) for mine in written]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            target = sum(map(len, written)) + 4
            while sum(map(len, written)) < target and not failed:
                stop.wait(0.005)
            wipe(number_of("a"))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failed == []
    for _ in prune(store, KEEP_ALL.cutoffs(record().ts_us)):
        pass
    there = set(_rows_by_endpoint(see, "request"))
    names = {row["id"]: row["name"] for row in see.rows("endpoint")}
    assert {names[each] for each in there} <= {"a", "b"}
    spans = {bytes(row["span_id"]) for row in see.rows("request") if names[row["endpoint_id"]] == "b"}
    assert spans == {
        each.span_id for mine in written for batch in mine for each in batch if each.endpoint == "b"
    }
    assert _rows_by_endpoint(see, "hits") == _rows_by_endpoint(see, "request")
    assert _rows_by_endpoint(see, "lat_hist") == _rows_by_endpoint(see, "request")
