"""The ``fmd-otel`` command: what it prints, and what it exits with."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner

from fmd_otel.cli import main
from fmd_otel.cli.dashboard import dashboard_settings


@pytest.fixture
def run():
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_version(run):
    done = run("--version")
    assert done.exit_code == 0
    assert re.fullmatch(r"fmd-otel, version \d+\.\d+.*\n", done.output)


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("config", "--help"), ("dashboard", "--help")])
def test_help_says_how(run, arguments):
    done = run(*arguments)
    assert done.exit_code == 0
    assert "Usage: " in done.output
    assert "\\b" not in done.output


def test_the_help_names_both_doors(run):
    assert "opentelemetry-instrument flask run" in run("--help").output


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("dashboard", "--prt", "1"), ("dashboard", "--port", "99999")]
)
def test_wrong_usage_exits_with_2(run, arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("url", ["postgresql:/u:sekret@h/x", "mysql:/u:sekret@h/x"])
@pytest.mark.parametrize("arguments", [("db", "check"), ("config",)])
def test_a_malformed_url_gives_no_password_away(run, monkeypatch, url, arguments):
    monkeypatch.setenv("FMD_OTEL_DATABASE", url)
    found = [run(*arguments)]
    monkeypatch.delenv("FMD_OTEL_DATABASE")
    if arguments != ("config",):
        found.append(run(*arguments, "--database", url))
    for done in found:
        assert done.exit_code == 2
        assert url.partition(":")[0] in done.output
        assert "sekret" not in done.output


def test_config_prints_every_setting_with_its_origin(run, monkeypatch):
    monkeypatch.setenv("FMD_OTEL_MONITOR_LEVEL", "2")
    monkeypatch.setenv("FMD_OTEL_MONITOR_RULES", "static: 0, api.*: 3")
    monkeypatch.setenv("FMD_OTEL_DATABASE", "postgresql://u:hunter2@h/d")
    done = run("config")
    assert done.exit_code == 0
    assert re.search(r"^MONITOR_LEVEL +2 +FMD_OTEL_MONITOR_LEVEL$", done.output, re.MULTILINE)
    rules = r"^MONITOR_RULES +static: 0, api\.\*: 3 +FMD_OTEL_MONITOR_RULES$"
    assert re.search(rules, done.output, re.MULTILINE)
    assert re.search(r"^TABLE_PREFIX +fmd +default$", done.output, re.MULTILINE)
    assert "hunter2" not in done.output


def test_config_reads_a_file(run, tmp_path):
    path = tmp_path / "config.cfg"
    path.write_text("[authentication]\nUSERNAME=u\nPASSWORD=hunter2\n[alerting]\nENABLED=True\n")
    done = run("config", "--config", str(path))
    assert f"{path}:2" in done.output
    assert "hunter2" not in done.output
    assert "Warning:" in done.stderr
    assert "not supported yet" in done.stderr


def test_config_as_json(run, monkeypatch):
    monkeypatch.setenv("FMD_OTEL_COLORS", "{'main': '[0,97,255]'}")
    done = run("config", "--json")
    rows = json.loads(done.stdout)
    assert rows["COLORS"] == {"value": {"main": "#0061ff"}, "origin": "FMD_OTEL_COLORS"}
    assert rows["PASSWORD"] == {"value": None, "origin": "default"}


def test_wrong_settings_exit_with_2_and_no_traceback(run, monkeypatch):
    monkeypatch.setenv("FMD_OTEL_MONITOR_LEVEL", "9")
    for command in ("config", "dashboard"):
        done = run(command)
        assert done.exit_code == 2
        assert done.stderr.startswith("Error: environment variable FMD_OTEL_MONITOR_LEVEL='9'")
        assert "Traceback" not in done.output


def test_a_wrong_option_is_called_by_its_name(run):
    done = run("dashboard", "--url-prefix", "a b")
    assert done.exit_code == 2
    assert "option --url-prefix='a b'" in done.stderr
    assert "option --table-prefix='1'" in run("dashboard", "--table-prefix", "1").stderr


def test_without_the_extra_the_remedy_is_named(run, monkeypatch):
    monkeypatch.setattr("fmd_otel.cli.dashboard.find_spec", lambda _name: None)
    done = run("dashboard")
    assert done.exit_code == 1
    assert "pip install 'fmd-otel[dashboard]'" in done.stderr


@pytest.mark.parametrize(
    ("given", "prefix"), [(None, "/dashboard"), ("/", ""), ("", ""), ("status/", "/status")]
)
def test_the_prefix_of_the_dashboard(given, prefix):
    assert dashboard_settings(None, None, given, None).url_prefix == prefix


def command(*arguments):
    return [sys.executable, "-c", "from fmd_otel.cli import main; main()", *arguments]


def test_a_port_in_use_is_told_with_the_remedy(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("dashboard", "--port", str(port), "--database", f"sqlite:///{tmp_path}/fmd.db"),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port} on 127.0.0.1 is in use" in done.stderr
    assert "--port 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_that_is_not_ours_is_told(tmp_path):
    done = subprocess.run(
        command(
            "dashboard", "--host", "192.0.2.1", "--port", "0", "--database", f"sqlite:///{tmp_path}/fmd.db"
        ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert "0.0.0.0 listens on all" in done.stderr


def test_the_dashboard_is_served_where_it_says_until_it_is_stopped(tmp_path):
    server = subprocess.Popen(
        command("dashboard", "--port", "0", "--database", f"sqlite:///{tmp_path}/fmd.db"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        lines = [server.stdout.readline() for _ in range(2)]
        address = lines[1].removeprefix("Dashboard: ").strip()
        assert address.endswith("/dashboard/"), (lines, server.poll())
        set_up = [server.stdout.readline() for _ in range(2)][1].strip()
        assert set_up.startswith(address.removesuffix("/dashboard/"))
        assert answer(address) in {200, 401}
        assert answer(set_up) == 200
    finally:
        server.send_signal(signal.SIGTERM)
        _out, err = server.communicate(timeout=300)
    assert server.returncode == 0
    assert "Traceback" not in err


def answer(url):
    try:
        with urllib.request.urlopen(url, timeout=300) as response:  # noqa: S310 # our own address
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
