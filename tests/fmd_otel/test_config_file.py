"""A ``config.cfg`` as Flask-MonitoringDashboard's users have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmd_otel.composition import load_settings
from fmd_otel.configfile import parse_config, read_config_file
from fmd_otel.keys import KEYS
from fmd_otel_exporter.errors import FmdOtelError, SettingsError

EVERYTHING = """\
[dashboard]
APP_VERSION=2.3
GIT=../project/.git/
BLUEPRINT_NAME=dashboard
CUSTOM_LINK=/monitoring/
MONITOR_LEVEL=3
OUTLIER_DETECTION_CONSTANT=3.5
SAMPLING_PERIOD=20
ENABLE_LOGGING=True
BRAND_NAME='Shop Monitoring'
TITLE_NAME="Shop's title"
DESCRIPTION=Automatically monitor; the = sign and the %% sign are welcome
SHOW_LOGIN_BANNER=False
SHOW_LOGIN_FOOTER=no

[authentication]
USERNAME='admin'
PASSWORD=s3cr%t
SECURITY_TOKEN=cc83733cb0af8b884ff6577086b87909

[database]
TABLE_PREFIX=shop
DATABASE=sqlite:////var/lib/shop/dashboard.db

[visualization]
TIMEZONE=Europe/Amsterdam
COLORS={'main':'[0,97,255]',
        'static':'[255,153,0]'}
"""


@pytest.fixture
def write(tmp_path):
    def put(text, name="config.cfg"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return put


def load(path):
    return load_settings({"config": path}, environ={})


def refuse(path):
    with pytest.raises(SettingsError) as caught:
        load(path)
    return str(caught.value)


def test_every_key_of_the_documentation_is_read(write):
    path = write(EVERYTHING)
    settings = load(path)
    assert settings.app_version == "2.3"
    assert settings.git == path.parent / "../project/.git"
    assert settings.custom_link == "monitoring"
    assert settings.monitor_level == 3
    assert settings.outlier_detection_constant == 3.5
    assert settings.sampling_period == 20.0
    assert settings.enable_logging is True
    assert settings.brand_name == "Shop Monitoring"
    assert settings.title_name == "Shop's title"
    assert settings.description == "Automatically monitor; the = sign and the %% sign are welcome"
    assert (settings.show_login_banner, settings.show_login_footer) == (False, False)
    assert (settings.username, settings.password) == ("admin", "s3cr%t")
    assert settings.security_token.startswith("cc83733c")
    assert settings.table_prefix == "shop"
    assert settings.database == "sqlite:////var/lib/shop/dashboard.db"
    assert settings.timezone == "Europe/Amsterdam"
    assert settings.colors == {"main": "#0061ff", "static": "#ff9900"}


def test_every_value_knows_its_line(write):
    path = write(EVERYTHING)
    origins = load(path).origins
    assert origins["APP_VERSION"] == f"{path}:2"
    assert origins["USERNAME"] == f"{path}:17"
    assert origins["COLORS"] == f"{path}:27"


def test_every_key_of_the_documentation_is_a_key():
    documented = {line.split("=")[0] for line in EVERYTHING.splitlines() if "=" in line and line[0].isupper()}
    assert documented <= {key.name for key in KEYS}


def test_the_defaults_are_those_of_the_documentation_but_for_the_login():
    settings = load_settings(environ={})
    assert (settings.username, settings.password, settings.security_token) == (None, None, None)
    assert (settings.monitor_level, settings.sampling_period, settings.outlier_detection_constant) == (
        1,
        10,
        2.5,
    )
    assert (settings.database, settings.table_prefix) == ("sqlite:///fmd_otel.db", "fmd")
    assert settings.custom_link == "dashboard"
    assert (settings.brand_name, settings.title_name) == (
        "Flask Monitoring Dashboard",
        "Flask-MonitoringDashboard",
    )
    assert (settings.show_login_banner, settings.show_login_footer, settings.enable_logging) == (
        True,
        True,
        False,
    )
    assert settings.description.startswith("Automatically monitor the evolving performance")
    assert set(settings.origins) == set()


def test_the_parts_for_the_other_rooms_carry_the_values(write):
    settings = load(write(EVERYTHING))
    exporter, dashboard = settings.exporter(), settings.dashboard()
    assert (exporter.database, exporter.table_prefix, exporter.default_level) == (
        settings.database,
        "shop",
        3,
    )
    assert dashboard.url_prefix == "/monitoring"
    assert (dashboard.brand_name, dashboard.timezone) == ("Shop Monitoring", "Europe/Amsterdam")
    assert (dashboard.username, dashboard.password) == ("admin", "s3cr%t")
    assert dashboard.colors["main"] == "#0061ff"
    assert "s3cr%t" not in repr(settings) + repr(dashboard)


def test_an_empty_value_counts_as_unset(write):
    assert load(write("[database]\nTABLE_PREFIX=\nDATABASE =  \n")).table_prefix == "fmd"


def test_an_empty_file_and_an_empty_section_are_fine(write):
    assert load(write("")).monitor_level == 1
    assert load(write("# only a comment\n[dashboard]\n")).monitor_level == 1


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    path = tmp_path / "config.cfg"
    path.write_bytes("\ufeff[dashboard]\r\nMONITOR_LEVEL=2\r\n".encode())
    assert load(path).monitor_level == 2


def test_lower_case_keys_and_sections_are_understood(write):
    assert load(write("[Dashboard]\nmonitor_level: 2\n")).monitor_level == 2


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("dashboard", "MONITOR_LEVL=2", "unknown key; did you mean MONITOR_LEVEL?"),
        ("dashboard", "SAMPLING_RATE=5", "did you mean SAMPLING_PERIOD?"),
        ("dashboard", "DATABSE=sqlite:///x", "did you mean DATABASE in section [database]?"),
        ("dashboard", "QQQQ=1", "the keys of [dashboard] are APP_VERSION"),
        ("dashboard", "TABLE_PREFIX=x", "belongs in section [database]"),
        ("dashboard", "GROUP_BY=x:y", "set it by the variable FMD_OTEL_GROUP_BY"),
        ("dashboard", "MONITOR_LEVEL=4", "expected a whole number from 0 to 3"),
        ("dashboard", "MONITOR_LEVEL=high", "expected a whole number from 0 to 3"),
        ("dashboard", "MONITOR_LEVEL=1.5", "expected a whole number from 0 to 3"),
        ("dashboard", "MONITOR_LEVEL=True", "expected a whole number from 0 to 3"),
        ("dashboard", "OUTLIER_DETECTION_CONSTANT=0", "greater than 0"),
        ("dashboard", "OUTLIER_DETECTION_CONSTANT=inf", "greater than 0"),
        ("dashboard", "OUTLIER_DETECTION_CONSTANT=1e999", "greater than 0"),
        ("dashboard", "SAMPLING_PERIOD=-5", "greater than 0"),
        ("dashboard", "SAMPLING_PERIOD=100000", "at most 60000"),
        ("dashboard", "SAMPLING_PERIOD=__import__('os').getpid()", "greater than 0"),
        ("dashboard", "SHOW_LOGIN_BANNER=maybe", "expected True or False"),
        ("dashboard", "CUSTOM_LINK=dash board", "expected a path"),
        ("dashboard", "CUSTOM_LINK=/", "expected a path"),
        ("dashboard", "CUSTOM_LINK=a/../b", "expected a path"),
        ("database", "TABLE_PREFIX=my-app", "letters, digits and underscores"),
        ("database", "TABLE_PREFIX=1app", "not starting with a digit"),
        ("database", "TABLE_PREFIX=fmd; DROP TABLE x", "letters, digits and underscores"),
        ("database", "DATABASE=/var/lib/fmd.db", "sqlite:////var/lib"),
        ("visualization", "TIMEZONE=Europe/Amsterdm", "did you mean 'Europe/Amsterdam'?"),
        ("visualization", "TIMEZONE=../../etc/passwd", "expected a time zone"),
        ("visualization", "COLORS=red", "expected a dictionary"),
        ("visualization", "EDITOR_LINK=vscode://file/x", "expected an editor's address with {path}"),
        ("visualization", "EDITOR_LINK=javascript:alert('{path}')", "expected an editor's address"),
        ("visualization", "COLORS={'main': '[0,97]'}", "three numbers from 0 to 255"),
        ("visualization", "COLORS={'main': '[0,97,256]'}", "three numbers from 0 to 255"),
        ("visualization", "COLORS={1: '[0,97,25]'}", "no endpoint name"),
        ("visualization", "COLORS={'main': ", "expected a dictionary"),
    ],
)
def test_a_wrong_line_is_told_with_place_value_and_remedy(write, section, line, said):
    path = write(f"[{section}]\n\n{line}\n")
    key, _, value = line.partition("=")
    message = refuse(path)
    assert message.startswith(f"{path}:3: [{section}] {key}=")
    assert value in message
    assert said in message
    assert "\n" not in message


def test_all_wrong_lines_are_told_at_once(write):
    message = refuse(write("[dashboard]\nMONITOR_LEVEL=9\n[databse]\nX=1\n[visualization]\nTIMEZONE=Mars\n"))
    assert "MONITOR_LEVEL" in message
    assert "[databse]; did you mean [database]?" in message
    assert "Mars" in message


def test_a_section_far_from_any_other_lists_all(write):
    assert "the sections are [dashboard], [authentication], [database], [visualization]" in refuse(
        write("[qqqq]\n")
    )


def test_the_default_section_of_ini_files_is_no_section(write):
    assert "[DEFAULT]" in refuse(write("[DEFAULT]\nMONITOR_LEVEL=1\n"))


@pytest.mark.parametrize("line", ["PASSWRD=hunter2", "PASWORD='hunter2'"])
def test_a_misspelt_secret_is_not_repeated(write, line):
    message = refuse(write(f"[authentication]\n{line}\n"))
    assert "hunter2" not in message
    assert "did you mean PASSWORD?" in message


def test_a_password_in_a_database_url_is_not_repeated(write):
    message = refuse(write("[databse]\nDATABASE=x\n[dashboard]\nDATABASE=postgresql://u:hunter2@host/db\n"))
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("MONITOR_LEVEL=1\n", ":1: 'MONITOR_LEVEL=1' stands before any section"),
        (
            "[dashboard]\nMONITOR_LEVEL=1\nMONITOR_LEVEL=2\n",
            ":3: key MONITOR_LEVEL appears twice in [dashboard]",
        ),
        ("[dashboard]\n[database]\n[dashboard]\n", ":3: section appears twice in [dashboard]"),
        ("[dashboard]\nMONITOR_LEVEL\n", ":2:"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(write, text, said):
    path = write(text)
    assert refuse(path).startswith(f"{path}{said}")


def test_a_missing_file_is_an_error_and_not_all_defaults(tmp_path):
    message = refuse(tmp_path / "nowhere.cfg")
    assert str(tmp_path / "nowhere.cfg") in message
    assert "does not exist" in message


def test_a_directory_or_binary_file_is_told(tmp_path):
    (tmp_path / "binary.cfg").write_bytes(b"\xff\xfe\x00\x01")
    assert "cannot be read" in refuse(tmp_path)
    assert "cannot be read" in refuse(tmp_path / "binary.cfg")


def test_a_settings_error_is_an_error_of_ours():
    assert issubclass(SettingsError, FmdOtelError)


def test_alerting_is_let_through_with_one_warning(write):
    settings = load(write("[alerting]\nENABLED=True\nTYPE=email,chat\nSMTP_PASSWORD=x\n"))
    (warning,) = settings.warnings
    assert "[alerting] is not supported yet" in warning


def test_guests_of_the_sample_file_are_let_through_with_a_warning(write):
    path = write("[authentication]\nGUEST_USERNAME=guest\nGUEST_PASSWORD=['dashboardguest!', 'second_pw!']\n")
    warnings = "\n".join(load(path).warnings)
    assert f"{path}:2: GUEST_USERNAME has no effect" in warnings
    assert "second_pw" not in warnings


def test_a_version_and_a_repository_together_are_told(write):
    (warning,) = load(write("[dashboard]\nAPP_VERSION=1\nGIT=.git\n")).warnings
    assert "APP_VERSION is used" in warning


@pytest.mark.parametrize("line", ["USERNAME=admin", "PASSWORD=x"])
def test_half_a_login_is_told(write, line):
    assert "is set without" in refuse(write(f"[authentication]\n{line}\n"))


def test_a_relative_path_is_found_from_the_working_directory(write, monkeypatch):
    path = write("[dashboard]\nGIT=.git\n")
    monkeypatch.chdir(path.parent)
    assert read_config_file("config.cfg").path == path
    assert load("config.cfg").git == path.parent / ".git"


def test_a_continued_value_keeps_the_line_it_begins_on():
    parsed = parse_config(
        "[visualization]\nCOLORS={'a':'[0,0,0]',\n  'b':'[1,1,1]'}\nTIMEZONE=UTC\n", Path("x.cfg")
    )
    assert [(value.key, value.line) for value in parsed.values] == [("COLORS", 2), ("TIMEZONE", 4)]
