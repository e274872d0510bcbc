"""The whole: real workers serve, a person signs in, sees exactly that, and changes what is watched."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from playwright.sync_api import expect

WORKERS = 4
FIRST, LATER = 200, 80
OBEYED_WITHIN_S = 2.0
DEADLINE_S = 180
APP = """
from flask import Blueprint, Flask
import fmd_otel

shop = Blueprint("shop", __name__)

@shop.route("/item/<int:number>")
def item(number):
    return str(number)

app = Flask("shop")
app.register_blueprint(shop)
app.add_url_rule("/", "index", lambda: "hello")
fmd_otel.instrument(app)
"""
READY = """
def post_worker_init(worker):
    with open("ready", "a", encoding="utf-8") as ready:
        ready.write(f"{worker.pid}\\n")
"""


class Workers:
    """gunicorn, its port and the database it writes."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "shop.db"
        (folder / "shop.py").write_text(APP, encoding="utf-8")
        (folder / "gunicorn.conf.py").write_text(READY, encoding="utf-8")
        self.ready = folder / "ready"
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("FMD_", "OTEL_"))
        }
        environ |= {
            "FMD_OTEL_DATABASE": f"sqlite:///{self.database}",
            "FMD_OTEL_USERNAME": "ada",
            "FMD_OTEL_PASSWORD": "correct horse battery",
        }
        command = [
            Path(sys.executable).parent / "gunicorn",
            "-w",
            str(WORKERS),
            "--access-logfile",
            "access.log",
        ]
        # A port that was only looked up might be somebody else's by the time that gunicorn wants it.
        with closing(socket.create_server(("127.0.0.1", 0), backlog=128)) as listening:
            self.port = listening.getsockname()[1]
            where = ["-b", f"fd://{listening.fileno()}"]
            self.process = subprocess.Popen(
                [*command, "--access-logformat", "%(p)s %(U)s", *where, "shop:app"],
                cwd=folder,
                env=environ,
                stderr=subprocess.DEVNULL,
                pass_fds=[listening.fileno()],
            )
        self.log = folder / "access.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait(self) -> None:
        """Wait for all workers: the first one might have served everything before the others are there."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            if self.ready.exists() and len(self.ready.read_text(encoding="utf-8").splitlines()) == WORKERS:
                return
            time.sleep(0.05)
        pytest.fail("gunicorn did not start")

    def send(self, path: str, number: int) -> None:
        def get(_: int) -> int:
            with urllib.request.urlopen(self.url + path, timeout=DEADLINE_S) as answer:  # noqa: S310 # ours
                return answer.status

        with ThreadPoolExecutor(8) as clients:
            assert set(clients.map(get, range(number))) == {200}

    def pids(self, path: str) -> set[str]:
        """Which workers have served a path."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return {line.split()[0] for line in lines if line.endswith(f" {path}")}

    def ask(self, statement: str) -> int:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute(statement).fetchone()[0] or 0

    def until(self, statement: str, wanted: int) -> int:
        deadline = time.monotonic() + DEADLINE_S
        found = 0
        while found < wanted and time.monotonic() < deadline:
            with suppress(sqlite3.OperationalError):  # the tables are not there yet
                found = self.ask(statement)
            time.sleep(0.05)
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def workers(tmp_path):
    made = Workers(tmp_path)
    try:
        made.wait()
        yield made
    finally:
        made.stop()


def test_four_workers_are_counted_exactly_and_obey_the_level_that_an_admin_sets(workers, context):
    rows = (
        "SELECT COUNT(*) FROM fmd_request r JOIN fmd_endpoint e ON e.id = r.endpoint_id WHERE e.name = '{}'"
    )
    workers.send("/item/7", FIRST)
    workers.send("/", FIRST)
    assert workers.until("SELECT COUNT(*) FROM fmd_request", 2 * FIRST) == 2 * FIRST
    assert workers.ask("SELECT SUM(n) FROM fmd_hits") == 2 * FIRST
    assert workers.ask("SELECT SUM(n) FROM fmd_lat_hist") == 2 * FIRST
    assert len(workers.pids("/item/7")) > 1, "the requests all went to one worker, which proves too little"

    context.clear_cookies()
    page = context.new_page()
    try:
        page.goto(workers.url + "/dashboard/")
        page.fill("input[name=username]", "ada")
        page.fill("input[name=password]", "correct horse battery")
        page.click("button[type=submit]")
        expect(page.locator(".fmd-kpi", has_text="Requests").locator(".fmd-kpi-value")).to_have_text(
            f"{2 * FIRST:,}", timeout=DEADLINE_S * 1000
        )
        row = page.locator(".ag-center-cols-container .ag-row", has_text="shop.item")
        expect(row.locator("[col-id=n]")).to_have_text(str(FIRST))

        level = page.get_by_role("radiogroup", name="Monitor level of shop.item")
        level.get_by_role("radio", name="Level 0:").click()
        expect(page.locator("#notice")).to_contain_text("shop.item is now at monitor level 0")
        assert workers.ask("SELECT level FROM fmd_endpoint WHERE name = 'shop.item'") == 0
        time.sleep(OBEYED_WITHIN_S)  # what is promised, and so the one thing to wait for

        workers.send("/item/7", LATER)
        workers.send("/", LATER)
        assert workers.until(rows.format("index"), FIRST + LATER) == FIRST + LATER
        assert workers.until("SELECT level0_n FROM fmd_endpoint WHERE name = 'shop.item'", LATER) == LATER
        assert workers.ask(rows.format("shop.item")) == FIRST

        page.reload()
        expect(row.locator("[col-id=n]")).to_have_text(str(FIRST), timeout=DEADLINE_S * 1000)
        expect(
            page.locator(".ag-center-cols-container .ag-row", has_text="index").locator("[col-id=n]")
        ).to_have_text(re.compile(f"^{FIRST + LATER}$"))
        assert workers.ask("SELECT COUNT(*) FROM fmd_endpoint WHERE name LIKE '%dash%'") == 0
    finally:
        page.close()
