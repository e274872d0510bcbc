"""``fmd-otel generate``: as many requests as asked for, the same ones each time, and no harm to real ones."""

from __future__ import annotations

import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from fmd_otel.bulk import Order, write
from fmd_otel.cli import main
from fmd_otel.cli.options import Count
from fmd_otel.synthetic import zipf_workload
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.subject_packs import read_counts
from fmd_otel_exporter.writer import Writer

DAY_US = 86_400_000_000
UNTIL = "2026-11-01"
UNTIL_US = 1_793_491_200_000_000


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/fmd.db"


@pytest.fixture
def run(url):
    return lambda *arguments: CliRunner().invoke(main, ["generate", "--database", url, *arguments])


@pytest.fixture
def rows(url):
    def read(name):
        store = open_store(url)
        table = getattr(store.tables, name)
        with store.read() as connection:
            found = [dict(row) for row in connection.execute(select(table)).mappings()]
        store.dispose()
        return found

    return read


def test_as_many_as_asked_lie_in_the_days_and_all_is_summed_up(run, rows):
    done = run("--requests", "3k", "--days", "3", "--until", UNTIL, "--endpoints", "7", "--versions", "3")
    assert done.exit_code == 0
    assert "3,000 requests of 3 days in" in done.stdout
    assert "3 days summed up in" in done.stdout
    requests = rows("request")
    assert len(requests) == 3_000
    assert all(UNTIL_US - 3 * DAY_US <= row["ts"] < UNTIL_US for row in requests)
    for table in ("hits", "lat_hist", "hits_day", "lat_hist_day"):
        assert sum(row["n"] for row in rows(table)) == 3_000, table
    assert sum(row["sum_us"] for row in rows("hits_day")) == sum(row["duration"] for row in requests)
    assert len(rows("endpoint")) == 7
    assert {row["version_id"] for row in requests} == {row["id"] for row in rows("version")}
    assert [row["first_ts"] for row in rows("version")] == [
        UNTIL_US - 3 * DAY_US + day * DAY_US for day in range(3)
    ]
    values = {row["id"]: row["value"] for row in rows("subject")}
    assert all(values[row["group_id"]].startswith("user-") for row in requests)
    assert all(values[row["ip_id"]].startswith("10.") for row in requests)


def test_endpoints_are_as_they_would_be_had_they_been_called(run, rows):
    run("--requests", "500", "--days", "1")
    endpoint = rows("endpoint")[0]
    assert endpoint["route"] == f"/view/{endpoint['name'].rpartition('_')[2]}"
    assert endpoint["method"] == "GET"
    assert endpoint["blueprint"] == endpoint["name"].partition(".")[0]


def test_seed_and_end_decide_every_request(run, rows, url):
    made = []
    for seed, prefix in ((5, "a"), (5, "b"), (6, "c")):
        arguments = ("--requests", "400", "--days", "2", "--until", UNTIL, "--seed", str(seed))
        assert run(*arguments, "--table-prefix", prefix).exit_code == 0
        store = open_store(url, prefix)
        with store.read() as connection:
            made.append(sorted(map(tuple, connection.execute(select(store.tables.request)))))
        store.dispose()
    assert made[0] == made[1] != made[2]


def test_several_processes_write_what_one_does(tmp_path, monkeypatch):
    monkeypatch.setattr("fmd_otel.bulk.FEW", 0)
    monkeypatch.setattr("fmd_otel.bulk.BATCH", 500)
    order = Order(zipf_workload(users=50, ips=100), UNTIL_US - DAY_US, UNTIL_US, 5_000)
    found = []
    for processes in (1, 2):
        store = open_store(f"sqlite:///{tmp_path}/{processes}.db")
        sizes = list(write(store, order, processes=processes))
        assert sum(sizes) == 5_000
        assert len(sizes) >= 10
        with store.read() as connection:
            found.append(
                [
                    sorted(map(tuple, connection.execute(select(table))))
                    for table in (
                        store.tables.request,
                        store.tables.hits,
                        store.tables.lat_hist,
                        store.tables.endpoint,
                        store.tables.version,
                    )
                ]
            )
        store.dispose()
    assert found[0] == found[1]


@pytest.fixture
def being_written(url, monkeypatch):
    """Requests that two processes make, the first of which are written; and these processes."""
    others = set(multiprocessing.active_children())
    monkeypatch.setattr("fmd_otel.bulk.FEW", 0)
    monkeypatch.setattr("fmd_otel.bulk.BATCH", 3000)
    workload = zipf_workload(endpoints=5, releases=2, users=50, ips=60)
    store = open_store(url)
    written = write(store, Order(workload, UNTIL_US - DAY_US, UNTIL_US, 50_000), processes=2)
    assert next(written) > 0
    yield written, set(multiprocessing.active_children()) - others
    written.close()
    store.dispose()


def test_whoever_stops_asking_leaves_no_process_behind(being_written):
    written, helpers = being_written
    assert len(helpers) == 2
    written.close()
    assert not helpers & set(multiprocessing.active_children())


def test_a_helper_that_dies_in_the_middle_of_an_answer_is_told(being_written):
    written, processes = being_written
    helpers = [psutil.Process(each.pid) for each in processes]
    used = []
    # Those that stand still have more to say than a pipe holds.
    while len(used) < 3 or used[-1] != used[-3]:
        used.append([helper.cpu_times() for helper in helpers])
        time.sleep(0.2)
    for helper in helpers:
        helper.kill()
    with pytest.raises(FmdOtelError, match="has died"):
        list(written)
    assert not processes & set(multiprocessing.active_children())


def test_requests_that_are_there_are_left_alone(run, rows):
    assert run("--requests", "100", "--days", "1").exit_code == 0
    done = run("--requests", "100", "--days", "1")
    assert done.exit_code == 2
    assert "hold requests already" in done.stderr
    assert "--append" in done.stderr
    assert len(rows("request")) == 100
    assert run("--requests", "100", "--days", "1", "--seed", "2", "--append").exit_code == 0
    assert len(rows("request")) == sum(row["n"] for row in rows("hits")) == 200


def test_requests_that_come_too_late_for_their_days_sums_are_in_them(run, rows):
    arguments = ("--requests", "100", "--days", "1", "--until", UNTIL)
    run(*arguments)
    run(*arguments, "--seed", "2", "--append")
    assert sum(row["n"] for row in rows("hits_day")) == 200


def test_what_an_application_would_soon_delete_is_told(run):
    assert "deletes requests that are older than 30 days" in run("--requests", "9", "--days", "40").stdout
    assert "older than" not in run("--requests", "9", "--append", "--days", "30").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--requests", "many"], "'many' is no number; write it like 250000, 250k or 1.5M"),
        (["--requests", "0"], "0 is not between 1 and 1,000,000,000"),
        (["--requests", "2G"], "not between"),
        (["--days", "0"], "0 is not in the range"),
        (["--until", "1970-01-05"], "before 1970"),
        (["--table-prefix", "1"], "option --table-prefix='1'"),
    ],
)
def test_wrong_options_exit_with_2(run, arguments, said):
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("10k", 10_000),
        ("1M", 1_000_000),
        ("1.5m", 1_500_000),
        ("2_500", 2500),
        ("1,000,000", 10**6),
    ],
)
def test_numbers(text, number):
    assert Count(10**9).convert(text, None, None) == number


def test_a_log_gets_a_line_for_each_tenth(run):
    done = run("--requests", "1000", "--days", "1")
    assert done.stderr == "Writing: 1,000 of 1,000 (100 %)\nAdding up users: 1 of 1 (100 %)\n"


def test_a_terminal_gets_a_bar(url):
    master, slave = pty.openpty()
    done = subprocess.run(
        _command(url, "--requests", "1000"), stdout=subprocess.PIPE, stderr=slave, timeout=300, check=True
    )
    os.close(slave)
    shown = os.read(master, 10_000)
    os.close(master)
    assert b"100%" in shown
    assert b"1000/1000" in shown
    assert b"1,000 requests" in done.stdout


def _command(url, *arguments):
    return [
        *(sys.executable, "-c", "from fmd_otel.cli import main; main()", "generate"),
        *("--database", url, "--days", "30", "--processes", "2", *arguments),
    ]


@pytest.fixture
def long_one(url):
    """A run that has begun, with two processes that make requests, and would go on for an hour."""
    process = subprocess.Popen(
        _command(url, "--requests", "100M", "--users", "50"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    others = []
    try:
        deadline = time.monotonic() + 300
        while _count(url) == 0:
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        others = psutil.Process(process.pid).children(recursive=True)
        assert len(others) >= 2
        yield process, others
    finally:
        process.kill()
        process.communicate()
        for other in others:
            if other.is_running():
                other.kill()


def _count(url):
    if not Path(url.removeprefix("sqlite:///")).exists():
        return 0
    store = open_store(url)
    with store.read() as connection:
        found = connection.scalar(select(func.count()).select_from(store.tables.request))
    store.dispose()
    return found


def test_ctrl_c_ends_all_and_leaves_whole_batches(long_one, url, rows):
    process, others = long_one
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Stopped. " in errors
    assert "Traceback" not in output + errors
    assert psutil.wait_procs(others, timeout=300)[1] == []
    assert _count(url) == sum(row["n"] for row in rows("hits")) == sum(row["n"] for row in rows("lat_hist"))


def test_ctrl_c_while_helpers_are_starting_is_told_by_the_command_alone(url):
    process = subprocess.Popen(
        _command(url, "--requests", "100M"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not any(
        "spawn_main" in " ".join(each.cmdline()) for each in psutil.Process(process.pid).children()
    ):
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    time.sleep(0.2)  # they are importing
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Stopped. 0 requests" in errors
    assert "Traceback" not in output + errors


@pytest.mark.parametrize(("more", "known"), [((), " 0 requests are written."), (("--resume",), "")])
def test_ctrl_c_before_anything_is_written_is_told_as_later_on(run, monkeypatch, more, known):
    def stop(*_args, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr("fmd_otel_exporter.store.open_store", stop)
    done = run("--until", UNTIL, *more)
    assert done.exit_code == 130
    said = f"Stopped.{known} To go on, give the same options again, with --resume --until {UNTIL}T00:00:00"
    assert said in done.stderr


def test_nobody_is_left_behind_by_one_that_was_killed(long_one):
    process, others = long_one
    process.kill()
    assert psutil.wait_procs(others, timeout=300)[1] == []


def test_a_helper_that_dies_is_told(long_one):
    process, others = long_one
    for other in others:
        if "spawn_main" in " ".join(other.cmdline()):
            other.kill()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "Error: a process that makes requests has died" in errors
    assert "Traceback" not in errors


# Going on after an interruption


def _all_rows(rows):
    return [
        sorted(tuple(row.values()) for row in rows(table))
        for table in ("request", "hits", "lat_hist", "hits_day", "lat_hist_day", "subject_pack")
    ]


def test_an_interrupted_run_is_taken_up_where_it_ended(run, rows, url, monkeypatch):
    monkeypatch.setattr("fmd_otel.bulk.BATCH", 300)
    arguments = ("--requests", "2k", "--days", "2", "--until", UNTIL, "--users", "50", "--processes", "1")
    assert run(*arguments).exit_code == 0
    whole = _all_rows(rows)
    Path(url.removeprefix("sqlite:///")).unlink()
    written = []

    def stop(writer, batch, original=Writer.write_batch):
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(len(batch.rows))
        return original(writer, batch)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(Writer, "write_batch", stop)
        done = run(*arguments)
    assert done.exit_code == 130
    assert f"{sum(written):,} requests are written" in done.stderr
    assert f"--resume --until {UNTIL}T00:00:00" in done.stderr
    assert len(rows("request")) == sum(written)

    done = run(*arguments, "--resume")
    assert done.exit_code == 0
    assert f"{2_000 - sum(written):,} requests of 2 days" in done.stdout
    assert _all_rows(rows) == whole
    assert "0 requests of 2 days" in run(*arguments, "--resume").stdout


def test_what_began_otherwise_is_not_gone_on_with(run, rows):
    arguments = ("--requests", "300", "--days", "2", "--until", UNTIL)
    assert "--resume needs --until" in run("--requests", "300", "--resume").stderr
    run(*arguments)
    done = run("--requests", "500", "--days", "2", "--until", UNTIL, "--resume")
    assert done.exit_code == 2
    assert "holds 300 requests, and the same options would have written 500" in done.stderr
    assert len(rows("request")) == 300


def test_users_and_addresses_are_added_up_too(run, rows):
    run("--requests", "2k", "--days", "2", "--until", UNTIL, "--users", "40")
    for kind in (1, 2):
        packs = [row["counts"] for row in rows("subject_pack") if row["kind"] == kind]
        assert sum(n for counts in packs for _, n, *_ in read_counts(counts)) == 2_000
    assert {row["state"] for row in rows("subject_rollup")} == {1}


# What is told of single requests


class Slowest:
    """Notes the slowest request of each batch."""

    def make(self, requests):
        return max((request.duration_us, request.span_id) for request in requests)

    def write(self, store, made):
        with store.read() as connection:
            c = store.tables.request.c
            NOTED.append(connection.scalar(select(c.duration).where(c.span_id == made[1])) == made[0])


NOTED = []


@pytest.mark.parametrize("processes", [1, 2])
def test_details_are_made_with_the_requests_and_written_after_them(tmp_path, monkeypatch, processes):
    monkeypatch.setattr("fmd_otel.bulk.FEW", 0)
    monkeypatch.setattr("fmd_otel.bulk.BATCH", 500)
    NOTED.clear()
    order = Order(zipf_workload(users=50, ips=100), UNTIL_US - DAY_US, UNTIL_US, 2_000, details=(Slowest(),))
    store = open_store(f"sqlite:///{tmp_path}/details.db")
    batches = list(write(store, order, processes=processes))
    store.dispose()
    assert [noted for noted in NOTED if noted] == [True for _ in batches]
