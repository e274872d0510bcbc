"""What users and addresses did on each day: as the raw rows say, as long as there are any, and after that."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, insert

from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.retention import Retention, older_than, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import SUBJECT_IP, SUBJECT_USER
from fmd_otel_exporter.subject_packs import read_counts, read_latencies
from fmd_otel_exporter.subject_sums import (
    GONE,
    SEALED,
    SUMMED,
    buckets_of,
    late_sums,
    sum_up_subjects,
    written,
)
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000
POLICY = Retention(raw_days=7, hourly_days=14)


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store)


@pytest.fixture(autouse=True)
def _writers_clock(at) -> None:
    """Writers live on the day on which old things are old."""


@pytest.fixture
def add_up(store: Store, today_us: int):
    def run(now_us: int = today_us) -> None:
        compact_days(store, now_ts_us=now_us)
        for _ in sum_up_subjects(store):
            pass

    return run


def day_of(ts_us: int) -> int:
    return ts_us // DAY_US * DAY_S


def stored(see: Any) -> dict[tuple[Any, ...], tuple[int, int, int, dict[int, int]]]:
    """Return both tables, added up, with names instead of numbers."""
    names = {row["id"]: row["value"] for row in see.rows("subject")}
    endpoints = {row["id"]: row["name"] for row in see.rows("endpoint")}
    versions = {row["id"]: row["name"] for row in see.rows("version")}
    sums: dict[tuple[Any, ...], Any] = defaultdict(lambda: (0, 0, 0, {}))

    def add(row: dict[str, Any], subject: int, more: tuple[int, int, int], found: dict[int, int]) -> None:
        key = (
            endpoints[row["endpoint_id"]],
            row["day"],
            row["kind"],
            names[subject],
            versions[row["version_id"]],
        )
        n, errors, us, buckets = sums[key]
        buckets = dict(buckets)
        for bkt, times in found.items():
            buckets[bkt] = buckets.get(bkt, 0) + times
        sums[key] = (n + more[0], errors + more[1], us + more[2], buckets)

    for row in see.rows("subject_pack"):
        counts = list(read_counts(row["counts"]))
        buckets = dict(read_latencies(row["counts"], row["latencies"], [each[0] for each in counts]))
        for subject, *numbers in counts:
            add(row, subject, tuple(numbers), buckets[subject])
    for row in see.rows("subject_day"):
        buckets = buckets_of(row["n"], row["sum_us"], row["buckets"])
        add(row, row["subject_id"], (row["n"], row["errors"], row["sum_us"]), buckets)
    return dict(sums)


def expected(records: Any) -> dict[tuple[Any, ...], tuple[int, int, int, dict[int, int]]]:
    sums: dict[tuple[Any, ...], list[Any]] = defaultdict(list)
    for record in records:
        for kind, value in ((SUBJECT_USER, record.group_by), (SUBJECT_IP, record.ip)):
            if value is not None:
                sums[record.endpoint, day_of(record.ts_us), kind, value, record.version].append(record)
    found = {}
    for key, some in sums.items():
        buckets: dict[int, int] = {}
        for record in some:
            bkt = bucket_of(record.duration_us)
            buckets[bkt] = buckets.get(bkt, 0) + 1
        failed = sum(record.status >= 500 for record in some)
        found[key] = (len(some), failed, sum(record.duration_us for record in some), buckets)
    return found


def states(see: Any) -> dict[int, int]:
    return {row["day"]: row["state"] for row in see.rows("subject_rollup")}


@pytest.fixture
def traffic(record, today_us: int):
    """Requests of yesterday and the day before, of three users and some who are not signed in."""
    return [
        record(
            ts_us=today_us - DAY_US - number * 400_000_000,
            endpoint=f"page{number % 3}",
            group_by=(None, "ann", "bob", "eve")[number % 4],
            ip=f"10.0.0.{number % 5}" if number % 7 else None,
            version="12"[number % 2],
            status=500 if number % 11 == 0 else 200,
            duration_us=1_000 * (number % 13 + 1),
        )
        for number in range(300)
    ]


def test_days_that_are_over_are_added_up(writer: Writer, traffic, record, today_us: int, add_up, see):
    writer.write([*traffic, record(ts_us=today_us, group_by="ann")])
    add_up()
    assert stored(see) == expected(traffic)
    assert set(states(see).values()) == {SUMMED}
    assert see.rows("subject_day") == []
    assert len(see.rows("subject_pack")) < len(stored(see)) / 2


def test_a_busy_endpoint_is_added_up_in_shares(writer: Writer, traffic, add_up, see, monkeypatch, store):
    monkeypatch.setattr("fmd_otel_exporter.subject_sums.SLICE", 7)
    writer.write(traffic)
    add_up()
    assert stored(see) == expected(traffic)


def test_adding_up_again_does_nothing(writer: Writer, traffic, add_up, store: Store):
    writer.write(traffic)
    add_up()
    assert list(sum_up_subjects(store)) == []


def test_a_late_request_opens_its_day_again(writer: Writer, traffic, record, today_us: int, add_up, see):
    writer.write(traffic)
    add_up()
    late = record(ts_us=today_us - DAY_US - 5, group_by="new", endpoint="page9")
    writer.write([late])
    assert states(see)[day_of(late.ts_us)] < SUMMED
    add_up()
    assert stored(see) == expected([*traffic, late])
    assert set(states(see).values()) == {SUMMED}


def test_a_request_that_comes_while_its_day_is_added_up_is_not_forgotten(
    writer: Writer, traffic, record, today_us: int, store: Store, add_up, see, monkeypatch
):
    monkeypatch.setattr("fmd_otel_exporter.subject_sums.SLICE", 20)
    writer.write(traffic)
    compact_days(store, now_ts_us=today_us)
    late = [
        record(ts_us=today_us - DAY_US - number, group_by="late", endpoint=f"page{number % 3}")
        for number in range(3)
    ]
    sent = []
    for number, _ in enumerate(sum_up_subjects(store)):
        if number % 4 == 3 and len(sent) < len(late):
            sent.append(late[len(sent)])
            writer.write([sent[-1]])
    assert len(sent) == 3
    add_up()
    assert stored(see) == expected([*traffic, *late])


def test_what_was_broken_off_is_done_anew(writer: Writer, traffic, store: Store, today_us: int, add_up, see):
    writer.write(traffic)
    compact_days(store, now_ts_us=today_us)
    steps = sum_up_subjects(store)
    for _ in range(4):
        next(steps)
    steps.close()
    assert any(state < SUMMED for state in states(see).values())
    add_up()
    assert stored(see) == expected(traffic)


def test_of_two_who_add_up_the_same_day_nobody_spoils_it(
    writer: Writer, traffic, store: Store, today_us: int, add_up, see
):
    writer.write(traffic)
    compact_days(store, now_ts_us=today_us)
    one, other = sum_up_subjects(store), sum_up_subjects(store)
    for _ in range(200):
        next(one, None)
        next(other, None)
    for state, day in ((state, day) for day, state in states(see).items() if state == SUMMED):
        assert state == SUMMED
        assert {k: v for k, v in stored(see).items() if k[1] == day} == {
            k: v for k, v in expected(traffic).items() if k[1] == day
        }
    add_up()
    assert stored(see) == expected(traffic)
    assert set(states(see).values()) == {SUMMED}


# Retention


def test_users_are_still_told_apart_when_raw_rows_are_gone(writer: Writer, record, today_us: int, keep, see):
    old = [record(ts_us=today_us - age * DAY_US, group_by="ann") for age in (9, 10, 11)]
    new = record(ts_us=today_us - DAY_US, group_by="ann")
    writer.write([*old, new])
    keep(POLICY)
    assert len(see.rows("request")) == 1
    assert stored(see) == expected([*old, new])
    found = states(see)
    assert [found[day_of(record.ts_us)] for record in [*old, new]] == [SEALED] * 3 + [SUMMED]


def test_a_day_of_which_little_was_to_be_kept_is_added_up_whole(
    writer: Writer, traffic, today_us: int, store: Store, add_up, see
):
    writer.write(traffic)
    for _ in prune(store, older_than(3_600_000_000, today_us - DAY_US)):
        pass
    add_up()
    assert stored(see) == expected(traffic)


def test_raw_rows_stay_until_their_users_are_added_up(
    writer: Writer, record, today_us: int, store: Store, keep, see
):
    writer.write([record(ts_us=today_us - 10 * DAY_US, group_by="ann")])
    for _ in prune(store, POLICY.cutoffs(today_us)):
        pass
    assert len(see.rows("request")) == 1
    keep(POLICY)
    assert see.rows("request") == []
    assert len(see.rows("subject_pack")) == 1


def test_a_request_that_comes_after_its_days_raw_rows_have_gone_is_added_beside_the_sums(
    writer: Writer, record, today_us: int, keep, see
):
    old = [record(ts_us=today_us - 10 * DAY_US + number, group_by="ann", ip="::1") for number in range(3)]
    writer.write(old)
    keep(POLICY)
    late = [
        record(ts_us=today_us - 10 * DAY_US + number, group_by="ann", ip=None, duration_us=number, status=500)
        for number in (70, 71)
    ]
    writer.write(late)
    assert writer.write(late).duplicate == 2
    assert stored(see) == expected([*old, *late])
    keep(POLICY)
    assert stored(see) == expected([*old, *late])
    assert see.rows("request") == []


def test_the_sums_of_users_go_with_the_finer_sums_and_are_not_made_again(
    writer: Writer, record, today_us: int, keep, see
):
    writer.write([record(ts_us=today_us - age * DAY_US, group_by="ann") for age in (20, 1)])
    assert keep(POLICY)["subject_pack"] == 1
    assert sorted(states(see).values()) == [SUMMED, GONE]
    assert keep(POLICY) == {}
    writer.write([record(ts_us=today_us - 20 * DAY_US, group_by="eve")])
    assert len(see.rows("subject_pack")) == 1
    assert see.rows("subject_day") == []


def test_where_raw_rows_stay_for_ever_so_do_these(writer: Writer, record, today_us: int, keep, see):
    writer.write([record(ts_us=today_us - 99 * DAY_US, group_by="ann")])
    keep(Retention(raw_days=0, hourly_days=14))
    assert len(see.rows("subject_pack")) == 1
    late = record(ts_us=today_us - 99 * DAY_US + 1, group_by="ann")
    writer.write([late])
    keep(Retention(raw_days=0, hourly_days=14))
    assert [n for n, *_ in stored(see).values()] == [2]


def test_what_became_of_a_day_is_forgotten_with_its_sums(writer: Writer, record, today_us: int, keep, see):
    writer.write([record(ts_us=today_us - 40 * DAY_US, group_by="ann")])
    keep(Retention(raw_days=7, hourly_days=14, daily_days=30))
    assert states(see) == {}
    assert keep(Retention(raw_days=7, hourly_days=14, daily_days=30)) == {}


def test_a_database_of_before_is_added_up_before_its_raw_rows_go(
    writer: Writer, record, today_us: int, store: Store, keep, see
):
    writer.write([record(ts_us=today_us - 10 * DAY_US, group_by="ann")])
    compact_days(store, now_ts_us=today_us)
    with store.write() as connection:
        connection.execute(delete(store.tables.subject_rollup))
    keep(POLICY)
    assert see.rows("request") == []
    assert [n for n, *_ in stored(see).values()] == [1]


def test_days_added_up_by_earlier_releases_are_replaced_when_a_request_comes_late(
    writer: Writer, traffic, record, today_us: int, store: Store, add_up, see
):
    writer.write(traffic)
    add_up()
    day = day_of(traffic[0].ts_us)
    pack = next(row for row in see.rows("subject_pack") if (row["day"], row["kind"]) == (day, SUBJECT_USER))
    key = {name: pack[name] for name in ("endpoint_id", "day", "kind", "version_id")}
    key |= {"subject_id": next(read_counts(pack["counts"]))[0], "part": 0}
    with store.write() as connection:
        connection.execute(delete(store.tables.subject_pack).where(store.tables.subject_pack.c.day == day))
        connection.execute(insert(store.tables.subject_day).values(**key, n=3, errors=0, sum_us=9))
    late = record(ts_us=traffic[0].ts_us, group_by="new")
    writer.write([late])
    add_up()
    assert stored(see) == expected([*traffic, late])
    assert see.rows("subject_day") == []


# How buckets are written


def test_a_single_request_needs_no_buckets(writer: Writer, record, today_us: int, keep, see):
    writer.write([record(ts_us=today_us - 10 * DAY_US, group_by="ann")])
    keep(POLICY)
    writer.write([record(ts_us=today_us - 10 * DAY_US, group_by="ann", ip=None, duration_us=1234)])
    (row,) = see.rows("subject_day")
    assert row["buckets"] is None
    assert buckets_of(row["n"], row["sum_us"], row["buckets"]) == {bucket_of(1234): 1}


def test_buckets_are_read_as_they_are_written():
    buckets = {512: 1, 530: 3, 2: 70_000}
    assert written(buckets) == "2x70000 512 530x3"
    assert buckets_of(70_004, 0, written(buckets)) == buckets


def test_only_days_whose_raw_rows_go_get_rows_from_the_writer():
    def row(day: int) -> tuple[Any, ...]:
        return (1, day * DAY_US, b"", 5, 9, 1, 7, None, 200, "GET", None, b"")

    found = late_sums(
        [row(1), row(2), row(3), row(4)], {DAY_S: SUMMED, 2 * DAY_S: SEALED, 3 * DAY_S: GONE}, bytes(16)
    )
    assert [key[1] for key in found] == [2 * DAY_S]
