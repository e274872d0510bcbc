"""Real servers, real databases: what the tests of this folder start, send and count."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

APPS = Path(__file__).parent / "apps"
BIN = Path(sys.executable).parent
PATHS = ("/", "/shop/item/1", "/shop/item/2", "/fail", "/nope", "/file")
STATUS = {"/": 200, "/shop/item/1": 200, "/shop/item/2": 200, "/fail": 503, "/nope": 404, "/file": 200}
DEADLINE_S = 90

DOORS = {
    "launcher": ([str(BIN / "opentelemetry-instrument")], "plain"),
    "two-lines": ([], "two_lines"),
    "profiled": ([], "profiled"),
    "closer": ([], "closer"),
}
SERVERS = {
    "flask-run": ["flask", "--app", "{module}", "run", "-p", "{port}"],
    "flask-debug": ["flask", "--app", "{module}", "run", "--debug", "-p", "{port}"],
    "flask-debug-edited": ["flask", "--app", "edited", "run", "--debug", "-p", "{port}"],
    "gunicorn-4": ["gunicorn", "-w", "4", "-b", "127.0.0.1:{port}", "{module}:app"],
    "gunicorn-2": ["gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "{module}:app"],
    "gunicorn-preload": ["gunicorn", "-w", "2", "--preload", "-b", "127.0.0.1:{port}", "{module}:app"],
    "gunicorn-gthread": [
        *("gunicorn", "-k", "gthread", "-w", "2", "--threads", "4", "-b", "127.0.0.1:{port}", "{module}:app")
    ],
    "gunicorn-gevent": ["gunicorn", "-k", "gevent", "-w", "2", "-b", "127.0.0.1:{port}", "{module}:app"],
    "waitress": ["waitress-serve", "--listen=127.0.0.1:{port}", "{module}:app"],
    "uwsgi": [
        *("uwsgi", "--http-socket", "127.0.0.1:{port}", "--module", "{module}:app", "--master"),
        *("--processes", "2", "--threads", "4", "--lazy-apps", "--die-on-term", "--need-app"),
    ],
}


@dataclass
class Database:
    """What the servers wrote."""

    path: Path

    @property
    def url(self):
        return f"sqlite:///{self.path}"

    def ask(self, statement):
        if not self.path.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as connection:
            try:
                return connection.execute(statement).fetchall()
            except sqlite3.OperationalError:  # the tables are not there yet
                return []

    def count(self):
        rows = self.ask("SELECT COUNT(*) FROM fmd_request")
        return rows[0][0] if rows else 0

    def hits(self):
        return self.ask("SELECT SUM(n) FROM fmd_hits")[0][0]

    def by_endpoint(self):
        return dict(
            self.ask(
                "SELECT e.name, COUNT(*) FROM fmd_request r "
                "JOIN fmd_endpoint e ON e.id = r.endpoint_id GROUP BY 1"
            )
        )

    def wait_for(self, number):
        """Wait until so many requests are there; the caller asserts that there are no more."""
        deadline = time.monotonic() + DEADLINE_S
        while self.count() < number and time.monotonic() < deadline:
            time.sleep(0.05)
        return self.count()


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path="/"):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def send(self, number):
        """Send so many requests from four clients, and see that each is answered as it should be."""
        paths = [PATHS[n % len(PATHS)] for n in range(number)]
        with ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(lambda path: self.get(path)[0], paths))
        assert answers == [STATUS[path] for path in paths], self.output()

    def output(self):
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text, times):
        """Wait until the server has said something so many times."""
        deadline = time.monotonic() + DEADLINE_S
        while self.output().count(text) < times:
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.05)

    def complaints(self):
        """Lines of tracebacks that lead through us; gevent has some of its own to say at exit."""
        return [
            line
            for line in self.output().splitlines()
            if line.lstrip().startswith("File") and "fmd_otel" in line
        ]

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@pytest.fixture
def database(tmp_path):
    return Database(tmp_path / "fmd.db")


@pytest.fixture
def clean_environ(tmp_path, database):
    """The environment of a server: nothing of ours or OpenTelemetry's but what the test sets."""
    environ = {
        k: v for k, v in os.environ.items() if not k.startswith(("FMD_OTEL_", "OTEL_", "FLASK_", "WERKZEUG_"))
    }
    return {
        **environ,
        "PYTHONPATH": str(APPS),
        "PATH": f"{BIN}{os.pathsep}{environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        "HOME": str(tmp_path),
        "FMD_OTEL_DATABASE": database.url,
        "FMD_OTEL_DELAY_MS": "100",
        "FMD_OTEL_INCLUDE_DASHBOARD": "false",
    }


@pytest.fixture
def start(tmp_path, clean_environ):
    """Start servers, and stop whatever of them is left at the end."""
    started = []

    def launch(door, server, *, extra=(), **environ):
        prefix, module = DOORS[door]
        port = free_port()
        command = [part.format(module=module, port=port) for part in SERVERS[server]]
        log = tmp_path / f"server-{len(started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*prefix, str(BIN / command[0]), *extra, *command[1:]],
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=tmp_path,
                env={**clean_environ, **environ},
                start_new_session=True,
            )
        running = Server(process, port, log)
        started.append(running)
        wait_until_it_listens(running)
        return running

    yield launch
    for running in started:
        running.stop()
        with contextlib.suppress(ProcessLookupError):  # the group has ended, as it should have
            os.killpg(running.process.pid, signal.SIGKILL)


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_listens(server):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        assert server.process.poll() is None, server.output()
        with closing(socket.socket()) as probe:
            if probe.connect_ex(("127.0.0.1", server.port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens: {server.output()}")


@dataclass
class Collector:
    """An OTLP/HTTP endpoint that keeps the spans it is sent."""

    port: int = 0
    spans: list[object] = field(default_factory=list)

    def wait_for(self, number):
        deadline = time.monotonic() + DEADLINE_S
        while len(self.spans) < number and time.monotonic() < deadline:
            time.sleep(0.05)
        return len(self.spans)


@pytest.fixture
def collector():
    kept = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    kept.spans.extend(scope.spans)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield kept
        server.shutdown()
        thread.join()
