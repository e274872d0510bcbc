"""``fmd-otel report``: what it says, and what it exits with."""

from __future__ import annotations

import json
import random
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from fmd_otel.cli import main
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
from tests import made_profiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DAY_US = 86_400_000_000


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fmd.db'}"


@pytest.fixture
def fill(url: str) -> Callable[[float], None]:
    """Write two days of an endpoint that became slower by a factor a day ago, with a new version."""

    def into(factor: float) -> None:
        chance = random.Random(5)  # noqa: S311 - the same in every run
        now_us = time.time_ns() // 1000
        records = [
            RequestRecord(
                "shop", "shop.cart", now_us - days * DAY_US + i * DAY_US // 301, chance.randbytes(8),
                chance.randbytes(16), round(20_000 * times * chance.lognormvariate(0, 0.3)), 200, "GET", name,
            )
            for days, times, name in ((2, 1.0, "1.0"), (1, factor, "1.1"))
            for i in range(1, 300)
        ]  # fmt: skip
        store = open_store(url)
        Writer(store).write(records)
        store.dispose()

    return into


@pytest.fixture
def report(url: str) -> Callable[..., Any]:
    return lambda *arguments: CliRunner().invoke(main, ["report", *arguments, "--database", url])


def test_a_regression_ends_with_1_and_is_named(fill, report):
    fill(1.3)
    answer = report()
    assert answer.exit_code == 1
    assert "The only endpoint got slower" in answer.stdout
    assert "| shop.cart |" in answer.stdout
    assert report("--exit-zero").exit_code == 0


def test_no_regression_ends_with_0_and_lists_nothing(fill, report):
    fill(1.0)
    answer = report()
    assert answer.exit_code == 0
    assert "shop.cart" not in answer.stdout
    assert "shop.cart" in report("--all").stdout


def test_what_matters_is_for_the_user_to_say(fill, report):
    fill(1.3)
    assert report("--min-change", "60").exit_code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--app-version", "1.1", "--against", "1.0", "--from", "now-3d"),
        ("--compare", "version"),
        ("--compare", "day"),
        ("--baseline", "now-48h", "now-24h"),
        ("--from", "version:1.1", "--compare", "prev"),
    ],
)
def test_it_compares_what_it_is_asked_to(fill, report, options):
    fill(1.3)
    found = json.loads(report("--format", "json", *options).stdout)
    assert found["regressions"] == ["shop.cart"]


def test_where_profiles_tell_the_lines_are_named_in_every_format(fill, report, url):
    fill(1.3)
    store = open_store(url)
    now_us = time.time_ns() // 1000
    profiles = [
        made_profiles.profile(days * 100 + i, now_us - days * DAY_US + DAY_US // 2 + i, version)
        for days, version in ((2, made_profiles.OLD), (1, made_profiles.NEW))
        for i in range(12)
    ]
    DetailWriter(store).write(profiles)
    store.dispose()

    for kind, name in (("md", r"exchange\_rate"), ("html", "exchange_rate"), ("json", "exchange_rate")):
        assert name in report("--format", kind).stdout
    [endpoint] = json.loads(report("--format", "json").stdout)["endpoints"]
    assert endpoint["profiles"]["before"]["profiles"] == 12
    assert endpoint["profiles"]["lines"][0]["function"] == "exchange_rate"


@pytest.fixture
def write(url: str) -> Callable[..., None]:
    """Write requests of a version: so many, evenly over so many hours, up to so many hours ago."""
    chance = random.Random(6)  # noqa: S311 - the same in every run

    def into(
        version: str, n: int, *, hours: float, ended: float = 0, factor: float = 1.0, service: str = "shop"
    ) -> None:
        start_us = time.time_ns() // 1000 - round((hours + ended) * DAY_US / 24)
        records = [
            RequestRecord(
                service, f"{service}.cart", start_us + round(i * hours / n * DAY_US / 24),
                chance.randbytes(8), chance.randbytes(16),
                round(20_000 * factor * chance.lognormvariate(0, 0.3)), 200, "GET", version,
            )
            for i in range(n)
        ]  # fmt: skip
        store = open_store(url)
        Writer(store).write(records)
        store.dispose()

    return into


def test_a_version_of_the_last_hours_is_not_hidden_by_the_one_before(write, report):
    write("1.6", 460, hours=46, ended=2)
    write("1.7", 20, hours=2, factor=1.5)
    answer = report("--compare", "version")
    assert answer.exit_code == 1
    assert "The only endpoint got slower" in answer.stdout
    assert "Before: version 1.6" in answer.stdout
    assert "After: version 1.7" in answer.stdout


def test_each_service_has_its_own_previous_version(write, report):
    write("1.6", 460, hours=20, ended=3)
    write("1.7", 40, hours=3, factor=1.5)
    write("8", 460, hours=20, ended=1, service="mail")
    write("9", 40, hours=1, service="mail")
    answer = report("--compare", "version", "--format", "json")
    assert answer.exit_code == 1
    found = json.loads(answer.stdout)
    assert found["regressions"] == ["shop.cart"]
    assert sorted(each["before"]["versions"] for each in found["compared"]) == [["1.6"], ["8"]]


def test_two_versions_are_compared_over_all_that_they_served(write, report):
    write("1.6", 200, hours=24, ended=72)
    write("1.7", 200, hours=12, factor=1.5)
    assert report("--app-version", "1.7", "--against", "1.6").exit_code == 1


def test_what_was_compared_with_nothing_is_no_success(write, report):
    write("1.6", 200, hours=24, ended=72)
    write("1.7", 200, hours=12, factor=1.5)
    for options in (
        ("--app-version", "1.7", "--against", "1.6", "--from", "now-24h"),
        ("--compare", "prev"),
    ):
        answer = report(*options)
        assert answer.exit_code == 2
        assert "nothing was compared" in answer.stderr
        assert "Before: " in answer.stderr
    write("9", 20, hours=1, service="mail")
    answer = report("--app-version", "9", "--against", "1.6")
    assert answer.exit_code == 2
    assert "no service has served both" in answer.stderr


def test_a_day_that_is_not_over_is_compared_with_as_much_of_another(write, report, monkeypatch):
    write("1.6", 49 * 12, hours=49)
    now = datetime.now(timezone.utc)
    # Where it is past noon: just after midnight, a day has no requests yet.
    east_h = 12 if now.hour < 12 else 0
    today = (now + timedelta(hours=east_h)).strftime("%Y-%m-%d")
    monkeypatch.setenv("FMD_OTEL_TIMEZONE", f"Etc/GMT-{east_h}")
    found = json.loads(report("--from", today, "--to", today, "--compare", "day", "--format", "json").stdout)
    assert found["after"]["end_us"] <= time.time_ns() // 1000
    assert found["before"]["end_us"] - found["before"]["start_us"] == (
        found["after"]["end_us"] - found["after"]["start_us"]
    )


def test_a_file_is_written_and_named(fill, report, tmp_path):
    fill(1.3)
    answer = report("--format", "html", "--output", str(tmp_path / "report.html"))
    assert answer.exit_code == 1
    assert "report.html" in answer.stderr
    assert answer.stdout == ""
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--app-version", "1.1"), "--against"),
        (("--app-version", "9", "--against", "1.0"), "known: 1.0, 1.1"),
        (("--from", "teatime"), "teatime"),
        (("--from", "now", "--to", "now-1h"), "ends before it starts"),
        (("--compare", "pin"), "--baseline"),
        (("--timezone", "Mars/Base"), "Mars/Base"),
        (("--output", "/nowhere/report.md"), "/nowhere/report.md"),
        (("--baseline", "2026-02-03", "2026-02-01"), "ends before it starts"),
    ],
)
def test_what_cannot_be_done_is_told_and_is_no_regression(fill, report, options, told):
    fill(1.0)
    answer = report(*options)
    assert answer.exit_code == 2
    assert told in answer.output
    assert "Traceback" not in answer.output


def test_a_database_that_is_not_there_is_no_regression(report):
    answer = report()
    assert answer.exit_code == 2
    assert "fmd.db" in answer.output


def test_an_empty_database_has_nothing_to_compare(url, report):
    open_store(url).dispose()
    answer = report()
    assert answer.exit_code == 2
    assert "nothing was compared" in answer.output
