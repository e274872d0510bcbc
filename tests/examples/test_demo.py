"""The demo, as its user meets it: one command, a box with an address and a password, Ctrl-C, nothing left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.cookiejar import CookieJar
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import psutil
import pytest
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from demo import stage, workload
from demo.options import parse
from demo.processes import DemoError, Program, base_url, listen, status_of
from demo.visitors import journey
from fmd_otel.synthetic import requests
from shop import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"
TIMEOUT_S = 180


class RunningDemo:
    """A demo in a process of its own, and what it has said so far."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        # Nothing of the developer's own settings may decide what is tested.
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "FMD_OTEL_", "SHOP_"))}
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "demo", "--folder", folder),
                *("--shop-port", "0", "--dashboard-port", "0", *arguments),
            ],
            cwd=EXAMPLES,
            env={**inherited, "PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.said += line

    def wait_for(self, text: str) -> None:
        wait_until(lambda: text in self.said or not self._reader.is_alive())
        assert text in self.said, self.said

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def signed_in_status(dashboard: str, user: str, password: str) -> int:
    browser = build_opener(HTTPCookieProcessor(CookieJar()))
    form = browser.open(f"{dashboard}login", timeout=TIMEOUT_S).read().decode()
    token = re.search(r'name="form_token"[^>]*value="([^"]+)"', form)[1]
    fields = {"form_token": token, "username": user, "password": password, "next": "/"}
    try:
        return browser.open(f"{dashboard}login", urlencode(fields).encode(), timeout=TIMEOUT_S).status
    except HTTPError as error:
        return error.code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningDemo]]:
    running: list[RunningDemo] = []

    def start(*arguments: str) -> RunningDemo:
        running.append(RunningDemo(tmp_path / "demo", *arguments))
        return running[-1]

    yield start
    for demo in running:
        if demo.process.poll() is None:
            demo.stop(signal.SIGTERM)


@pytest.mark.integration
def test_the_demo_shows_a_dashboard_deploys_a_release_and_leaves_nothing_behind(
    start: Callable[..., RunningDemo],
) -> None:
    demo = start("--requests", "6000", "--days", "2", "--rate", "40", "--deploy-after", "1")
    demo.wait_for("Ctrl-C stops everything")
    dashboard = re.search(r"Dashboard\s+(http://\S+)", demo.said)[1]
    shop = re.search(r"The shop\s+(http://\S+)", demo.said)[1]
    user = re.search(r"User\s+(\S+)", demo.said)[1]
    password = re.search(r"Password\s+(\S+)", demo.said)[1]
    assert len(password) >= 12
    assert signed_in_status(dashboard, user, password + "x") == 401
    assert signed_in_status(dashboard, user, password) == 200
    assert status_of(f"{shop}/product/1") == 200

    demo.wait_for("Release 1.8.1 has taken over")
    demo.wait_for("History: 6,000 requests of 2 days")
    children = demo.processes()
    assert len(children) >= 4  # the dashboard, gunicorn's master and two workers

    assert demo.stop(signal.SIGINT) == 0, demo.said
    assert not [each for each in children if each.is_running()]
    assert status_of(dashboard) is None
    assert status_of(shop) is None
    assert "Traceback" not in demo.said

    with closing(sqlite3.connect(demo.folder / "monitoring.db")) as database:
        per_version = dict(
            database.execute(
                "SELECT name, count(*) FROM fmd_request JOIN fmd_version ON id = version_id GROUP BY 1"
            )
        )
        assert database.execute("SELECT sum(n) FROM fmd_hits").fetchone()[0] == sum(per_version.values())
        users = {name for (name,) in database.execute("SELECT value FROM fmd_subject WHERE kind = 1")}
    assert {"1.6.0", "1.7.0", "1.8.0", "1.8.1"} <= set(per_version)
    assert sum(per_version.values()) > 6000
    assert {"visitor", "amara"} <= users


@pytest.mark.integration
def test_a_demo_that_is_stopped_while_it_starts_leaves_nothing_behind(
    start: Callable[..., RunningDemo],
) -> None:
    demo = start("--requests", "500000")
    demo.wait_for("Starting the shop")
    wait_until(lambda: len(demo.processes()) >= 2)
    children = demo.processes()
    assert demo.stop(signal.SIGTERM) == 0, demo.said
    assert not [each for each in children if each.is_running()]


@pytest.mark.integration
@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv, of util-linux")
def test_even_a_demo_that_is_killed_leaves_nothing_behind(start: Callable[..., RunningDemo]) -> None:
    demo = start("--requests", "0")
    demo.wait_for("Ctrl-C stops everything")
    children = demo.processes()
    assert demo.stop(signal.SIGKILL) == -signal.SIGKILL
    psutil.wait_procs(children, TIMEOUT_S)
    assert not [each for each in children if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.integration
def test_a_second_demo_in_the_same_folder_is_refused(start: Callable[..., RunningDemo]) -> None:
    first = start("--no-live", "--requests", "0")
    first.wait_for("Ctrl-C stops everything")
    second = start("--no-live")
    assert second.process.wait(TIMEOUT_S) == 1
    second.wait_for("Another demo runs in")
    assert first.process.poll() is None


def test_a_run_clears_away_what_the_last_one_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "monitoring.db.spool" / "fmd").mkdir(parents=True)
    for name in ("monitoring.db", "monitoring.db-wal", "shop.db", "shop.log", "notes.txt"):
        (tmp_path / name).write_text("")
    with stage.sole_use_of(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"notes.txt", ".lock"}


def test_a_program_that_ends_early_is_quoted(tmp_path: Path) -> None:
    program = Program(
        "shop",
        ["sh", "-c", "echo no such module; exit 3"],
        log=tmp_path / "log",
        environment={},
        folder=tmp_path,
    )
    with pytest.raises(DemoError, match=r"The shop ended early \(exit code 3\)(.|\n)*no such module"):
        program.wait_until(lambda: False, timeout_s=TIMEOUT_S, stopped=threading.Event())


def test_a_program_that_will_not_stop_is_stopped_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; (trap '' TERM; sleep 600) & echo started; while :; do sleep 0.1; done"
    log = tmp_path / "log"
    program = Program("shop", ["sh", "-c", script], log=log, environment={}, folder=tmp_path)
    wait_until(lambda: "started" in log.read_text())
    everyone = [psutil.Process(program.pid), *psutil.Process(program.pid).children(recursive=True)]
    program.stop(timeout_s=0.1)
    psutil.wait_procs(everyone, TIMEOUT_S)
    assert not [each for each in everyone if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_a_port_that_is_taken_is_replaced_by_a_free_one() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with listen("127.0.0.1", port) as other:
            assert other.getsockname()[1] not in {0, port}


def test_all_addresses_are_shown_as_one_that_a_browser_can_open() -> None:
    assert base_url("0.0.0.0", 8050) == "http://localhost:8050"  # noqa: S104 - nothing is bound here
    assert base_url("192.0.2.1", 8050) == "http://192.0.2.1:8050"


def test_the_users_own_monitoring_settings_do_not_reach_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("FMD_OTEL_MONITOR_LEVEL", "0")
    log = tmp_path / "log"
    program = Program(
        "shop",
        ["sh", "-c", "env; echo that is all"],
        log=log,
        environment={"FMD_OTEL_USERNAME": "demo"},
        folder=tmp_path,
    )
    wait_until(lambda: "that is all" in log.read_text())
    program.stop()
    assert "FMD_OTEL_USERNAME=demo" in log.read_text()
    assert "OTEL_SDK_DISABLED" not in log.read_text()
    assert "FMD_OTEL_MONITOR_LEVEL" not in log.read_text()


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(DemoError, match=r"No port can be opened on 192\.0\.2\.1: .*--host"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize("arguments", [["--days", "0"], ["--requests", "many"], ["--shop-port", "99999"]])
def test_a_wrong_option_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_history_and_shop_agree_on_every_endpoint(tmp_path: Path) -> None:
    app = create_app({"DATABASE": str(tmp_path / "shop.db")})
    rules = {rule.endpoint: rule for rule in app.url_map.iter_rules()}
    for endpoint in workload.ENDPOINTS:
        if endpoint.name.startswith("unmatched:"):
            continue
        rule = rules[endpoint.name]
        assert endpoint.route == rule.rule
        assert endpoint.method in rule.methods
        assert endpoint.blueprint == (endpoint.name.rpartition(".")[0] or None)


def test_visitors_ask_for_pages_that_exist_but_for_the_lost_and_the_curious(tmp_path: Path) -> None:
    app = create_app({"DATABASE": str(tmp_path / "shop.db")})
    urls = app.url_map.bind("localhost")
    unknown = set()
    dice = Random(1)  # noqa: S311 - repeatable is what it has to be
    for username in ["visitor", "amara", "bence"] * 60:
        for step in journey(dice, username):
            method = "GET" if step.form is None and step.json is None else "POST"
            try:
                urls.match(step.path.partition("?")[0], method)
            except RequestRedirect:
                raise
            except HTTPException:
                unknown.add(step.path)
    assert unknown == {"/wp-login.php", "/.env", "/favicon.ico"}


def test_history_holds_the_regression_that_it_tells_of() -> None:
    day_us = 86_400 * 10**6
    made = list(requests(workload.WORKLOAD, start_us=0, end_us=30 * day_us, count=30_000))

    def typical_us(version: str) -> int:
        durations = sorted(
            r.duration_us for r in made if r.version == version and r.endpoint == "catalog.product"
        )
        return durations[len(durations) // 2]

    assert typical_us("1.7.0") > 4 * typical_us("1.6.0")
    assert typical_us("1.8.0") < 1.5 * typical_us("1.6.0")
    assert {r.status for r in made} >= {200, 201, 302, 304, 404, 500}
