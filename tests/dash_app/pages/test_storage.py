"""The storage page: what it says, and what admins make it do."""

from __future__ import annotations

import json
import re
import time

import pytest
from sqlalchemy import func, insert, select

from fmd_otel_dash import upkeep
from fmd_otel_exporter import jobs
from fmd_otel_exporter.counters import NOTHING
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.heartbeat import About, Heartbeat

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
VIEW = {"view.data": {"path": "/dashboard/storage", "search": "", "tz": "UTC"}}
PATH = "/storage"


@pytest.fixture
def today():
    """Jobs go by the real clock."""
    return time.time_ns() // 1000


@pytest.fixture
def press(dashboard, admin, find_output):
    """Press a button of the page: ``press({"job": "vacuum"})``."""
    output = next(
        each for each in dashboard.dash.callback_map if "storage-jobs-retry" in each and "preview" in each
    )
    return lambda wanted, visitor=admin: visitor.call(output, VIEW | {"storage-wanted.data": wanted})


@pytest.fixture
def ended(store):
    """Wait for a job's end, and return it."""

    def wait(name):
        deadline = time.monotonic() + 60
        while (job := jobs.latest(store)[name]).state == jobs.RUNNING:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return job

    return wait


def rows(store):
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(store.tables.request))


def would_go(visitor, dashboard, find_output, days):
    output = find_output(dashboard, "storage-prune-preview.children")
    answer = visitor.call(
        "storage-prune-preview.children" if "..." not in output else output,
        VIEW | {"storage-prune-show.n_clicks": 1, "storage-prune-days.value": days},
    )
    return json.dumps(answer.json, ensure_ascii=False)


def test_numbers_and_where_they_lead(now, write, card):
    write([now - 3 * DAY + n for n in range(40)] + [now - DAY + n for n in range(20)])
    text = card("storage-numbers", PATH).text
    assert "Requests kept 60" in text
    assert "estimated · 30 requests a day" in text
    assert "levels off in 27 d" in text
    size, days = card("storage-size", PATH).figures
    assert [trace["name"] for trace in size["data"]] == ["Size", "If traffic stays"]
    assert sum(days["data"][0]["y"]) == 60


@pytest.mark.parametrize(
    ("n", "told"), [(0, "0 in the last hour"), (12, "12 in the last hour"), (300, "5 a min")]
)
def test_the_rate_is_that_of_the_last_hour(now, write, card, n, told):
    write([now - DAY] + [now - 1000 - i for i in range(n)])
    assert told in card("storage-numbers", PATH).text


def test_what_was_measured_is_drawn(now, write, card, store):
    write([now - 3 * DAY])
    with store.write() as connection:
        for days_ago in range(1, 6):
            day = (now // DAY - days_ago) * 86_400
            row = {"day": day, "ts": now, "size_bytes": 10_000 * (10 - days_ago)}
            connection.execute(insert(store.tables.storage_day).values(row))
    size, _ = card("storage-size", PATH).figures
    assert len(size["data"][0]["x"]) == 6
    assert "measured" in card("storage-numbers", PATH).text


def test_tables_are_listed_with_their_shares(now, write, card):
    write([now - n for n in range(500)])
    text = card("storage-tables", PATH).text
    assert "Requests 500 rows" in text
    assert " 1 rows" not in text
    assert "small tables" in text


def test_what_is_kept_who_said_so_and_what_goes_next(make_dashboard, now, write, card):
    write([now - 29 * DAY - HOUR, now - HOUR])
    text = card("storage-retention", PATH).text
    assert (
        "Single requests RETENTION_RAW_DAYS 30 days default 24 Oct 2026 23 Nov 2026 (in 1 d), 1 request"
        in text
    )
    assert "Sums by the day RETENTION_DAILY_DAYS for ever default" in text


def test_the_settings_of_the_process_that_deletes_are_those_in_force(write, card, store, today):
    write([today - HOUR])
    Heartbeat(About("worker", "14,90,0"), lambda: NOTHING).work(store)
    text = card("storage-retention", PATH).text
    assert "14 days the application on " in text
    assert "90 days default" in text


def test_processes_say_how_they_fare(card, store):
    speaking = Heartbeat(
        About("worker", "30,90,0"),
        lambda: NOTHING._replace(
            accepted=50, written=40, queue_depth=7, spool_bytes=900, dropped={"spool_full": 3},
            failures={"get_ip": 2}, batches=4, batch_us=40_000, batch_max_us=25_000,
            last_error="<b>disk</b> full",
        ),
    )  # fmt: skip
    speaking.serves = ("shop", "1.7.0")
    speaking.work(store)
    text = card("storage-processes", PATH).text
    for told in ("live", "web worker", "shop 1.7.0", "10.0 ms", "get_ip failed 2 ×", "<b>disk</b> full"):
        assert told in text
    spool = card("storage-spool", PATH).text
    assert "900 B" in spool
    assert "revision" in card("storage-versions", PATH).text


def test_nobody_heard_from_is_said_with_what_to_do(card):
    assert "No process has been heard from" in card("storage-processes", PATH).text
    assert "No application writes to this database" in card("storage-health", PATH).text


def test_a_password_stays_out_of_sight(make_dashboard, dashboard):
    from fmd_otel_dash.pages.storage import layout  # noqa: PLC0415
    from fmd_otel_dash.settings import DashboardSettings  # noqa: PLC0415

    class View:
        settings = DashboardSettings(database="postgresql://fmd:s3cret@db.example/shop")

    shown = json.dumps(layout(View()).to_plotly_json(), default=lambda each: each.to_plotly_json())
    assert "s3cret" not in shown
    assert "postgresql://fmd:***@db.example/shop" in shown


def test_pruning_shows_first_what_would_go(dashboard, admin, find_output, write, today, store):
    write([today - 40 * DAY, today - 39 * DAY, today - HOUR])
    shown = would_go(admin, dashboard, find_output, 30)
    assert "Older than 30 days" in shown
    assert "Requests" in shown
    assert '\\"days\\": 30' in shown
    assert rows(store) == 3


def test_just_after_midnight_it_says_why_the_day_before_stays(
    dashboard, admin, find_output, write, today, monkeypatch
):
    midnight = today // DAY * DAY
    write([midnight - DAY + 60 * 1_000_000])
    why = "No day (UTC) is cut before it is over"
    for minutes, said in ((5, True), (11, False)):
        now = midnight + minutes * 60 * 1_000_000
        monkeypatch.setattr(upkeep, "database_now_us", lambda _, now=now: now)
        shown = would_go(admin, dashboard, find_output, 1)
        assert (why in shown, "Nothing older than 1 day can go." in shown) == (said, said)
        assert ('\\"days\\": 1' in shown) != said


def test_an_admin_deletes_what_is_old(press, ended, write, today, store, card):
    write([today - 40 * DAY, today - 39 * DAY, today - HOUR])
    assert "Deleting what is older than 30 days." in press({"job": "prune", "days": 30}).text
    job = ended("prune")
    assert (job.state, job.asked) == ("done", {"days": 30, "by": "ada"})
    assert "rows are gone" in job.said
    assert rows(store) == 1
    told = card("storage-jobs", PATH).text
    assert re.search(r"Prune, older than 30 d  done (just now|\d+ s ago) · ada", told)


def test_an_admin_vacuums(press, ended, card):
    assert "Vacuuming." in press({"job": "vacuum"}).text
    assert "MB now." in ended("vacuum").said
    assert "Vacuum  done" in card("storage-jobs", PATH).text


def test_a_second_press_starts_nothing(press, ended, store, monkeypatch, card):
    job = jobs.begin(store, "prune", {"days": 9, "by": "bob"}, total=10)
    job.progress(4)
    for wanted in ({"job": "prune", "days": 30}, {"job": "vacuum"}):
        assert "Not started: a job is running already" in press(wanted).text
    text = card("storage-jobs", PATH).text
    assert "Deleting what is old, older than 9 d 4 of 10 rows" in text
    assert "bob" in text


@pytest.mark.parametrize(
    "wanted",
    [
        {"job": "prune", "days": days}
        for days in (0, -1, 1.5, "30", True, None, [], 10**9, "1; DROP TABLE fmd_request")
    ]
    + [{}, {"job": "drop"}, {"job": ["prune"]}],
)
def test_nonsense_starts_nothing(press, wanted, store):
    answer = press(wanted)
    assert "Not started" in answer.text
    assert jobs.latest(store) == {}


@pytest.mark.parametrize("wanted", [{"job": "prune", "days": 1}, {"job": "vacuum"}])
def test_a_guest_is_refused_by_the_server(press, guest, write, today, store, wanted):
    write([today - 40 * DAY])
    assert press(wanted, guest).status_code == 403
    assert jobs.latest(store) == {}
    assert rows(store) == 1


def test_a_stranger_and_a_foreign_page_are_refused(press, visitor, admin, store):
    assert press({"job": "vacuum"}, visitor).status_code == 401
    output = next(
        each
        for each in admin.dashboard.dash.callback_map
        if "storage-jobs-retry" in each and "preview" in each
    )
    answer = admin.call(
        output, VIEW | {"storage-wanted.data": {"job": "vacuum"}}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403
    assert jobs.latest(store) == {}


@pytest.mark.parametrize(
    "card_id",
    ["health", "numbers", "size", "tables", "retention", "jobs", "processes", "spool", "versions"],
)
def test_a_guest_reads_nothing_of_it(guest, card_id):
    assert guest.call(f"storage-{card_id}-body.children", VIEW).status_code == 403


def test_a_guest_finds_no_such_page(dashboard, guest, find_output):
    route = {"route.data": {"path": "/dashboard/storage", "search": ""}}
    assert "Page not found" in guest.call(find_output(dashboard, "page.children"), VIEW | route).text


def test_a_job_that_fails_says_why(store, press, ended, monkeypatch):
    def fail(_prefix):
        raise StorageError("there is no room beside the file")

    monkeypatch.setattr(store.dialect, "vacuum", fail)
    press({"job": "vacuum"})
    job = ended("vacuum")
    assert (job.state, job.said) == ("failed", "there is no room beside the file")


def test_a_job_that_fails_oddly_leaves_the_details_to_the_log(store, press, ended, monkeypatch, caplog):
    def fail(*_args):
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(upkeep, "prune", fail)
    press({"job": "prune", "days": 1})
    job = ended("prune")
    assert job.state == "failed"
    assert "secret" not in job.said
    assert "secret of the inside" in caplog.text


def test_a_job_whose_process_died_is_called_interrupted(store, card, now):
    jobs.begin(store, "prune", {"days": 9}, clock=lambda: now // 1_000_000 - 9000)
    assert "interrupted" in card("storage-jobs", PATH).text


def test_what_runs_is_told_again_and_again_and_its_end_refreshes_the_rest(
    dashboard, admin, find_output, store
):
    output = find_output(dashboard, "storage-job-state.data")

    def poll(ticks, state):
        values = VIEW | {"storage-job-poll.n_intervals": ticks, "storage-job-state.data": state}
        answer = admin.call(output, values)
        return answer.json["response"] if answer.status_code == 200 else {}

    state = poll(1, None)["storage-job-state"]["data"]
    assert state == {}
    assert poll(2, state) == {}
    job = jobs.begin(store, "prune", {"days": 9}, total=5)
    running = poll(3, state)
    assert "storage-numbers-retry" not in running
    job.end("5 rows are gone.")
    done = poll(4, running["storage-job-state"]["data"])
    assert done["storage-numbers-retry"]["data"]
    assert "5 rows are gone." in json.dumps(done)
    assert poll(5, done["storage-job-state"]["data"]) == {}
