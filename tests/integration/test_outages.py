"""The monitor's database is locked, removed, stopped or out of space while a real server serves requests.

Whatever happens there, every request is answered as ever, and afterwards each is in the database, once. How
long the answers take meanwhile is measured by ``python -m benchmarks.outage``.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from fmd_otel_exporter.spool import inspect, spool_directory
from tests.databases.servers import MARIADB, POSTGRESQL, own
from tests.integration.conftest import DEADLINE_S, PATHS, STATUS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Self

    from tests.databases.servers import OwnServer

pytestmark = pytest.mark.integration

OUTAGE_S = float(os.environ.get("TEST_OUTAGE_S", "1"))
"""How long each outage lasts. More than ten seconds is more than SQLite waits for a lock."""
SUMS = (
    "SELECT count(*) FROM fmd_request",
    "SELECT coalesce(sum(n), 0) FROM fmd_hits",
    "SELECT coalesce(sum(n), 0) FROM fmd_lat_hist",
)
CLIENTS = 3
PAUSE_S = 0.004
COULD_NOT_WRITE = "fmd-otel cannot write to"
COULD_NOT_SPOOL = "fmd-otel: requests cannot be spooled"


class Traffic:
    """Clients that ask without end, and notice every answer that is not as it should be."""

    def __init__(self, server) -> None:
        self.failures: list[object] = []
        self._server = server
        self._ended = threading.Event()
        self._answered = [0] * CLIENTS
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    @property
    def answered(self) -> int:
        return sum(self._answered)

    def go_on(self, requests: int = 100, seconds: float = 0.0) -> None:
        """Return when so many more have been answered, and so long has passed."""
        goal, until = self.answered + requests, time.monotonic() + seconds
        deadline = until + DEADLINE_S
        while self.answered < goal or time.monotonic() < until:
            assert time.monotonic() < deadline, f"no answers: {self._server.output()}"
            time.sleep(0.01)

    def _ask(self, client: int) -> None:
        turn = client
        while not self._ended.is_set():
            path = PATHS[turn % len(PATHS)]
            try:
                status, _ = self._server.get(path)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
            else:
                if status != STATUS[path]:
                    self.failures.append((path, status))
                self._answered[client] += 1
            turn += 1
            time.sleep(PAUSE_S)


@pytest.fixture
def during(start) -> Callable[..., contextlib.AbstractContextManager[Traffic]]:
    """Serve traffic by two workers; before the block begins some of it is in the database."""

    @contextlib.contextmanager
    def serve(stored: Callable[[], int], **environ: str) -> Iterator[Traffic]:
        running = start("two-lines", "gunicorn-2", **environ)
        with Traffic(running) as traffic:
            traffic.go_on(50)
            wait_until(lambda: stored() > 0)
            yield traffic
            traffic.go_on(50)
        assert not traffic.failures, (traffic.failures[:5], running.output())
        wait_until(lambda: stored() >= traffic.answered)
        running.stop()
        assert not running.complaints(), running.output()
        traffic.log = running.output()

    return serve


def wait_until(condition: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return  # the caller's assertions tell what is wrong
        time.sleep(0.05)


def assert_all_once(database, requests: int) -> None:
    assert [database.ask(query)[0][0] for query in SUMS] == [requests] * len(SUMS)


# SQLite


def connect(database) -> sqlite3.Connection:
    return sqlite3.connect(database.path, isolation_level=None, timeout=DEADLINE_S)


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


def test_a_database_locked_by_another_process(during, database):
    with during(database.count) as traffic:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(database.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert holder.stdout.readline() == "locked\n"
        before = database.count()
        traffic.go_on(200, OUTAGE_S)
        assert database.count() == before
        holder.communicate("")
    assert_all_once(database, traffic.answered)


@pytest.mark.parametrize("logs", ["with its logs", "without its logs"])
def test_a_database_file_that_is_removed(during, database, logs):
    """What was in the file is gone with it; all else is in a new one, and nothing falls in between."""
    path = database.path
    spans = "SELECT span_id FROM fmd_request"

    def stored() -> int:
        before = set(removed.execute(spans)) if removed is not None else set()
        return len(before | set(database.ask(spans)))

    removed = None
    with during(stored) as traffic:
        # This connection goes on seeing the file that nobody else can open any more.
        removed = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        assert removed.execute(SUMS[0]).fetchone()[0] > 0
        path.unlink()
        if logs == "with its logs":
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        traffic.go_on(200, OUTAGE_S)
    assert stored() == traffic.answered
    assert_all_once(database, database.count())
    assert database.count() >= 200
    removed.close()


@pytest.mark.parametrize("spool", ["with the spool elsewhere", "with the spool beside it"])
def test_a_disk_that_is_full_under_the_database(during, database, tmp_path, small_disk, spool):
    disk = small_disk(tmp_path / "disk", "2m")
    ballast = disk / "ballast"
    there = type(database)(disk / "fmd.db")
    environ = {"FMD_OTEL_DATABASE": there.url}
    if spool == "with the spool elsewhere":
        environ["FMD_OTEL_SPOOL_DIR"] = str(tmp_path)
    with during(there.count, **environ) as traffic:
        fill_up(ballast)
        traffic.go_on(600, OUTAGE_S)
        ballast.unlink()
    assert_all_once(there, traffic.answered)
    assert "is full" in traffic.log
    assert warnings(traffic) == (2 if spool == "with the spool beside it" else 0)


# The spool


def test_a_full_disk_under_the_spool_degrades_to_memory_with_one_warning(
    during, database, tmp_path, small_disk
):
    disk = small_disk(tmp_path / "disk", "300k")
    with during(database.count, FMD_OTEL_SPOOL_DIR=str(disk)) as traffic:
        fill_up(disk / "ballast")
        with closing(connect(database)) as holder:
            holder.execute("BEGIN IMMEDIATE")  # so that requests have to wait somewhere
            traffic.go_on(400, OUTAGE_S)
            holder.execute("COMMIT")
    assert_all_once(database, traffic.answered)
    assert warnings(traffic) == 2, traffic.log  # one in each worker
    assert "No space left on device" in traffic.log
    assert "Free some space there" in traffic.log


def test_a_read_only_directory_for_the_spool_degrades_to_memory_with_one_warning(
    during, database, tmp_path, small_disk
):
    disk = small_disk(tmp_path / "disk", "300k", options="ro")
    with (
        during(database.count, FMD_OTEL_SPOOL_DIR=str(disk)) as traffic,
        closing(connect(database)) as holder,
    ):
        holder.execute("BEGIN IMMEDIATE")
        traffic.go_on(400, OUTAGE_S)
        holder.execute("COMMIT")
    assert_all_once(database, traffic.answered)
    assert warnings(traffic) == 2, traffic.log
    assert "Make it a directory that this user can write" in traffic.log


def warnings(traffic: Traffic) -> int:
    return traffic.log.count(COULD_NOT_SPOOL)


def fill_up(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.fixture
def small_disk() -> Iterator[Callable[..., Path]]:
    """Mount a tiny file system; for that one has to be root."""
    mounted = []

    def mount(place: Path, size: str, options: str = "rw") -> Path:
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700,{options}", "tmpfs", place],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"needs the right to mount a small file system, as root has ({done.stderr.strip()})")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", place], check=True)


# Servers


@pytest.fixture(scope="module", params=[POSTGRESQL, MARIADB])
def server(request) -> Iterator[OwnServer]:
    """A database server of our own, that may be stopped."""
    with own(request.param) as started:
        yield started


@pytest.mark.parametrize("how", ["stopped", "killed", "frozen"])
def test_a_server_that_is_away_for_a_while(during, server, how):
    with server.scratch() as url:
        database = Elsewhere(url)
        with during(database.count, FMD_OTEL_DATABASE=url) as traffic:
            if how == "frozen":
                server.freeze()
            else:
                server.stop(at_once=how == "killed")
            try:
                traffic.go_on(200, OUTAGE_S)
            finally:
                if how == "frozen":
                    server.thaw()
                else:
                    server.start()
        assert_all_once(database, traffic.answered)
        assert how == "frozen" or COULD_NOT_WRITE in traffic.log


class Elsewhere:
    """A database on a server, as :class:`.Database` is one in a file."""

    def __init__(self, url: str) -> None:
        parsed = make_url(url)
        driver = {POSTGRESQL: "postgresql+psycopg", MARIADB: "mysql+pymysql"}[parsed.drivername]
        self._engine = create_engine(parsed.set(drivername=driver), poolclass=NullPool)

    def ask(self, query: str) -> list[Any]:
        with contextlib.suppress(SQLAlchemyError), self._engine.connect() as connection:
            return list(connection.execute(text(query)))
        return []  # it is away, or there are no tables yet

    def count(self) -> int:
        rows = self.ask(SUMS[0])
        return rows[0][0] if rows else 0


def test_all_workers_killed_during_an_outage(start, database):
    """What they had accepted is written by those that come after them."""
    running = start("two-lines", "gunicorn-2")
    with Traffic(running) as traffic:
        traffic.go_on(50)
        wait_until(lambda: database.count() > 0)
        holder = connect(database)
        holder.execute("BEGIN IMMEDIATE")
        traffic.go_on(200, OUTAGE_S)
    assert not traffic.failures
    # The last requests end a moment after their clients have the answers.
    spool = spool_directory(database.url, "fmd")
    wait_until(lambda: database.count() + inspect(spool).records >= traffic.answered)
    os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()
    holder.close()
    assert database.count() < traffic.answered
    again = start("two-lines", "gunicorn-2")
    again.get("/")
    wait_until(lambda: database.count() >= traffic.answered + 1)
    again.stop()
    assert_all_once(database, traffic.answered + 1)
