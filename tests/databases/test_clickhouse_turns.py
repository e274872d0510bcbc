"""ClickHouse has no locks: whoever changes a small table takes a turn, and one who fails leaves no trace."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading

import pytest
from sqlalchemy import func, insert, inspect, select, text

from fmd_otel_exporter.clock import database_now_us
from fmd_otel_exporter.dialects.clickhouse_mutex import TABLE
from fmd_otel_exporter.maintainer import LEASE, Maintainer
from fmd_otel_exporter.retention import Retention
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer, WriteResult

pytestmark = pytest.mark.parametrize("kind", ["clickhouse"], indirect=True)


def test_a_failed_change_of_settings_is_taken_back(store: Store):
    user = store.tables.user
    with store.write() as connection:
        connection.execute(insert(user).values(username="ada", password_hash="1", role="admin", created_ts=1))

    def change_and_fail() -> None:
        with store.write() as connection:
            connection.execute(user.update().values(role="guest"))
            connection.execute(user.delete().where(user.c.username == "ada"))
            connection.execute(
                insert(user).values(username="bob", password_hash="2", role="guest", created_ts=2)
            )
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    with store.read() as connection:
        assert connection.execute(select(user.c.username, user.c.role)).all() == [("ada", "admin")]


def test_ids_are_counted_by_many_at_once_without_two_the_same(store: Store):
    subject = store.tables.subject
    names = [f"user{number}" for number in range(12)]

    def add(mine: list[str]) -> None:
        rows = [{"kind": 1, "value": name, "seen_day": 0} for name in mine]
        store.run(lambda connection: connection.execute(store.dialect.insert_new(subject), rows))

    threads = [threading.Thread(target=add, args=(names[start : start + 6],)) for start in (0, 3, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        found = connection.execute(select(subject.c.id, subject.c.value)).all()
    assert sorted(value for _, value in found) == sorted(names)
    assert len({number for number, _ in found}) == len(names)


def test_a_turn_whose_holder_was_killed_ends_by_itself(store: Store):
    hold = (
        "import os, sys\n"
        "from fmd_otel_exporter.dialects import clickhouse_mutex\n"
        "from fmd_otel_exporter.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "clickhouse_mutex.LASTS_S = 1\n"
        "with store.write():\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", hold, store.url], check=False).returncode == 9
    with store.write() as connection:
        assert connection.scalar(select(func.count()).select_from(store.tables.user)) == 0


def test_users_who_are_deleted_leave_nothing_behind(store: Store):
    subject = store.tables.subject

    def add(*names: str) -> None:
        rows = [{"kind": 1, "value": name, "seen_day": 0} for name in names]
        store.run(lambda connection: connection.execute(store.dialect.insert_new(subject), rows))

    add("ada", "bob")
    with store.write() as connection:
        connection.execute(subject.update().where(subject.c.value == "ada").values(seen_day=5))
    with store.write() as connection:
        connection.execute(subject.delete().where(subject.c.seen_day == 0))
    stored = text("SELECT value, fmd_gone FROM fmd_subject ORDER BY fmd_version SETTINGS final = 0")
    with store.read() as connection:
        assert {*connection.execute(stored)} == {("ada", 0)}
    with store.write() as connection:
        connection.execute(subject.delete().where(subject.c.value == "ada"))
    with store.read() as connection:
        assert connection.execute(stored).all() == []
    for name in ("ada", "bob"):  # bob as he was: the server might take that for a block that came before
        add(name)
    with store.read() as connection:
        assert {*connection.scalars(select(subject.c.value))} == {"ada", "bob"}


def test_two_prefixes_share_a_database_and_its_turns(url: str, record):
    stores = [open_store(url, prefix) for prefix in ("one", "two")]
    with stores[0].read() as connection:
        names = set(inspect(connection).get_table_names())
    assert {"one_request", "two_request", "one_schema_version", "two_schema_version"} <= names
    assert {name for name in names if not name.startswith(("one_", "two_"))} == {TABLE}
    for store in stores:
        assert Writer(store).write([record()]) == WriteResult(1, 0)
        store.dispose()


def test_a_killed_maintainer_is_replaced_once_its_lease_is_over(
    store: Store, record, noon_us: int, see, eventually
):
    Writer(store).write([record(ts_us=noon_us - 40 * 86_400_000_000 + n) for n in range(50)])
    compact_days(store, now_ts_us=noon_us)
    code = (
        "import os, sys\n"
        "from fmd_otel_exporter import maintainer\n"
        "from fmd_otel_exporter.retention import Retention\n"
        "from fmd_otel_exporter.store import open_store\n"
        "maintainer.LEASE_S = 5\n"
        "maintainer.prune = lambda *arguments: os._exit(9)\n"
        "maintainer.Maintainer(Retention()).work(open_store(sys.argv[1]), 60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, store.url], check=False)
    assert done.returncode == 9
    (held,) = see.rows("lease")
    assert held["name"] == LEASE
    clock = itertools.count(0, 60)
    second = Maintainer(Retention(), timer=lambda: next(clock), rest=lambda _: None)
    while database_now_us(store) < held["expires"]:
        if not second.work(store, 1):
            assert database_now_us(store) >= held["expires"] or see.sums()["requests"] == 50
    eventually(lambda: second.work(store, 1) or see.sums()["requests"] == 0, 60)
    while second.work(store, 1):
        pass
    assert see.sums()["requests"] == 0
    assert sum(row["n"] for row in see.rows("hits_day")) == 50
