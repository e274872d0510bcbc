"""``fmd-otel prune``: what it says, what goes and what stays."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from fmd_otel.cli import main
from fmd_otel.cli.options import Age
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

DAY_US = 86_400_000_000
HOUR_US = DAY_US // 24
AGES = (0, 10, 20, 40, 100, 200)


@pytest.fixture
def store(tmp_path):
    """Two requests of each age, in days."""
    store = open_store(f"sqlite:///{tmp_path}/fmd.db")
    now_us = time.time_ns() // 1000
    Writer(store).write(
        [
            RequestRecord(
                "shop", endpoint, now_us - age * DAY_US, bytes([age] * 8), bytes(16), 5, 200, "GET", "1"
            )
            for age in AGES
            for endpoint in "ab"
        ]
    )
    yield store
    store.dispose()


@pytest.fixture
def run(store):
    return lambda *arguments, **more: CliRunner().invoke(
        main, ["prune", "--database", store.url, *arguments], **more
    )


@pytest.fixture
def left(store):
    """Count what is left."""

    def count():
        with store.read() as connection:
            return {
                name: connection.scalar(select(func.count()).select_from(getattr(store.tables, name)))
                for name in ("request", "hits", "hits_day")
            }

    return count


def test_a_dry_run_counts_and_deletes_nothing(run, left):
    before = left()
    done = run("--older-than", "14d", "--dry-run")
    assert done.exit_code == 0
    assert "  8  requests\n  8  sums by the quarter of an hour\n" in done.stdout
    assert done.stdout.endswith("Nothing was deleted.\n")
    assert left() == before


def test_by_default_the_settings_say_what_goes(run, left):
    done = run("--yes")
    assert done.exit_code == 0
    assert "Keeps sums by the day for ever." in done.stdout
    assert "Deleted 14 rows in" in done.stdout
    assert left() == {"request": 6, "hits": 8, "hits_day": 10}
    assert run("--yes").stdout.endswith("Nothing is older.\n")


def test_settings_and_their_trouble_are_those_of_the_application(run, left, monkeypatch):
    monkeypatch.setenv("FMD_OTEL_RETENTION_RAW_DAYS", "150")
    done = run("--yes")
    assert done.exit_code == 2
    assert "RETENTION_HOURLY_DAYS=90 (default) is less than RETENTION_RAW_DAYS=150" in done.stderr
    monkeypatch.setenv("FMD_OTEL_RETENTION_HOURLY_DAYS", "0")
    assert "  2  requests\n" in run("--yes").stdout
    assert left()["request"] == 10


def test_an_age_of_ones_own_leaves_the_sums_of_days(run, left):
    done = run("--older-than", "2w", "--yes")
    assert done.exit_code == 0
    assert "Deleting: 24 of 24 (100 %)" in done.stderr
    assert left() == {"request": 4, "hits": 4, "hits_day": 10}


def test_no_day_is_cut_before_it_is_over_and_that_is_said(run, left, monkeypatch):
    noon_us = (time.time_ns() // 1000 // DAY_US + 1) * DAY_US + DAY_US // 2
    monkeypatch.setattr("fmd_otel_exporter.clock.time.time_ns", lambda: noon_us * 1000)
    store_of_today = left()["request"]
    why = "No day (UTC) is cut before it is over: what its users did is added up from its requests.\n"
    done = run("--older-than", "6h", "--dry-run")
    today = f"{datetime.fromtimestamp(noon_us // 1_000_000, timezone.utc):%Y-%m-%d}"
    assert f"Keeps requests since {today} 00:00 UTC.\n" in done.stdout
    assert why in done.stdout
    assert f"  {store_of_today}  requests\n" in done.stdout
    assert why not in run("--older-than", "1d", "--dry-run").stdout
    assert why not in run("--dry-run").stdout


def test_the_sums_of_days_go_on_request(run, left):
    run("--older-than", "14d", "--yes")
    done = run("--older-than", "14d", "--daily", "--yes")
    assert done.exit_code == 0
    assert "  8  sums by the day\n" in done.stdout
    assert left() == {"request": 4, "hits": 4, "hits_day": 2}


def test_it_asks_first(run, left, monkeypatch):
    before = left()
    done = run("--older-than", "14d")
    assert done.exit_code == 2
    assert "add --yes" in done.stderr
    monkeypatch.setattr("fmd_otel.cli.prune._somebody_watches", lambda: True)
    assert run("--older-than", "14d", input="n\n").exit_code == 1
    assert left() == before
    assert run("--older-than", "14d", input="y\n").exit_code == 0
    assert left()["request"] == 4


def test_ctrl_c_leaves_what_is_deleted_deleted_and_the_sums_right(run, left, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.deleting.CHUNK", 1)
    waited = []

    def rest(_seconds):
        waited.append(1)
        if len(waited) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fmd_otel_exporter.maintainer.at_leisure.__kwdefaults__", {"rest": rest})
        done = run("--older-than", "14d", "--yes")
    assert done.exit_code == 130
    assert "Stopped. 3 rows are gone" in done.stderr
    assert left() == {"request": 12, "hits": 9, "hits_day": 10}
    run("--older-than", "14d", "--yes")
    assert left() == {"request": 4, "hits": 4, "hits_day": 10}


def test_ctrl_c_while_it_still_counts_is_told_as_well(run, left, monkeypatch):
    def count(*_):
        raise KeyboardInterrupt

    before = left()
    monkeypatch.setattr("fmd_otel_exporter.retention.count_old", count)
    done = run("--older-than", "14d", "--yes")
    assert done.exit_code == 130
    assert done.stderr == "\nStopped.\n"
    assert left() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--older-than", "14"], "'14' is no age; write it like 12h, 14d, 8w or 1y"),
        (["--older-than", "-1d"], "no age"),
        (["--older-than", "3m"], "no age"),
        (["--older-than", "999999y"], "'999999y' is more than 100 years"),
        (["--daily"], "--daily needs --older-than"),
        (["--table-prefix", "1"], "option --table-prefix='1'"),
    ],
)
def test_wrong_options_exit_with_2(run, arguments, said):
    done = run(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    done = CliRunner().invoke(main, ["prune", "--database", f"sqlite:///{tmp_path}/none.db"])
    assert done.exit_code == 1
    assert "there is no SQLite database" in done.stderr
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    ("text", "us"), [("12h", 12 * HOUR_US), ("14d", 14 * DAY_US), ("8W", 56 * DAY_US), ("1 y", 365 * DAY_US)]
)
def test_ages(text, us):
    assert Age().convert(text, None, None) == us
