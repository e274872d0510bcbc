from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select

from fmd_otel_exporter import code_book, day_stacks, exception_groups
from fmd_otel_exporter.catalog import load_profile_orders, order_profile
from fmd_otel_exporter.day_stacks import MOST_STACKS
from fmd_otel_exporter.detail_batch import FIRST_KEPT, LAST_KEPT
from fmd_otel_exporter.detail_tables import OPEN, REOPENED, RESOLVED
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.documents import decode_document, encode_document
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.profile_data import line_id, stack_id, unpack
from fmd_otel_exporter.records import CAPTURED, HANDLED, TRUNCATED, UNHANDLED, ProfileNode
from fmd_otel_exporter.retention import Retention, count_old, prune
from fmd_otel_exporter.writer import Writer
from tests.exporter.details import LINES, chain, exception, outlier, profile, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@pytest.fixture
def writer(store: Store) -> DetailWriter:
    return DetailWriter(store)


@pytest.fixture
def count(store: Store) -> Callable[[str], int]:
    def rows_of(name: str) -> int:
        with store.read() as connection:
            return connection.scalar(select(func.count()).select_from(getattr(store.tables, name)))

    return rows_of


# Once


def test_every_kind_of_detail_is_written_once_however_often_it_comes(writer: DetailWriter, count):
    batch = [profile(), outlier(), trace(), exception(), exception(document=None)]
    assert writer.write(batch) == (5, 0)
    assert writer.write(batch) == (0, 5)
    assert writer.write(list(reversed(batch))) == (0, 5)
    names = ("profile", "outlier", "request_trace", "exception_occurrence", "exception_group")
    assert [count(name) for name in names] == [1, 1, 1, 1, 1]


def test_details_that_come_again_in_another_batch_are_told_apart_by_their_keys(writer: DetailWriter, see):
    first = [profile(), outlier(), trace(), exception()]
    writer.write(first)
    before = see.rows("profile_day"), see.rows("exception_hits")
    assert writer.write([*first, outlier()]) == (1, 4)
    assert (see.rows("profile_day"), see.rows("exception_hits")) == before
    assert writer.write([*first, profile()]) == (1, 4)
    assert {row["n"] for row in see.rows("profile_day")} == {2}


def test_the_same_detail_twice_in_a_batch_is_one(writer: DetailWriter, see):
    one = profile()
    writer.write([one, one])
    assert [row["n"] for row in see.rows("profile_day_n")] == [1]


# Profiles


def test_a_profile_becomes_lines_paths_times_and_sums(writer: DetailWriter, see, noon_us):
    writer.write([profile(), profile(duration_us=20_000)])
    lines = {row["id"]: row for row in see.rows("code_line")}
    assert {
        (row["file"], row["function"], row["line"], row["source"], row["in_app"]) for row in lines.values()
    } == {(line.file, line.function, line.line, line.source, int(line.in_app)) for line in LINES}
    root = stack_id(0, line_id(LINES[0]))
    middle = stack_id(root, line_id(LINES[1]))
    leaf = stack_id(middle, line_id(LINES[2]))
    assert {row["id"]: (row["parent_id"], row["line_id"], row["depth"]) for row in see.rows("stack")} == {
        root: (0, line_id(LINES[0]), 1),
        middle: (root, line_id(LINES[1]), 2),
        leaf: (middle, line_id(LINES[2]), 3),
    }
    day = noon_us // DAY_US * 86_400
    sums = {row["stack_id"]: row for row in see.rows("profile_day")}
    assert [
        tuple(sums[own][name] for name in ("n", "hits", "self_us", "self_cpu_us", "total_us", "total_us2"))
        for own in (root, middle, leaf)
    ] == [
        (2, 2, 200, 200, 20_000, 2 * 10_000.0**2),
        (2, 4, 4_000, 3_000, 19_800, 2 * 9_900.0**2),
        (2, 16, 15_800, 800, 15_800, 2 * 7_900.0**2),
    ]
    assert {row["day"] for row in see.rows("profile_day")} == {day}
    assert [(row["n"], row["duration_us"]) for row in see.rows("profile_day_n")] == [(2, 30_000)]
    assert [unpack(bytes(row["data"])) for row in see.rows("profile")] == [
        [(root, 100, 100, 1), (middle, 2_000, 1_500, 2), (leaf, 7_900, 400, 8)]
    ] * 2


def test_a_profile_met_before_writes_its_times_and_its_sums_only(
    store: Store, writer: DetailWriter, monkeypatch
):
    writer.write([profile()])
    written: list[str] = []
    run = store.run
    monkeypatch.setattr(
        writer._book, "_keep", lambda table, wanted, _: written.extend([table.name] * len(wanted))
    )
    monkeypatch.setattr(store, "run", lambda work: (written.append("batch"), run(work))[1])
    assert writer.write([profile()]) == (1, 0)
    assert written == ["batch"]


def test_nodes_of_one_path_are_added_up_and_those_without_time_are_left_out(writer: DetailWriter, see):
    nodes = (
        ProfileNode(-1, 0, 10, 0, 1),
        ProfileNode(-1, 0, 5, 5, 1),
        ProfileNode(1, 1, 0, 0, 0),  # and nothing below it
        ProfileNode(0, 2, 0, 0, 1),  # seen, for no time
    )
    writer.write([profile(nodes=nodes)])
    (row,) = see.rows("profile")
    root = stack_id(0, line_id(LINES[0]))
    assert unpack(bytes(row["data"])) == [(root, 15, 5, 2), (stack_id(root, line_id(LINES[2])), 0, 0, 1)]
    assert len(see.rows("stack")) == len(see.rows("profile_day")) == 2


def test_recursion_is_a_path_of_its_own_at_every_depth(writer: DetailWriter, see):
    nodes = tuple(ProfileNode(index - 1, 0, 1, 0, 1) for index in range(300))
    writer.write([profile(nodes=nodes)])
    assert len(see.rows("stack")) == 300
    assert len(see.rows("code_line")) == 1
    assert max(row["total_us"] for row in see.rows("profile_day")) == 300


@pytest.mark.parametrize(
    "nodes",
    [
        (ProfileNode(0, 0, 1, 0, 1),),
        (ProfileNode(-1, 9, 1, 0, 1),),
        (ProfileNode(-1, 0, 1, 0, 1), ProfileNode(5, 0, 1, 0, 1)),
    ],
)
def test_a_profile_that_is_no_tree_is_refused(writer: DetailWriter, count, nodes):
    with pytest.raises(ValueError, match="has caller"):
        writer.write([profile(nodes=nodes)])
    assert count("profile") == 0


def test_odd_times_become_possible_ones(writer: DetailWriter, see):
    writer.write(
        [
            profile(
                ts_us=-5, duration_us=-1, nodes=(ProfileNode(-1, 0, 10, 99, -3), ProfileNode(0, 1, -7, 0, 1))
            )
        ]
    )
    (row,) = see.rows("profile")
    assert (row["ts"], row["duration"]) == (0, 0)
    assert [leaf[1:] for leaf in unpack(bytes(row["data"]))] == [(10, 10, 0), (0, 0, 1)]


def test_beyond_a_bound_paths_are_added_up_as_truncated_below_their_caller(store: Store, see):
    writer = DetailWriter(store, most_stacks=6)
    writer.write([chain(3), chain(3, 2)])
    writer.write([chain(5, 4)])
    sums = see.rows("profile_day")
    assert sum(row["self_us"] for row in sums) == 10 * (3 + 6 + 20)
    line = next(row["id"] for row in see.rows("code_line") if row["function"] == TRUNCATED)
    truncated = {row["id"]: row for row in see.rows("stack") if row["line_id"] == line}
    by_parent = {truncated[row["stack_id"]]["parent_id"]: row for row in sums if row["stack_id"] in truncated}
    assert {row["self_us"] for parent, row in by_parent.items() if parent} == {20}
    assert by_parent[0]["self_us"] == by_parent[0]["total_us"] == 100
    assert (by_parent[0]["n"], by_parent[0]["hits"]) == (1, 10)
    assert len(sums) == 6 + 3
    # The single profile has all of it.
    assert max(len(unpack(bytes(row["data"]))) for row in see.rows("profile")) == 20


def test_the_bound_counts_what_the_database_already_has(store: Store, see):
    DetailWriter(store).write([chain(4)])
    DetailWriter(store, most_stacks=4).write([chain(2, 2), chain(4)])
    line = next(row["id"] for row in see.rows("code_line") if row["function"] == TRUNCATED)
    known = {row["id"] for row in see.rows("stack") if row["line_id"] != line}
    assert len(known & {row["stack_id"] for row in see.rows("profile_day")}) == 4
    assert MOST_STACKS > 1000


def test_lines_are_noted_again_each_day_and_again_after_retention_took_them(
    store: Store, writer: DetailWriter, see, at, noon_us
):
    at(noon_us)
    writer.write([profile()])
    at(noon_us + 40 * DAY_US)
    with store.write() as connection:
        connection.execute(delete(store.tables.stack))
        connection.execute(delete(store.tables.code_line).where(store.tables.code_line.c.line == 5))
    later = noon_us + 40 * DAY_US
    writer.write([profile(ts_us=later)])
    assert len(see.rows("code_line")) == len(see.rows("stack")) == 3
    days = {(row["seen_day"], row["summed_day"]) for name in ("stack", "code_line") for row in see.rows(name)}
    assert days == {(later // DAY_US * 86_400, later // DAY_US * 86_400)}


def test_text_that_no_database_takes_is_made_storable(writer: DetailWriter, see):
    odd = LINES[0]._replace(file="a\0b/\udcff.py", function="f" * 2_000, source="\0" * 3_000, line=-4)
    writer.write([profile(lines=(odd, *LINES[1:]))])
    row = next(row for row in see.rows("code_line") if row["line"] == 0)
    assert row["file"] == "a\N{REPLACEMENT CHARACTER}b/?.py"
    assert len(row["function"]) == 512
    assert len(row["source"]) == code_book.LONGEST_SOURCE


# Profile the next request


def test_of_exact_profiles_the_first_one_that_was_ordered_is_kept(store: Store, writer: DetailWriter, see):
    assert writer.write([profile(exact=True)]) == (0, 1)
    (endpoint,) = see.rows("endpoint")
    order_profile(store, endpoint["id"])
    assert load_profile_orders(store) == {("shop", "shop.cart")}
    assert writer.write([profile(exact=True), profile(exact=True), profile()]) == (2, 1)
    assert load_profile_orders(store) == set()
    assert [row["exact"] for row in see.rows("profile")] == [1, 0]
    assert [row["n"] for row in see.rows("profile_day_n")] == [1]  # its times would be those of the profiler


def test_an_order_can_be_taken_back(store: Store, writer: DetailWriter, see):
    writer.write([profile()])
    own = see.rows("endpoint")[0]["id"]
    order_profile(store, own, 2)
    order_profile(store, own, 0)
    assert load_profile_orders(store) == set()
    with pytest.raises(StorageError, match="no endpoint 999"):
        order_profile(store, 999)


# Outliers, traces


def test_an_outlier_keeps_all_that_came_with_it(writer: DetailWriter, see):
    record = outlier(document=encode_document({"args": {"q": ["ä", "\ud800"]}}))
    writer.write([record, outlier(group_by=None, ip=None, cpu_percent=None, process_memory_bytes=None)])
    full, bare = see.rows("outlier")
    subjects = {row["id"]: row["value"] for row in see.rows("subject")}
    assert (full["duration"], full["average_us"], full["threshold_us"]) == (900_000, 100_000, 250_000)
    assert (subjects[full["group_id"]], subjects[full["ip_id"]]) == ("me", "10.0.0.1")
    assert (full["cpu_percent"], full["rss_bytes"], full["status"]) == (12.5, 100 << 20, 200)
    assert decode_document(bytes(full["data"])) == {"args": {"q": ["ä", "\ud800"]}}
    assert [bare[name] for name in ("group_id", "ip_id", "cpu_percent", "rss_bytes")] == [None] * 4


def test_a_document_too_large_for_some_database_is_refused(writer: DetailWriter, count):
    with pytest.raises(ValueError, match="at most 1048576"):
        writer.write([trace(document=bytes(1024 * 1024 + 1))])
    writer.write([trace(document=bytes(1024 * 1024))])
    assert count("request_trace") == 1


# Exceptions


def test_exceptions_are_counted_by_hour_place_version_kind_and_user(writer: DetailWriter, see, noon_us):
    writer.write(
        [
            exception(ts_us=noon_us),
            exception(ts_us=noon_us + 1, document=None, message="", place="", kind=HANDLED, group_by="you"),
            exception(ts_us=noon_us + HOUR_US, version="2.0", kind=CAPTURED, group_by=None),
            exception(ts_us=noon_us + HOUR_US, group_id=5, endpoint="shop.pay"),
        ]
    )
    assert sorted(
        (row["group_id"], row["bucket"] - noon_us // 1_000_000, row["kind"], row["n"])
        for row in see.rows("exception_hits")
    ) == [(5, 3600, UNHANDLED, 1), (77, 0, UNHANDLED, 1), (77, 0, HANDLED, 1), (77, 3600, CAPTURED, 1)]
    assert sorted((row["group_id"], row["n"]) for row in see.rows("exception_subject")) == [
        (5, 1),
        (77, 1),
        (77, 1),
    ]
    assert len(see.rows("exception_occurrence")) == 3


def test_a_record_may_stand_for_many_exceptions_that_were_added_up_before(writer: DetailWriter, see, noon_us):
    record = exception(ts_us=noon_us, document=None, message="", n=1000)
    batch = [record, exception(ts_us=noon_us + 1)]
    writer.write(batch)
    writer.write(batch)  # once more, as after a crash
    writer.write([record._replace(n=7)])
    assert [row["n"] for row in see.rows("exception_hits")] == [1008]
    assert [row["n"] for row in see.rows("exception_subject")] == [1008]


def test_a_group_knows_its_first_and_last_time_and_version_in_whatever_order_they_come(
    writer: DetailWriter, see, noon_us
):
    writer.write([exception(ts_us=noon_us + 50, version="2"), exception(ts_us=noon_us + 70, version="2")])
    writer.write([exception(ts_us=noon_us + 90, version="3")])
    writer.write([exception(ts_us=noon_us + 10, version="1"), exception(ts_us=noon_us + 60, version="1")])
    names = {row["id"]: row["name"] for row in see.rows("version")}
    (group,) = see.rows("exception_group")
    assert (group["first_ts"] - noon_us, group["last_ts"] - noon_us) == (10, 90)
    assert (names[group["first_version_id"]], names[group["last_version_id"]]) == ("1", "3")
    assert (group["type"], group["message"], group["place"]) == (
        "shop.errors.EmptyCart", "nothing to pay for", "shop/cart.py in total"
    )  # fmt: skip
    assert group["state"] == OPEN


def test_a_group_takes_the_first_message_there_is(writer: DetailWriter, see):
    writer.write([exception(document=None, message="", place="")])
    writer.write([exception(document=None, message="", place=""), exception(message="one", place="here")])
    writer.write([exception(message="two", place="there")])
    (group,) = see.rows("exception_group")
    assert (group["message"], group["place"]) == ("one", "here")


def test_of_a_groups_occurrences_on_a_day_the_first_and_the_last_ones_are_kept(
    writer: DetailWriter, see, noon_us
):
    times = [noon_us + n for n in range(60)]
    writer.write([exception(ts_us=ts) for ts in times[:10]])
    writer.write([exception(ts_us=ts) for ts in times[10:]])
    writer.write([exception(ts_us=noon_us + DAY_US), exception(ts_us=noon_us, group_id=1)])
    kept = [row["ts"] for row in see.rows("exception_occurrence") if row["group_id"] == 77]
    assert kept == [*times[:FIRST_KEPT], *times[-LAST_KEPT:], noon_us + DAY_US]
    assert sum(row["n"] for row in see.rows("exception_hits") if row["group_id"] == 77) == 61


def test_a_resolved_group_is_reopened_by_a_newer_version_only(
    store: Store, writer: DetailWriter, see, noon_us
):
    def met(version: str, minute: int) -> int:
        writer.write([exception(version=version, ts_us=noon_us + minute * 60_000_000)])
        return see.rows("exception_group")[0]["state"]

    assert met("1", 0) == OPEN
    assert met("2", 1) == OPEN
    assert exception_groups.resolve(store, 77, now_us=noon_us + 5 * 60_000_000)
    assert see.rows("exception_group")[0]["state"] == RESOLVED
    assert met("1", 6) == RESOLVED  # still running somewhere
    assert met("2", 7) == RESOLVED
    assert met("3", 4) == RESOLVED  # newer, but it happened before
    assert met("3", 8) == REOPENED
    assert exception_groups.unresolve(store, 77)
    row = see.rows("exception_group")[0]
    assert (row["state"], row["resolved_ts"], row["resolved_version_id"]) == (OPEN, None, None)
    assert not exception_groups.resolve(store, 78, now_us=noon_us)


def test_an_exception_outside_of_any_request_makes_no_endpoint(writer: DetailWriter, see):
    writer.write([exception(endpoint="", span_id=bytes(8)), exception()])
    assert [row["name"] for row in see.rows("endpoint")] == ["shop.cart"]
    assert sorted(row["endpoint_id"] > 0 for row in see.rows("exception_hits")) == [False, True]


def test_names_are_those_of_the_requests(store: Store, record, see):
    names = Writer(store)
    names.write([record()])
    DetailWriter(store, names).write([profile(), outlier(), exception()])
    assert len(see.rows("endpoint")) == len(see.rows("version")) == 1
    (request,) = see.rows("request")
    assert see.rows("profile")[0]["endpoint_id"] == request["endpoint_id"]


# Retention


def test_details_go_with_raw_rows_and_their_sums_with_days(
    store: Store, writer: DetailWriter, keep: Callable[..., dict[str, int]], see, noon_us
):
    writer.write([profile(), outlier(), trace(), exception(), exception(document=None)])
    assert keep() == {
        "profile": 1, "outlier": 1, "request_trace": 1, "exception_occurrence": 1, "exception_subject": 1,
        "subject": 2, "batch": 1,
    }  # fmt: skip
    assert len(see.rows("stack")) == len(see.rows("code_line")) == 3  # the sums speak of them
    assert see.rows("exception_group")


def test_nothing_is_left_when_the_sums_of_days_go(store: Store, writer: DetailWriter, see, today_us):
    writer.write([profile(), outlier(), trace(), exception(), profile(exact=True)])
    policy = Retention(raw_days=7, hourly_days=14, daily_days=30)
    counted = count_old(store, policy.cutoffs(today_us))
    deleted: dict[str, int] = {}
    for step in prune(store, policy.cutoffs(today_us)):
        deleted[step.table] = deleted.get(step.table, 0) + step.rows
    names = [
        "profile", "outlier", "request_trace", "exception_occurrence", "exception_subject", "profile_day",
        "profile_day_n", "exception_hits", "exception_group", "stack", "code_line",
    ]  # fmt: skip
    assert {name: deleted[name] for name in names} == {name: counted[name] for name in names}
    assert [name for name in names if see.rows(name)] == []


def test_paths_that_are_in_no_sums_go_with_raw_rows(store: Store, see, keep, noon_us):
    writer = DetailWriter(store, most_stacks=2)
    writer.write([chain(2), chain(4)])
    before = {row["id"] for row in see.rows("stack")}
    summed = {row["stack_id"] for row in see.rows("profile_day")}
    assert summed < before
    keep()
    assert {row["id"] for row in see.rows("stack")} == summed
    assert {row["line_id"] for row in see.rows("stack")} == {row["id"] for row in see.rows("code_line")}


def test_what_is_still_young_enough_stays(writer: DetailWriter, keep, at, today_us):
    at(today_us)
    writer.write([profile(ts_us=today_us), outlier(ts_us=today_us), exception(ts_us=today_us)])
    assert keep() == {}


def test_a_path_has_the_same_id_in_every_process(run):
    code = """
from fmd_otel_exporter.profile_data import line_id, stack_id
from fmd_otel_exporter.records import CodeLine
print(stack_id(stack_id(0, 5), line_id(CodeLine("a.py", "f", 3, "x = 1", True))))
"""
    line = line_id(LINES[0]._replace(file="a.py", function="f", line=3, source="x = 1"))
    assert run(code) == str(stack_id(stack_id(0, 5), line))


def test_what_is_remembered_is_bounded_and_looked_up_again(store: Store, monkeypatch, see):
    monkeypatch.setattr(day_stacks, "_MOST_KNOWN", 3)
    monkeypatch.setattr(code_book, "MOST_KNOWN", 5)
    writer = DetailWriter(store, most_stacks=4)
    for endpoint in ("a", "b", "a", "b"):
        writer.write([chain(4, endpoint=endpoint), chain(3, 2, endpoint=endpoint)])
    assert len(writer._day_stacks._known) == 1
    assert len(writer._book.stacks) <= 5 + 10
    line = next(row["id"] for row in see.rows("code_line") if row["function"] == TRUNCATED)
    truncated = {row["id"] for row in see.rows("stack") if row["line_id"] == line}
    by_endpoint: dict[int, set[int]] = {}
    for row in see.rows("profile_day"):
        by_endpoint.setdefault(row["endpoint_id"], set()).add(row["stack_id"])
    assert [len(own - truncated) for own in by_endpoint.values()] == [4, 4]
    assert sum(row["self_us"] for row in see.rows("profile_day")) == 4 * 10 * (4 + 6)
