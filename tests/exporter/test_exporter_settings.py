from __future__ import annotations

from pathlib import Path

import pytest

from fmd_otel_exporter.errors import SettingsError, safe_url
from fmd_otel_exporter.level_rule import LevelRule
from fmd_otel_exporter.settings import ExporterSettings, absolute_url


def test_the_environment_overrides_the_defaults_and_empty_variables_do_not():
    settings = ExporterSettings.from_env(
        {"FMD_OTEL_DATABASE": "sqlite:///a b.db", "FMD_OTEL_MONITOR_LEVEL": "0", "FMD_OTEL_TABLE_PREFIX": " "}
    )
    assert settings == ExporterSettings(database="sqlite:///a b.db", default_level=0)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql:/u:sekret@h/x", "postgresql:***"),
        ("mysql:/u:sekret@h/x", "mysql:***"),
        ("postgresql//u:sekret@h/x", ":***"),
        ("u:sekret@h/x", "u:***"),
        ("sekret@h/x", ":***"),
        ("/u:sekret@h", ":***"),
        ("postgresql:///u:sekret@h/x", "postgresql:///u:***@h/x"),
        ("fmd.db", "fmd.db"),
    ],
)
def test_of_a_url_gone_wrong_nothing_is_shown_but_how_it_begins(url: str, shown: str):
    assert safe_url(url) == shown
    if "://" not in url:
        with pytest.raises(SettingsError, match="is no database URL") as caught:
            ExporterSettings(database=url)
        assert "sekret" not in str(caught.value)


@pytest.mark.parametrize("text", ["two", "-1", "4", "1.5"])
def test_a_wrong_number_in_the_environment_is_named_with_its_variable_and_range(text: str):
    with pytest.raises(SettingsError, match=rf"FMD_OTEL_MONITOR_LEVEL='{text}'.*from 0 to 3"):
        ExporterSettings.from_env({"FMD_OTEL_MONITOR_LEVEL": text})


@pytest.mark.parametrize("prefix", ["", "1st", "my-app", "a b", "x;DROP TABLE y", "ü", "a" * 32, 'q"'])
def test_a_prefix_that_is_no_identifier_is_refused(prefix: str):
    with pytest.raises(SettingsError, match="table prefix"):
        ExporterSettings(table_prefix=prefix)


@pytest.mark.parametrize(
    "wrong", [{"queue_size": 0}, {"batch_size": True}, {"delay_ms": 1.5}, {"default_level": 4}]
)
def test_a_number_out_of_range_is_refused(wrong: dict[str, object]):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        ExporterSettings(**wrong)


@pytest.mark.parametrize("days", [(30, 90, 0), (1, 1, 1), (7, 0, 0), (0, 0, 0), (365, 365, 366)])
def test_coarser_sums_may_be_kept_as_long_as_finer_ones_or_longer(days: tuple[int, int, int]):
    raw, hourly, daily = days
    ExporterSettings(retention_raw_days=raw, retention_hourly_days=hourly, retention_daily_days=daily)


@pytest.mark.parametrize(
    ("raw", "hourly", "daily", "message"),
    [
        (
            30,
            14,
            0,
            r"hourly_days \(14\) is less than retention_raw_days \(30\): .* set it to 30 or more, or to 0",
        ),
        (
            0,
            90,
            0,
            r"hourly_days \(90\) is less than retention_raw_days \(0\), which is for ever: .* set it to 0,",
        ),
        (1, 90, 60, r"daily_days \(60\) is less than retention_hourly_days \(90\)"),
        (-1, 90, 0, "retention_raw_days is -1; it must be a whole number from 0 to 36500"),
    ],
)
def test_sums_that_would_go_before_their_requests_are_refused(
    raw: int, hourly: int, daily: int, message: str
):
    with pytest.raises(SettingsError, match=message):
        ExporterSettings(retention_raw_days=raw, retention_hourly_days=hourly, retention_daily_days=daily)


def test_ages_are_read_from_the_environment():
    settings = ExporterSettings.from_env(
        {"FMD_OTEL_RETENTION_RAW_DAYS": "7", "FMD_OTEL_RETENTION_DAILY_DAYS": "400"}
    )
    assert (settings.retention_raw_days, settings.retention_hourly_days, settings.retention_daily_days) == (
        7,
        90,
        400,
    )


def test_a_database_without_a_scheme_is_refused_with_an_example():
    with pytest.raises(SettingsError, match=r"'fmd\.db' is no database URL; write it like 'sqlite:///"):
        ExporterSettings(database="fmd.db")


@pytest.mark.parametrize(
    "url", ["sqlite://fmd.db", "sqlite+pysqlite://data/fmd.db", "sqlite://./fmd.db?mode=ro"]
)
def test_a_file_behind_two_slashes_is_refused_and_not_kept_in_memory(url: str):
    with pytest.raises(SettingsError, match=r"names no file; write it like 'sqlite:///"):
        ExporterSettings(database=url)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite://?mode=memory"])
def test_a_database_in_memory_may_be_asked_for(url: str):
    assert ExporterSettings(database=url).database == url


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@host/db",
        "postgresql://me:s3cret@with@host:5432/db",
        "mysql+pymysql://me:s3/cr:et@host/db",
        "postgresql://host/db?user=me&password=s3cret",
        "postgresql://host/db?sslpassword=s3cret&x=1",
    ],
)
def test_no_password_is_shown(url: str):
    for shown in (safe_url(url), repr(ExporterSettings(database=url))):
        assert "s3" not in shown
        assert "host" in shown


def test_a_relative_path_is_pinned_to_the_directory_of_the_start():
    assert absolute_url("sqlite:///x/y.db?mode=ro") == f"sqlite:///{Path.cwd()}/x/y.db?mode=ro"
    for url in (
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////tmp/x.db",
        "postgresql://h/d",
        "sqlite:///file:x",
    ):
        assert absolute_url(url) == url


def test_rules_for_levels_are_read_from_the_environment_and_told_where_they_are_none():
    settings = ExporterSettings.from_env({"FMD_OTEL_MONITOR_RULES": "static: 0, api.*: 3"})
    assert settings.default_rules == (LevelRule("static", 0), LevelRule("api.*", 3))
    with pytest.raises(SettingsError, match=r"MONITOR_RULES='static: 9': the level of 'static' is '9'"):
        ExporterSettings.from_env({"FMD_OTEL_MONITOR_RULES": "static: 9"})
