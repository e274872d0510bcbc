from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, select, text

from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer, WriteResult

if TYPE_CHECKING:
    from fmd_otel_exporter.records import RequestRecord

HOUR_US = 3600 * 1_000_000


@pytest.fixture
def writer(store: Store) -> Writer:
    return Writer(store, default_level=2)


def test_a_request_is_kept_with_all_that_is_known_of_it(writer: Writer, record, noon_us: int, see):
    one = record(
        ts_us=noon_us + 7,
        span_id=b"12345678",
        trace_id=b"0123456789abcdef",
        duration_us=5_000,
        headers_us=1_000,
        status=302,
        method="POST",
        group_by="(User,3)",
        ip="10.0.0.1",
        route="/cart/<int:id>",
        blueprint="shop",
    )
    assert writer.write([one]) == WriteResult(written=1, duplicate=0)

    (endpoint,) = see.rows("endpoint")
    (version,) = see.rows("version")
    subjects = {row["value"]: row for row in see.rows("subject")}
    assert endpoint == {
        "id": endpoint["id"],
        "service": "shop",
        "name": "shop.cart",
        "route": "/cart/<int:id>",
        "method": "POST",
        "blueprint": "shop",
        "level": 2,
        "first_ts": noon_us + 7,
        "last_ts": noon_us + 7,
        "level0_n": 0,
        "profile_next": 0,
        "rules": None,
        "alias": None,
        "pinned": 0,
        "merged_into": 0,
        "removed_ts": 0,
    }
    assert (version["service"], version["name"], version["first_ts"]) == ("shop", "1.0", noon_us + 7)
    assert {value: row["kind"] for value, row in subjects.items()} == {"(User,3)": 1, "10.0.0.1": 2}
    assert see.rows("request") == [
        {
            "endpoint_id": endpoint["id"],
            "ts": noon_us + 7,
            "span_id": b"12345678",
            "duration": 5_000,
            "bkt": bucket_of(5_000),
            "version_id": version["id"],
            "group_id": subjects["(User,3)"]["id"],
            "ip_id": subjects["10.0.0.1"]["id"],
            "status": 302,
            "method": "POST",
            "headers_us": 1_000,
            "trace_id": b"0123456789abcdef",
        }
    ]


def test_requests_are_summed_up_by_quarter_hour_and_their_durations_by_hour(
    writer: Writer, record, noon_us: int, see
):
    durations = {noon_us: 1_000, noon_us + 899_999_999: 3_000, noon_us + 900_000_000: 3_000}
    writer.write([record(ts_us=ts, duration_us=us) for ts, us in durations.items()])
    writer.write([record(ts_us=noon_us + 1, duration_us=500), record(ts_us=noon_us + 2, status=500)])
    noon_s = noon_us // 1_000_000
    assert [
        (r["bucket"], r["status"], r["n"], r["sum_us"], r["min_us"], r["max_us"]) for r in see.rows("hits")
    ] == [
        (noon_s, 200, 3, 4_500, 500, 3_000),
        (noon_s, 500, 1, 12_345, 12_345, 12_345),
        (noon_s + 900, 200, 1, 3_000, 3_000, 3_000),
    ]
    assert {(r["bucket"], r["bkt"]): r["n"] for r in see.rows("lat_hist")} == {
        (noon_s, bucket_of(500)): 1,
        (noon_s, bucket_of(1_000)): 1,
        (noon_s, bucket_of(3_000)): 2,
        (noon_s, bucket_of(12_345)): 1,
    }


def test_a_batch_sent_again_counts_once_in_whatever_order(store: Store, writer: Writer, record, see):
    batch = [record() for _ in range(10)]
    assert writer.write(batch) == WriteResult(10, 0)
    assert writer.write(batch) == WriteResult(0, 10)
    assert Writer(store).write(batch[::-1]) == WriteResult(0, 10)
    assert set(see.sums().values()) == {10}


def test_requests_sent_again_in_other_company_count_once(writer: Writer, record, see):
    first = [record() for _ in range(10)]
    writer.write(first)
    news = [record() for _ in range(5)]
    assert writer.write([*news[:2], *first[3:7], *news[2:]]) == WriteResult(5, 4)
    assert set(see.sums().values()) == {15}
    assert writer.write([*first, *news]) == WriteResult(0, 15)
    assert set(see.sums().values()) == {15}


def test_the_same_request_twice_in_a_batch_counts_once(writer: Writer, record, see):
    one, two = record(), record()
    assert writer.write([one, two, one]) == WriteResult(2, 1)
    assert set(see.sums().values()) == {2}


def test_requests_without_ids_are_told_apart_by_time(writer: Writer, record, noon_us: int, see):
    for second in range(3):
        nameless = record(span_id=bytes(8), trace_id=bytes(16), ts_us=noon_us + second)
        assert writer.write([nameless]) == WriteResult(1, 0)
    assert set(see.sums().values()) == {3}


def test_level_0_leaves_only_the_endpoints_count_and_last_time(writer: Writer, record, noon_us: int, see):
    quiet = [record(level=0, ts_us=noon_us + n, version="0.9", group_by="me", ip="::1") for n in (5, 9, 1)]
    assert writer.write(quiet) == WriteResult(3, 0)
    assert writer.write(quiet) == WriteResult(0, 3)
    (endpoint,) = see.rows("endpoint")
    assert (endpoint["first_ts"], endpoint["last_ts"], endpoint["level0_n"]) == (noon_us + 1, noon_us + 9, 3)
    assert set(see.sums().values()) == {0}
    assert see.rows("version") == see.rows("subject") == []


def test_levels_may_be_mixed_in_a_batch(writer: Writer, record, noon_us: int, see):
    assert writer.write(
        [record(level=level, ts_us=noon_us + level) for level in (0, 1, 2, 3)]
    ) == WriteResult(4, 0)
    (endpoint,) = see.rows("endpoint")
    assert (endpoint["level0_n"], endpoint["last_ts"]) == (1, noon_us + 3)
    assert set(see.sums().values()) == {3}


def test_first_and_last_times_are_kept_as_extremes(store: Store, writer: Writer, record, noon_us: int, see):
    for ts in (noon_us, noon_us + 50, noon_us - 50, noon_us + 20):
        writer.write([record(ts_us=ts)])
    (endpoint,), (version,) = see.rows("endpoint"), see.rows("version")
    assert (endpoint["first_ts"], endpoint["last_ts"]) == (noon_us - 50, noon_us + 50)
    assert version["first_ts"] == noon_us - 50
    # Another process that has just learnt the version lowers it, too, and never raises it.
    Writer(store).write([record(ts_us=noon_us - 90)])
    writer.write([record(ts_us=noon_us - 70)])
    assert see.rows("version")[0]["first_ts"] == noon_us - 90


def test_a_late_request_takes_its_day_out_of_the_register(
    store: Store, writer: Writer, record, noon_us: int, see
):
    register = store.tables.rollup_day
    today = noon_us // 86_400_000_000 * 86_400
    with store.write() as connection:
        connection.execute(register.insert(), [{"day": today}, {"day": today - 86_400}])
    writer.write([record(ts_us=noon_us - 24 * HOUR_US)])
    assert [row["day"] for row in see.rows("rollup_day")] == [today]


def test_a_failing_transaction_keeps_nothing(writer: Writer, record, monkeypatch, see):
    writer.write([record()])
    before = see.rows("hits")
    monkeypatch.setattr(writer, "_keep_days_right", lambda *_: 1 / 0)
    batch = [record(), record()]
    with pytest.raises(ZeroDivisionError):
        writer.write(batch)
    monkeypatch.undo()
    assert see.rows("hits") == before
    assert len(see.rows("batch")) == 1
    assert writer.write(batch) == WriteResult(2, 0)
    assert set(see.sums().values()) == {3}


def test_clocks_that_step_back_and_absurd_numbers_are_clamped(writer: Writer, record, see):
    writer.write(
        [
            record(duration_us=-5, headers_us=-7),
            record(duration_us=2**63 + 1, ts_us=-(2**70), status=99_999),
            record(duration_us=2**62, ts_us=2**70, status=-1),
            record(duration_us=0, headers_us=2**70),
        ]
    )
    found = see.rows("request")
    assert sorted(row["duration"] for row in found) == [0, 0, 366 * 86_400 * 10**6, 366 * 86_400 * 10**6]
    assert {row["ts"] for row in found if row["duration"]} == {0, 253_402_300_799_000_000}
    assert {row["status"] for row in found} == {0, 200}
    assert {row["headers_us"] for row in found} == {None}
    assert set(see.sums().values()) == {4}


def test_numbers_beyond_32_bits_are_kept_exactly(writer: Writer, record, see):
    year = 365 * 86_400 * 1_000_000
    writer.write([record(duration_us=year) for _ in range(1000)])
    writer.write([record(duration_us=year) for _ in range(1000)])
    (hits,) = see.rows("hits")
    assert hits["sum_us"] == 2000 * year > 2**55
    assert see.rows("request")[0]["duration"] == year > 2**32


def test_headers_time_is_kept_only_where_a_body_took_longer(writer: Writer, record, see):
    writer.write([record(duration_us=100, headers_us=us) for us in (None, 100, 40, 0)])
    assert [row["headers_us"] for row in see.rows("request")] == [None, None, 40, 0]


def test_nothing_is_written_for_an_empty_batch(writer: Writer, see):
    assert writer.write([]) == WriteResult(0, 0)
    assert see.rows("batch") == []


def test_names_forgotten_are_asked_for_again(writer: Writer, record, monkeypatch, see):
    monkeypatch.setattr("fmd_otel_exporter.dimensions._MOST_NAMES", 10)
    for turn in range(3):
        writer.write(
            [
                record(endpoint=f"e{n}", version=f"v{n}", group_by=f"u{n}", ip=f"i{n}", method=f"M{n}")
                for n in range(turn * 20, turn * 20 + 30)
            ]
        )
    assert len(see.rows("endpoint")) == len(see.rows("version")) == 70
    assert len(see.rows("subject")) == 140
    assert set(see.sums().values()) == {90}


def test_many_new_names_at_once_are_all_kept(writer: Writer, record, see):
    batch: list[RequestRecord] = [record(group_by=f"user {n}", ip=f"ip {n}") for n in range(1_300)]
    writer.write(batch)
    values = {row["id"]: row["value"] for row in see.rows("subject")}
    assert len(values) == 2_600
    users = {record.span_id: record.group_by for record in batch}
    assert {row["span_id"]: values[row["group_id"]] for row in see.rows("request")} == users


def test_a_raw_row_is_small(store: Store, writer: Writer, record):
    writer.write([record(group_by=f"u{n % 50}", ip=f"10.0.0.{n % 50}") for n in range(5_000)])
    with store.write() as connection:
        connection.execute(delete(store.tables.lat_hist))
        size = connection.scalar(text("SELECT sum(pgsize) FROM dbstat WHERE name = 'fmd_request'"))
    assert size / 5_000 <= 75


def test_the_tables_prefix_is_used_throughout(url: str, record):
    other = open_store(url, "team_b")
    Writer(other).write([record()])
    with other.read() as connection:
        assert connection.execute(select(text("count(*)")).select_from(text("team_b_request"))).scalar() == 1
    other.dispose()
