"""What is old goes, what is not stays, and the sums of days are right whatever comes late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete, event, update

from fmd_otel_exporter.deleting import TARGET_S, Pace
from fmd_otel_exporter.rebuilding import hours_to_compare, rebuild
from fmd_otel_exporter.retention import Cutoffs, Retention, count_old, older_than, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer, WriteResult
from tests.exporter.conftest import WEEK

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

S_US = 1_000_000
HOUR_US = 3_600 * S_US
DAY_S = 86_400
DAY_US = DAY_S * S_US


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store)


@pytest.fixture(autouse=True)
def _writers_clock(at) -> None:
    """Writers live on the day on which old things are old."""


def day_of(ts_us: int) -> int:
    return ts_us // DAY_US * DAY_S


def test_by_default_rows_stay_30_days_hours_90_and_days_for_ever(noon_us: int):
    today = noon_us // DAY_US * DAY_S
    assert Retention().cutoffs(noon_us) == Cutoffs(
        now_us=noon_us, raw_us=noon_us - 30 * DAY_US, hourly_s=today - 90 * DAY_S, daily_s=None
    )


def test_0_days_keep_for_ever(writer: Writer, record, today_us: int, keep, see):
    writer.write([record(ts_us=0, group_by="me")])
    assert keep(Retention(0, 0, 0)) == {}
    assert see.sums() == {"requests": 1, "hits": 1, "latencies": 1}


def test_rows_go_by_their_age_and_sums_by_that_of_their_day(writer: Writer, record, today_us: int, keep, see):
    for age_us in (
        0,
        7 * DAY_US - 1,
        7 * DAY_US + 1,
        14 * DAY_US + 11 * HOUR_US,
        14 * DAY_US + 13 * HOUR_US,
    ):
        for endpoint in ("a", "b"):
            writer.write([record(ts_us=today_us - age_us, endpoint=endpoint)])
    assert keep() == {"request": 6, "hits": 2, "lat_hist": 2}
    assert {row["ts"] for row in see.rows("request")} == {today_us, today_us - 7 * DAY_US + 1}
    # The day on which the horizon lies is kept whole.
    assert {row["bucket"] for row in see.rows("hits")} >= {day_of(today_us - 14 * DAY_US) + 3600}
    assert see.sums() == {"requests": 4, "hits": 8, "latencies": 8}
    assert sum(row["n"] for row in see.rows("hits_day")) == 8 - 2 + 2
    assert keep() == {}


def test_rows_stay_until_their_users_are_added_up_on_the_first_minutes_after_midnight_as_well(
    store: Store, writer: Writer, record, today_us: int, see
):
    midnight_us = today_us // DAY_US * DAY_US
    moments = [midnight_us - DAY_US + minute * 60 * S_US for minute in (1, 2, 30)]
    writer.write([record(ts_us=ts_us, group_by="me") for ts_us in moments])
    for minutes, left in ((5, moments), (11, moments[2:])):
        now_us = midnight_us + minutes * 60 * S_US
        compact_days(store, now_ts_us=now_us)
        for _ in prune(store, Retention(raw_days=1).cutoffs(now_us)):
            pass
        assert [row["ts"] for row in see.rows("request")] == left


@pytest.mark.parametrize("age_us", [0, HOUR_US, 6 * HOUR_US, 25 * HOUR_US])
def test_however_short_the_age_no_day_is_cut_before_it_is_over(
    store: Store, writer: Writer, record, noon_us: int, see, age_us: int
):
    moments = [noon_us + hours * HOUR_US for hours in (-25, -13, -11, -5, -1, 1)]
    writer.write([record(ts_us=ts_us, group_by="me", ip="::1") for ts_us in moments])
    compact_days(store, now_ts_us=noon_us)
    cutoffs = older_than(age_us, noon_us)
    for _ in sum_up_subjects(store):
        pass
    counted = count_old(store, cutoffs)["request"]
    gone = sum(step.rows for step in prune(store, cutoffs) if step.table == "request")
    left = [ts_us for ts_us in moments if ts_us >= min(noon_us - age_us, noon_us - 12 * HOUR_US)]
    assert [row["ts"] for row in see.rows("request")] == left
    assert gone == counted == len(moments) - len(left)
    assert cutoffs.spares_open_day == (age_us < 12 * HOUR_US)


def test_a_day_of_which_little_was_to_be_kept_has_right_sums_whatever_comes_late_and_is_made_anew(
    store: Store, writer: Writer, record, noon_us: int, see
):
    moments = [noon_us + minutes * 60 * S_US for minutes in range(-600, 0, 50)]
    writer.write([record(ts_us=ts_us, group_by="me", ip="::1") for ts_us in moments])
    for _ in prune(store, older_than(HOUR_US, noon_us)):
        pass
    writer.write([record(ts_us=noon_us - 9 * HOUR_US, group_by="me")])
    assert [hour for hour in rebuild(store, hours_to_compare(store)) if hour.rebuilt] == []
    now_us = noon_us + DAY_US
    for late in range(2):
        compact_days(store, now_ts_us=now_us)
        for _ in prune(store, older_than(HOUR_US, now_us)):
            pass
        assert see.rows("request") == []
        writer.write([record(ts_us=noon_us - (8 + late) * HOUR_US, group_by="me")])
        assert [hour for hour in rebuild(store, hours_to_compare(store)) if hour.rebuilt] == []
        assert sum(row["n"] for row in see.rows("hits_day")) == 14 + late


def test_nothing_is_written_when_nothing_is_old(store: Store, writer: Writer, record, today_us: int):
    writer.write([record(ts_us=today_us)])
    begun: list[str] = []
    with store.write() as connection:
        event.listen(connection.engine, "begin", lambda _: begun.append("write"))
    assert not any(step.rows for step in prune(store, WEEK.cutoffs(today_us)))
    assert begun == []


def test_each_step_is_small_and_a_transaction_of_its_own(
    store: Store, writer: Writer, record, today_us: int, monkeypatch, see
):
    monkeypatch.setattr("fmd_otel_exporter.deleting.CHUNK", 3)
    # Many at the very same moment: time alone does not tell them apart.
    old = [record(ts_us=5) for _ in range(10)] + [record(ts_us=6 + n // 2) for n in range(10)]
    new = record(ts_us=today_us)
    writer.write([*old, new])
    compact_days(store, now_ts_us=today_us)
    left = 21
    for step in prune(store, WEEK.cutoffs(today_us)):
        if step.table == "request":
            assert step.rows <= 3
            left -= step.rows
            assert see.sums()["requests"] == left
    assert [row["ts"] for row in see.rows("request")] == [today_us]


def test_where_a_transaction_takes_long_the_next_ones_are_smaller():
    pace = Pace()
    sizes = [pace.rows]
    for seconds in (1, 1, 1, 1, TARGET_S, 0, 0, 0, 0, 0, 0):
        pace.took(seconds)
        sizes.append(pace.rows)
    assert sizes == [1000, 500, 250, 125, 100, 100, 151, 227, 341, 512, 769, 1000]


def test_a_request_that_comes_in_during_a_run_is_kept(
    store: Store, writer: Writer, record, today_us: int, monkeypatch, see
):
    monkeypatch.setattr("fmd_otel_exporter.deleting.CHUNK", 2)
    writer.write([record(ts_us=n, endpoint=f"e{n % 3}") for n in range(12)])
    compact_days(store, now_ts_us=today_us)
    sent = 12
    for _ in prune(store, WEEK.cutoffs(today_us)):
        writer.write([record(ts_us=today_us - sent), record(ts_us=sent % 5, endpoint="e1")])
        sent += 2
    assert sum(row["n"] for row in see.rows("hits_day")) == 12 + (sent - 12) // 2
    assert len([row for row in see.rows("request") if row["ts"] > DAY_US]) == (sent - 12) // 2


def test_days_that_are_not_summed_up_keep_their_finer_sums(
    store: Store, writer: Writer, record, today_us: int, see
):
    days = [today_us - age * DAY_US for age in (40, 30, 20)]
    writer.write([record(ts_us=ts) for ts in days])
    compact_days(store, now_ts_us=today_us)
    writer.write([record(ts_us=days[1])])  # which opens that day again
    deleted = list(prune(store, WEEK.cutoffs(today_us)))
    assert sum(step.rows for step in deleted if step.table == "hits") == 2
    assert {day_of(row["bucket"] * S_US) for row in see.rows("hits")} == {day_of(days[1])}
    compact_days(store, now_ts_us=today_us)
    assert sum(row["n"] for row in see.rows("hits_day")) == 4


def test_a_request_that_comes_after_its_days_finer_sums_have_gone_is_in_the_sums_of_the_day(
    writer: Writer, record, today_us: int, keep, see
):
    then = today_us - 40 * DAY_US
    writer.write([record(ts_us=then, duration_us=20, status=200), record(ts_us=then, duration_us=30)])
    keep()
    assert see.rows("hits") == []
    writer.write(
        [
            record(ts_us=then + HOUR_US, duration_us=5),
            record(ts_us=then - HOUR_US, duration_us=1_000),
            record(ts_us=then, duration_us=7, status=500, version="2"),
            record(ts_us=today_us),
        ]
    )
    for _ in range(2):
        days = {(row["status"], row["bucket"]): row for row in see.rows("hits_day")}
        late = days[200, day_of(then)]
        assert (late["n"], late["sum_us"], late["min_us"], late["max_us"]) == (4, 1055, 5, 1000)
        assert days[500, day_of(then)]["n"] == 1
        assert sum(row["n"] for row in see.rows("lat_hist_day") if row["bucket"] == day_of(then)) == 5
        assert [row["sealed"] for row in see.rows("rollup_day") if row["day"] == day_of(then)] == [1]
        keep()
    assert {day_of(row["bucket"] * S_US) for row in see.rows("hits")} == {day_of(today_us)}


def test_a_late_batch_that_is_sent_again_counts_once(writer: Writer, record, today_us: int, keep, see):
    then = today_us - 40 * DAY_US
    writer.write([record(ts_us=then)])
    keep()
    late = [record(ts_us=then), record(ts_us=then + 1)]
    assert writer.write(late) == WriteResult(2, 0)
    assert writer.write(late) == WriteResult(0, 2)
    assert writer.write([*late, record(ts_us=then + 2)]) == WriteResult(1, 2)
    assert sum(row["n"] for row in see.rows("hits_day")) == 4


def test_a_late_request_for_a_day_that_had_none_is_summed_up_as_any_other(
    writer: Writer, record, today_us: int, keep, see
):
    writer.write([record(ts_us=today_us - 40 * DAY_US)])
    keep()
    writer.write([record(ts_us=today_us - 41 * DAY_US), record(ts_us=today_us - 39 * DAY_US)])
    keep()
    assert see.rows("hits") == []
    writer.write([record(ts_us=today_us - 41 * DAY_US)])
    assert [row["n"] for row in see.rows("hits_day")] == [2, 1, 1]


def test_a_writer_that_began_before_a_day_was_sealed_still_opens_it_again(
    store: Store, writer: Writer, record, today_us: int, keep, see
):
    """The day is taken out of the register; so it is not sealed, and loses nothing."""
    then = today_us - 40 * DAY_US
    writer.write([record(ts_us=then)])
    compact_days(store, now_ts_us=today_us)
    writer.write([record(ts_us=then, duration_us=1)])
    for _ in prune(store, WEEK.cutoffs(today_us)):
        pass
    assert len(see.rows("hits")) == 1
    keep()
    (day,) = see.rows("hits_day")
    assert (day["n"], day["min_us"]) == (2, 1)


def test_sums_of_days_go_where_they_have_an_end(writer: Writer, record, today_us: int, keep, see):
    policy = Retention(raw_days=7, hourly_days=14, daily_days=60)
    writer.write([record(ts_us=today_us - age * DAY_US) for age in (1, 30, 59, 61, 99)])
    deleted = keep(policy)
    assert (deleted["hits_day"], deleted["lat_hist_day"]) == (2, 2)
    kept = [day_of(today_us - age * DAY_US) for age in (59, 30, 1)]
    assert [row["bucket"] for row in see.rows("hits_day")] == kept
    assert [row["day"] for row in see.rows("rollup_day")] == kept
    # What comes so late goes like the rest of its day.
    writer.write([record(ts_us=today_us - age * DAY_US) for age in (61, 75)])
    keep(policy)
    assert [row["bucket"] for row in see.rows("hits_day")] == kept
    assert [row["bucket"] // DAY_S * DAY_S for row in see.rows("hits")] == kept[2:]


def test_the_ledger_is_kept_for_a_week(store: Store, writer: Writer, record, today_us: int, keep, see):
    batch = store.tables.batch
    with store.write() as connection:
        connection.execute(
            batch.insert(),
            [
                {"id": number.to_bytes(16, "little"), "ts": today_us - age * DAY_US}
                for number, age in enumerate([0, 6, 8, 700] * 700)
            ],
        )
    assert keep(Retention(0, 0, 0)) == {"batch": 1400}
    assert {today_us - row["ts"] for row in see.rows("batch")} == {0, 6 * DAY_US}


@pytest.mark.parametrize("retention", [Retention(30, 90, 0), Retention(30, 8, 0), Retention(0, 8, 0)])
def test_requests_that_the_ledger_has_forgotten_count_once_for_as_long_as_their_rows_are_there(
    store: Store, writer: Writer, record, today_us: int, keep, see, retention: Retention
):
    """As out of the spool of a machine that was off for a while."""
    batch = [
        record(ts_us=today_us - age * DAY_US, endpoint=name, duration_us=age, group_by="ada", ip="::1")
        for age in (0, 1, 9, 20)
        for name in ("one", "two")
    ]
    writer.write(batch)
    keep(retention)
    sums = ("hits", "lat_hist", "hits_day", "lat_hist_day", "subject_pack", "subject_day")
    before = {table: see.rows(table) for table in sums}
    with store.write() as connection:
        connection.execute(delete(store.tables.batch))

    assert Writer(store).write(batch) == WriteResult(0, 8)
    assert Writer(store).write([*batch[3:], record(ts_us=today_us, endpoint="new")]) == WriteResult(1, 5)

    keep(retention)
    one = {row["id"] for row in see.rows("endpoint") if row["name"] != "new"}
    assert {table: [row for row in see.rows(table) if row["endpoint_id"] in one] for table in sums} == before
    assert len(see.rows("request")) == 9


def test_sign_ins_that_have_run_out_are_cleared_away(store: Store, today_us: int, keep, see):
    t = store.tables
    for age_us, name in ((-1, "new"), (1, "old")):
        digest, at = name.encode() * 10, today_us - age_us
        with store.write() as connection:
            connection.execute(
                t.session.insert(), {"token_hash": digest, "user_id": 1, "created_ts": 1, "expires_ts": at}
            )
            connection.execute(t.setup_token.insert(), {"token_hash": digest, "expires_ts": at})
            connection.execute(t.login_attempt.insert(), {"client": name, "ts": at - DAY_US})
    assert keep(Retention(0, 0, 0)) == {"session": 1, "setup_token": 1, "login_attempt": 1}
    assert [row["client"] for row in see.rows("login_attempt")] == ["new"]


# Users and addresses


def _names(see: Any) -> set[str]:
    return {row["value"] for row in see.rows("subject")}


def test_users_and_addresses_go_with_their_last_row(writer: Writer, record, today_us: int, keep, see, at):
    for age, user in ((20, "gone"), (20, "back"), (8, "on the edge"), (1, "back"), (0, "here")):
        at(today_us - age * DAY_US)
        writer.write([record(ts_us=today_us - age * DAY_US, group_by=user, ip=f"ip of {user}")])
    assert keep()["subject"] == 2
    users = {"back", "on the edge", "here"}
    assert _names(see) == users | {f"ip of {user}" for user in users}
    assert keep(Retention(0, 0, 0)) == {}


def test_a_writer_never_uses_an_id_that_has_been_deleted(store: Store, record, today_us: int, keep, see, at):
    idle, busy = Writer(store), Writer(store)
    at(today_us - 20 * DAY_US)
    for writer in (idle, busy):
        writer.write([record(ts_us=today_us - 20 * DAY_US, group_by="me")])
    at(today_us)
    keep()
    assert _names(see) == set()
    for writer in (busy, idle):
        writer.write([record(ts_us=today_us, group_by="me")])
    (subject,) = see.rows("subject")
    assert {row["group_id"] for row in see.rows("request")} == {subject["id"]}
    assert subject["value"] == "me"


def test_a_user_deleted_while_being_looked_up_is_made_again(
    store: Store, record, today_us: int, keep, see, at, monkeypatch
):
    at(today_us - 20 * DAY_US)
    Writer(store).write([record(ts_us=today_us - 20 * DAY_US, group_by="me", ip="10.0.0.1")])
    at(today_us)
    writer = Writer(store)
    dimensions = writer._dimensions
    original, meanwhile = dimensions._note_use, [keep]

    def note_use(ids):
        while meanwhile:
            meanwhile.pop()()
        return original(ids)

    monkeypatch.setattr(dimensions, "_note_use", note_use)
    writer.write([record(ts_us=today_us, group_by="me", ip="10.0.0.1")])
    ids = {row["kind"]: row["id"] for row in see.rows("subject")}
    (row,) = see.rows("request")
    assert (row["group_id"], row["ip_id"]) == (ids[1], ids[2])


def test_users_of_a_time_when_it_was_not_noted_begin_to_age(
    store: Store, writer: Writer, record, today_us: int, keep, see
):
    writer.write([record(group_by="me")])
    with store.write() as connection:
        connection.execute(update(store.tables.subject).values(seen_day=None))
    keep()
    assert [row["seen_day"] for row in see.rows("subject")] == [day_of(today_us)]
    keep(now_us=today_us + 16 * DAY_US)
    assert _names(see) == {"me"}
    keep(now_us=today_us + 18 * DAY_US)
    assert _names(see) == set()


def test_a_user_met_again_on_another_day_is_dated_anew(store: Store, record, today_us: int, see, at):
    writer, other = Writer(store), Writer(store)
    for day in range(3):
        at(today_us + day * DAY_US)
        writer.write([record(group_by="me"), record(group_by="me")])
        other.write([record(group_by="me")])
        assert [row["seen_day"] for row in see.rows("subject")] == [day_of(today_us + day * DAY_US)]


# What would go


def test_what_would_be_deleted_is_counted_without_deleting(
    store: Store, writer: Writer, record, today_us: int, keep, see, at
):
    at(today_us - 99 * DAY_US)
    writer.write(
        [
            record(ts_us=today_us - age * DAY_US, endpoint=endpoint, group_by="me")
            for age in (0, 10, 30, 90)
            for endpoint in "ab"
        ]
    )
    policy = Retention(7, 14, 60)
    compact_days(store, now_ts_us=today_us)
    for _ in sum_up_subjects(store):
        pass
    counted = count_old(store, policy.cutoffs(today_us))
    before = see.sums()
    assert {table: rows for table, rows in counted.items() if rows} == {
        "request": 6,
        "hits": 4,
        "lat_hist": 4,
        "subject_pack": 4,
        "hits_day": 2,
        "lat_hist_day": 2,
        "subject": 1,
        "batch": 1,
    }
    assert see.sums() == before
    assert keep(policy) == {table: rows for table, rows in counted.items() if rows}
