"""A measured server, and the clients that keep it busy."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.cpu.clock import cpu_ns
from benchmarks.cpu.subjects import FMD_PYTHON, SubjectError, environment
from benchmarks.profiler.target import DRAIN_PATH, SWITCH_PATH

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 120


class Load(NamedTuple):
    """What one round of a view is."""

    path: str
    in_flight: int
    requests: int


class Cost(NamedTuple):
    """What one round cost."""

    cpu_us: float
    """CPU time of the server a request, all that it leaves to be done afterwards included."""
    rps: float


class Server:
    """One gunicorn worker with 32 threads."""

    def __init__(self, variant: str, folder: Path, rounds: int) -> None:
        """Start it, and wait for its first answer."""
        python = str(FMD_PYTHON) if variant.startswith("fmd-") else sys.executable
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self.port = listener.getsockname()[1]
            self.process = subprocess.Popen(
                [
                    *(python, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "32"),
                    *("--bind", f"fd://{listener.fileno()}", "--keep-alive", "60", "--timeout", "0"),
                    "benchmarks.profiler.target:application()",
                ],
                stdout=subprocess.DEVNULL,
                stderr=(folder / f"{variant}.log").open("w"),
                cwd=folder,
                env=environment(variant, folder, "") | {"BENCH_ROUNDS": str(rounds)},
                pass_fds=[listener.fileno()],
            )
        self.drain()

    def drain(self) -> Any:
        """Wait until the server has done all that the requests so far left to be done."""
        return self._ask(DRAIN_PATH)

    def switch(self, variant: str) -> None:
        """Watch requests in another way from now on."""
        self._ask(f"{SWITCH_PATH}{variant}")

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise SubjectError(f"the measured server answered {response.status}")
            return json.loads(response.read())
        finally:
            connection.close()

    def run(self, load: Load) -> Cost:
        """Keep so many requests in flight until all are answered."""
        left = iter(range(load.requests))
        failures: list[object] = []

        def client() -> None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
            try:
                for _ in left:
                    connection.request("GET", load.path)
                    response = connection.getresponse()
                    response.read()
                    if response.status != http.client.OK:
                        failures.append(response.status)
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)
            finally:
                connection.close()

        clients = [threading.Thread(target=client) for _ in range(load.in_flight)]
        before_ns, start = cpu_ns(self.process.pid), time.perf_counter()
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        elapsed_s = time.perf_counter() - start
        self.drain()
        if failures:
            raise SubjectError(f"{len(failures)} requests failed: {failures[0]}")
        return Cost((cpu_ns(self.process.pid) - before_ns) / 1000 / load.requests, load.requests / elapsed_s)

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
