from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, event

from fmd_otel_exporter import lease
from fmd_otel_exporter.rollups import GRACE_S, compact_days
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

DAY_US = 86_400_000_000


@pytest.fixture
def tomorrow_us(noon_us: int) -> int:
    """The first moment at which noon's day counts as over."""
    return noon_us // DAY_US * DAY_US + DAY_US + GRACE_S * 1_000_000


def _by_day(rows: list[dict[str, int]]) -> dict[tuple[int, ...], list[int]]:
    sums: dict[tuple[int, ...], list[int]] = {}
    for row in rows:
        last = row.get("bkt", row.get("status"))
        key = (row["endpoint_id"], row["bucket"] // 86_400 * 86_400, row["version_id"], last)
        new = [row["n"], row.get("sum_us", 0), row.get("min_us", 0), row.get("max_us", 0)]
        old = sums.get(key)
        sums[key] = (
            new
            if old is None
            else [old[0] + new[0], old[1] + new[1], min(old[2], new[2]), max(old[3], new[3])]
        )
    return sums


def test_a_day_that_is_over_is_summed_up_and_registered(
    store: Store, record, noon_us: int, tomorrow_us: int, see
):
    Writer(store).write(
        [
            record(
                ts_us=noon_us + hour * 3_600_000_000,
                duration_us=1_000 * hour + 5,
                status=status,
                version=version,
            )
            for hour in range(-12, 12)
            for status in (200, 500)
            for version in ("1", "2")
        ]
    )
    assert compact_days(store, now_ts_us=tomorrow_us - 1) == 0
    assert compact_days(store, now_ts_us=tomorrow_us) == 1
    assert see.rows("rollup_day") == [{"day": noon_us // DAY_US * 86_400, "sealed": 0}]
    assert _by_day(see.rows("hits_day")) == _by_day(see.rows("hits"))
    assert _by_day(see.rows("lat_hist_day")) == _by_day(see.rows("lat_hist"))
    assert len(see.rows("hits_day")) == 4


def test_compacting_again_does_nothing(store: Store, record, tomorrow_us: int, see):
    Writer(store).write([record()])
    compact_days(store, now_ts_us=tomorrow_us)
    before = see.rows("hits_day"), see.rows("lat_hist_day")
    assert compact_days(store, now_ts_us=tomorrow_us) == 0
    assert (see.rows("hits_day"), see.rows("lat_hist_day")) == before


def test_a_late_request_is_in_the_days_sums_after_the_next_run(store: Store, record, tomorrow_us: int, see):
    writer = Writer(store)
    writer.write([record(), record(duration_us=7)])
    compact_days(store, now_ts_us=tomorrow_us)
    writer.write([record(duration_us=1)])
    assert see.rows("rollup_day") == []
    assert compact_days(store, now_ts_us=tomorrow_us) == 1
    (day,) = see.rows("hits_day")
    assert (day["n"], day["min_us"]) == (3, 1)
    assert sum(row["n"] for row in see.rows("lat_hist_day")) == 3


def test_days_between_registered_ones_and_days_without_requests_are_told_apart(
    store: Store, record, noon_us: int, tomorrow_us: int, see
):
    writer = Writer(store)
    today = noon_us // DAY_US * 86_400
    writer.write([record(ts_us=noon_us - days * DAY_US, endpoint=f"e{days}") for days in (0, 2, 9)])
    assert compact_days(store, now_ts_us=tomorrow_us) == 3
    writer.write([record(ts_us=noon_us - days * DAY_US) for days in (5, 9, 40)])
    assert compact_days(store, now_ts_us=tomorrow_us) == 3
    assert [row["day"] for row in see.rows("rollup_day")] == [
        today - days * 86_400 for days in (40, 9, 5, 2, 0)
    ]
    assert _by_day(see.rows("hits_day")) == _by_day(see.rows("hits"))


def test_requests_from_the_future_stay_open(store: Store, record, noon_us: int, tomorrow_us: int, see):
    Writer(store).write([record(ts_us=noon_us + 400 * DAY_US), record(ts_us=2**62)])
    assert compact_days(store, now_ts_us=tomorrow_us) == 0
    assert see.rows("rollup_day") == []


def test_one_process_compacts_at_a_time(store: Store, record, tomorrow_us: int, see):
    Writer(store).write([record()])
    assert lease.acquire(store, "compact_days", "somebody else", now_ts_us=tomorrow_us, for_us=60_000_000)
    assert compact_days(store, now_ts_us=tomorrow_us) == 0
    # The other one died: its lease runs out.
    assert compact_days(store, now_ts_us=tomorrow_us + 60_000_000) == 1
    assert see.rows("lease") == []


def test_nothing_is_written_when_nothing_is_to_do(store: Store, tomorrow_us: int):
    begun: list[str] = []
    with store.write() as connection:
        engine = connection.engine
    event.listen(engine, "begin", lambda _: begun.append("write"))
    assert compact_days(store, now_ts_us=tomorrow_us) == 0
    assert begun == []


def test_old_sums_of_a_day_are_replaced_even_where_their_rows_are_gone(
    store: Store, record, tomorrow_us: int, see
):
    writer = Writer(store)
    writer.write([record(status=200), record(status=404)])
    compact_days(store, now_ts_us=tomorrow_us)
    with store.write() as connection:
        connection.execute(delete(store.tables.hits).where(store.tables.hits.c.status == 404))
        connection.execute(delete(store.tables.rollup_day))
    compact_days(store, now_ts_us=tomorrow_us)
    assert [row["status"] for row in see.rows("hits_day")] == [200]


def test_a_lease_is_renewed_by_its_owner_and_given_back(store: Store):
    def take(owner: str, now: int) -> bool:
        return lease.acquire(store, "job", owner, now_ts_us=now, for_us=100)

    assert take("a", 0)
    assert take("a", 50)
    assert not take("b", 149)
    assert take("b", 150)
    lease.release(store, "job", "a")
    assert not take("a", 151)
    lease.release(store, "job", "b")
    assert take("a", 152)


def test_processes_that_share_host_and_number_tell_each_other_apart(run):
    code = (
        "import os, socket\n"
        "from fmd_otel_exporter.lease import this_process\n"
        "os.getpid, socket.gethostname = lambda: 1, lambda: 'web'\n"
        "assert this_process() == this_process()\n"
        "print(this_process())\n"
    )
    names = {run(code), run(code)}
    assert len(names) == 2
    assert all(name.startswith("web:1:") for name in names)


def test_a_forked_process_is_another_one(run):
    code = (
        "import os\n"
        "from fmd_otel_exporter.lease import this_process\n"
        "name = this_process()\n"
        "if os.fork() == 0:\n"
        "    os._exit(this_process() == name)\n"
        "print(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    assert run(code) == "0"
