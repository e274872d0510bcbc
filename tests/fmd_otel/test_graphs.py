"""Custom graphs: what is scheduled, who runs it, and what becomes of values and failures."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest
from flask import Flask, current_app
from sqlalchemy import select

import fmd_otel
from fmd_otel import SettingsError, add_graph, graphs
from fmd_otel.graphs import LEASE_S, Graphs, Rounds, make_graph
from fmd_otel_exporter.graphs import delete_graph
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import open_store

DAY_S = 86_400


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch):
    monkeypatch.setattr(graphs, "_waiting", [])
    monkeypatch.setattr(graphs, "_applications", [])


@pytest.fixture
def settings(tmp_path):
    return ExporterSettings(database=f"sqlite:///{tmp_path / 'fmd.db'}")


@pytest.fixture
def store(settings):
    opened = open_store(settings.database)
    yield opened
    opened.dispose()


@pytest.fixture
def clock():
    """What time it is, to be set."""
    return [1_800_000_000.0]


@pytest.fixture
def at(clock):
    """Do a round so many seconds after the beginning."""

    def go(each, seconds):
        clock[0] = 1_800_000_000.0 + seconds
        return each.round()

    return go


def since(ts_us):
    return round(ts_us / 1e6) - 1_800_000_000


@pytest.fixture
def rounds(settings, clock):
    """Rounds of a process with these graphs; each ends with the test."""
    made = []

    def make(*wanted):
        each = Rounds(Flask("shop"), "shop", settings, clock=lambda: clock[0])
        each.graphs = {graph.title: graph for graph in wanted}
        made.append(each)
        return each

    yield make
    for each in made:
        each.close()


def every(function, **schedule):
    return make_graph("Open orders", function, "interval", schedule)


def values(store):
    table = store.tables.custom_graph_value
    with store.read() as connection:
        return [
            tuple(row) for row in connection.execute(select(table.c.ts, table.c.value).order_by(table.c.ts))
        ]


def told(store):
    with store.read() as connection:
        return connection.execute(select(store.tables.custom_graph)).one()


def test_a_graph_runs_at_once_and_then_on_its_schedule(rounds, store, at):
    thread = rounds(every(lambda: 7, minutes=5))
    for seconds in (0, 1, 299, 300, 301, 650):
        at(thread, seconds)
    assert [(since(ts), value) for ts, value in values(store)] == [(0, 7), (300, 7), (650, 7)]


def test_it_sleeps_until_something_is_due(rounds, at):
    thread = rounds(every(lambda: 7, seconds=10))
    assert at(thread, 0) == 10
    assert at(thread, 4) == 6


def test_after_a_restart_it_goes_on_where_it_was(rounds, store, at):
    first = rounds(every(lambda: 1, minutes=5))
    at(first, 0)
    first.close()
    second = rounds(every(lambda: 2, minutes=5))
    at(second, 100)
    assert len(values(store)) == 1
    at(second, 301)
    assert [value for _, value in values(store)] == [1, 2]


def test_what_was_missed_is_made_up_for_once(rounds, store, at):
    first = rounds(every(lambda: 1, minutes=5))
    at(first, 0)
    first.close()
    second = rounds(every(lambda: 2, minutes=5))
    at(second, DAY_S)
    at(second, DAY_S + 10)
    assert [value for _, value in values(store)] == [1, 2]


def test_a_function_that_takes_longer_than_its_interval_runs_once_after_the_other(rounds, store, at, clock):
    def slow():
        clock[0] += 25
        return 1

    thread = rounds(every(slow, seconds=10))
    at(thread, 0)
    assert thread.round() == 10
    assert len(values(store)) == 1


def test_a_cron_schedule_is_that_of_the_clock(rounds, store, at):
    thread = rounds(make_graph("Nightly", lambda: 1, "cron", {"hour": 0, "timezone": "UTC"}))
    midnight = 57_600  # 1,800,000,000 is 8 o'clock
    for seconds in (0, midnight - 1, midnight, midnight + 1, midnight + DAY_S - 1, midnight + DAY_S):
        at(thread, seconds)
    assert [since(ts) for ts, _ in values(store)] == [0, midnight, midnight + DAY_S]


def test_of_two_processes_one_runs_it_and_the_other_takes_over(rounds, store, at, monkeypatch):
    one, other = rounds(every(lambda: 1, seconds=10)), rounds(every(lambda: 2, seconds=10))
    names = {id(one): "host:1", id(other): "host:2"}

    def as_(each, seconds):
        monkeypatch.setattr("fmd_otel_exporter.lease.this_process", lambda: names[id(each)])
        at(each, seconds)

    for seconds in range(0, 60, 10):
        as_(one, seconds)
        as_(other, seconds)
    assert {value for _, value in values(store)} == {1}
    as_(other, 50 + LEASE_S + 1)  # the one has died
    assert values(store)[-1][1] == 2
    as_(one, 50 + LEASE_S + 30)  # and comes back
    assert values(store)[-1][1] == 2


def lease_until(store):
    lease = store.tables.lease.c
    with store.read() as connection:
        return connection.scalar(select(lease.expires)) / 1e6


def test_a_function_that_takes_longer_than_the_lease_runs_in_one_process(settings, store, monkeypatch):
    monkeypatch.setattr(graphs, "LEASE_S", 6)  # renewed after a third of it
    ran, acting = [], ["host:1"]

    def name():  # on the thread that renews, always the one
        return acting[-1] if threading.current_thread() is threading.main_thread() else "host:1"

    def slow():
        ran.append("one")
        began, deadline = lease_until(store), time.monotonic() + 60
        acting.append("host:2")
        while lease_until(store) < began + 1 and time.monotonic() < deadline:  # until it is renewed
            other.round()
            time.sleep(0.05)
        acting.pop()
        assert lease_until(store) >= began + 1
        return 1

    monkeypatch.setattr("fmd_otel_exporter.lease.this_process", name)
    one, other = (Rounds(Flask("shop"), "shop", settings) for _ in range(2))
    one.graphs = {"Open orders": every(slow, hours=1)}
    other.graphs = {"Open orders": every(lambda: ran.append("other") or 2, hours=1)}
    one.round()
    one.close()
    other.round()  # whoever comes next knows that it has run
    other.close()
    assert ran == ["one"]
    assert [value for _, value in values(store)] == [1]


def test_a_run_that_nobody_finished_is_not_begun_again_before_its_time(rounds, store, at, monkeypatch):
    def killed():
        raise SystemExit

    one, other = rounds(every(killed, minutes=5)), rounds(every(lambda: 2, minutes=5))
    monkeypatch.setattr("fmd_otel_exporter.lease.this_process", lambda: "host:1")
    with pytest.raises(SystemExit):
        at(one, 0)
    monkeypatch.setattr("fmd_otel_exporter.lease.this_process", lambda: "host:2")
    at(other, LEASE_S + 1)
    assert values(store) == []
    at(other, 301)
    assert [value for _, value in values(store)] == [2]


def test_a_graph_that_is_deleted_comes_back_with_its_next_run(rounds, store, at):
    thread = rounds(every(lambda: 7, minutes=5))
    at(thread, 0)
    before = told(store)
    delete_graph(store, before.id)
    at(thread, 200)
    assert values(store) == []
    at(thread, 300)
    after = told(store)
    assert after.id > before.id
    assert (after.title, after.runs, since(after.created_ts)) == ("Open orders", 1, 300)
    assert [(since(ts), value) for ts, value in values(store)] == [(300, 7)]


def test_one_that_is_deleted_while_it_runs_leaves_nothing_behind(rounds, store, at):
    def delete_itself():
        delete_graph(store, told(store).id)
        return 7

    thread = rounds(every(delete_itself, minutes=5))
    at(thread, 0)
    assert values(store) == []
    at(thread, 300)
    assert values(store) == []
    thread.graphs = {"Open orders": every(lambda: 8, minutes=5)}
    at(thread, 600)
    assert [value for _, value in values(store)] == [8]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: "many", "returned 'many', which is no number"),
        (lambda: None, "no number"),
        (lambda: float("nan"), "cannot be drawn"),
    ],
)
def test_a_failure_is_kept_and_the_next_value_mends_it(rounds, store, at, function, message):
    broken = rounds(every(function, minutes=5))
    at(broken, 0)
    assert message in told(store).last_error
    assert (told(store).runs, told(store).failures, values(store)) == (1, 1, [])
    broken.graphs = {"Open orders": every(lambda: 3, minutes=5)}
    at(broken, 300)
    assert (told(store).last_error, told(store).failures) == (None, 1)


def test_one_failure_keeps_no_other_graph_from_running(rounds, store):
    thread = rounds(
        make_graph("Broken", lambda: 1 / 0, "interval", {"minutes": 1}),
        make_graph("Sound", lambda: 5, "interval", {"minutes": 1}),
    )
    thread.round()
    assert [value for _, value in values(store)] == [5]


def test_the_function_runs_inside_an_application_context(rounds, store):
    rounds(every(lambda: len(current_app.name), minutes=1)).round()
    assert values(store)[0][1] == len("shop")


def test_a_database_that_is_away_stops_nothing(tmp_path, settings, rounds, caplog):
    away = rounds(every(lambda: 1, seconds=1))
    away._settings = ExporterSettings(database=f"sqlite:///{tmp_path}/missing/fmd.db")
    assert away.round() > 0
    assert away.round() > 0
    assert sum("cannot run custom graphs" in record.message for record in caplog.records) == 1
    away._settings = settings
    away.round()
    assert away._incident is None


@pytest.mark.parametrize(
    ("arguments", "schedule", "message"),
    [
        (("", len), {"minutes": 1}, "a title is needed"),
        (("x" * 300, len), {"minutes": 1}, "longer than 200"),
        (("Orders", 7), {"minutes": 1}, "7 is no function"),
        (("Orders", len, "weekly"), {}, "no trigger 'weekly'; use one of interval, cron, date"),
        (("Orders", len), {}, "say how often"),
        (("Orders", len, "cron"), {}, "say when"),
        (("Orders", len, "cron"), {"hour": 25}, "hour=25"),
        (("Orders", len), {"fortnights": 1}, "fortnights"),
        (("Orders", len, object()), {}, "neither a name"),
    ],
)
def test_a_wrong_schedule_is_named(arguments, schedule, message):
    with pytest.raises(SettingsError, match=message):
        add_graph(*arguments, **schedule)


def test_it_may_be_added_before_or_after_the_application_is_instrumented(settings, store):
    app = Flask("shop")
    app.add_url_rule("/", "home", lambda: "hello")
    add_graph("Early", lambda: 1, "interval", minutes=5)
    handle = fmd_otel.instrument(app, database=settings.database, include_dashboard=False)
    add_graph("Late", lambda: 2, "interval", minutes=5)
    try:
        app.test_client().get("/")
        handle.add_graph("Latest", lambda: 3, "interval", minutes=5)
        deadline = time.monotonic() + 60
        while len(values(store)) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sorted(value for _, value in values(store)) == [1, 2, 3]
    finally:
        handle.uninstrument()


def test_with_several_applications_the_handle_has_to_be_named():
    several = [Graphs(Flask(name), name, ExporterSettings()) for name in "ab"]
    for each in several:
        graphs.follow(each)
    with pytest.raises(SettingsError, match=r"handle\.add_graph"):
        add_graph("Orders", lambda: 1, "interval", minutes=1)


SERVE = """
import os, sys, time
from flask import Flask
import fmd_otel
app = Flask("shop")
app.add_url_rule("/", "home", lambda: "hello")
fmd_otel.instrument(app, database=sys.argv[1], include_dashboard=False)
fmd_otel.add_graph("Who", os.getpid, "interval", seconds=1)
app.test_client().get("/")
print("ready", flush=True)
sys.stdin.read()
"""


def test_of_several_real_processes_one_runs_it(settings, store):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SERVE, settings.database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for each in processes:
            assert each.stdout.readline() == "ready\n"
        deadline = time.monotonic() + 60
        while len(values(store)) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len({value for _, value in values(store)}) == 1
        assert {int(value) for _, value in values(store)} < {each.pid for each in processes}
    finally:
        for each in processes:
            each.communicate("")


def test_without_graphs_nothing_is_started_and_nothing_imported(tmp_path):
    code = """
import sys
from flask import Flask
import fmd_otel
app = Flask("shop")
app.add_url_rule("/", "home", lambda: "hello")
fmd_otel.instrument(app, database=sys.argv[1], include_dashboard=False)
app.test_client().get("/")
import threading
print("apscheduler" in sys.modules, any("graphs" in each.name for each in threading.enumerate()))
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'fmd.db'}"],
        capture_output=True,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    assert answer.stdout.split() == ["False", "False"]
