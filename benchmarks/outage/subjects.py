"""The servers that are measured, and what befalls their databases."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmarks.cpu.subjects import ROOT
from benchmarks.outage.app import DATABASE, DRAIN_PATH, PLAIN, SPOOL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.databases.servers import OwnServer

_START_S = 60
_DRAIN_ATTEMPTS = 10
_COUNTS = ("SELECT count(*) FROM fmd_request", "SELECT sum(n) FROM fmd_hits")
_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("COMMIT")
"""


class Subject:
    """One gunicorn worker of the default kind, asked over HTTP."""

    trouble = "–"
    """What befalls its database while it is measured."""
    variables: Mapping[str, str] = MappingProxyType({})
    """What its environment has besides."""

    def __init__(self, name: str, folder: Path, *, monitored: bool = True) -> None:
        """Prepare; nothing is started."""
        self.name = name
        self.sent = 0
        self.failed = 0
        self.folder = folder
        self.monitored = monitored
        self.database = folder / "data" / "fmd.db"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait for its first answers."""
        folder = self.folder
        self.database.parent.mkdir(parents=True)
        environ = {
            key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "FMD_OTEL_"))
        }
        if self.monitored:
            environ |= {DATABASE: self.url(), SPOOL: str(folder / "spool")}
        environ |= self.variables
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._address = listener.getsockname()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "--workers", "1"),
                    *("--bind", f"fd://{listener.fileno()}", "benchmarks.outage.app:application()"),
                ],
                stdout=subprocess.DEVNULL,
                stderr=(folder / "server.log").open("w"),
                cwd=folder,
                env={**environ, "PYTHONPATH": str(ROOT)},
                pass_fds=[listener.fileno()],
            )
        for number in range(50):
            self.ask(number)
        if not self.drain():
            raise SystemExit(f"{self.name}: its database takes no requests")

    def url(self) -> str:
        """Return where its requests are written."""
        return f"sqlite:///{self.database}"

    def ask(self, number: int) -> None:
        """Send a request, and wait for the answer."""
        answer = self._get(f"/hello/{number}")
        self.sent += 1
        self.failed += answer != f"Hello {number}\n".encode()

    def drain(self) -> bool:
        """Wait until all requests are in the database; tell whether they are.

        A flush gives up early where nothing moves, as may be on a busy machine.
        """
        return not self.monitored or any(
            json.loads(self._get(DRAIN_PATH))["drained"] for _ in range(_DRAIN_ATTEMPTS)
        )

    def begin(self) -> None:
        """Let trouble begin."""

    def end(self) -> None:
        """End it."""

    def recorded(self) -> tuple[int, int]:
        """Count rows, and what the sums say of them."""
        with closing(sqlite3.connect(self.database)) as connection:
            rows, sums = (connection.execute(query).fetchone()[0] or 0 for query in _COUNTS)
        return rows, sums

    def stop(self) -> None:
        """End the server, if it was started."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _get(self, path: str) -> bytes:
        with socket.create_connection(self._address, timeout=_START_S) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            with connection.makefile("rb") as reader:
                head, _, body = reader.read().partition(b"\r\n\r\n")
        return body if head.startswith(b"HTTP/1.1 200") else head


class Plain(Subject):
    """OpenTelemetry as it comes, whose spans are discarded."""

    variables: Mapping[str, str] = MappingProxyType({PLAIN: "1"})

    def __init__(self, name: str, folder: Path) -> None:
        """Prepare; there is no database."""
        super().__init__(name, folder, monitored=False)


class Locked(Subject):
    """Another process holds the write lock of its database all the time."""

    trouble = "locked by another process"

    def begin(self) -> None:
        """See :class:`Subject`."""
        self._holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(self.database)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._holder.stdout is None or self._holder.stdout.readline() != "locked\n":
            raise SystemExit("the database cannot be locked")

    def end(self) -> None:
        """See :class:`Subject`."""
        self._holder.communicate("")


class Gone(Subject):
    """Its database has been removed, and the directory with it, so that no new one can be made there."""

    trouble = "removed, and its directory too"
    before = (0, 0)

    def begin(self) -> None:
        """See :class:`Subject`."""
        self.before = super().recorded()
        shutil.rmtree(self.database.parent)

    def end(self) -> None:
        """See :class:`Subject`."""
        self.database.parent.mkdir()

    def recorded(self) -> tuple[int, int]:
        """Add up what the removed file held and what the new one holds."""
        after = super().recorded()
        return self.before[0] + after[0], self.before[1] + after[1]


class Stopped(Subject):
    """Its database is on a PostgreSQL server, which is stopped and started again."""

    trouble = "PostgreSQL, stopped and started again"

    def __init__(self, name: str, folder: Path, server: OwnServer) -> None:
        """Prepare for a server that nobody else uses."""
        super().__init__(name, folder)
        self._server = server

    def url(self) -> str:
        """See :class:`Subject`."""
        return self._server.url_of("postgres")

    def begin(self) -> None:
        """See :class:`Subject`."""
        self._server.stop()

    def end(self) -> None:
        """See :class:`Subject`."""
        self._server.start()

    def recorded(self) -> tuple[int, int]:
        """See :class:`Subject`."""
        rows, sums = (int(self._server.run(query)[0][0] or 0) for query in _COUNTS)
        return rows, sums
