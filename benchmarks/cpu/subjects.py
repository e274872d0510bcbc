"""Starting, driving and stopping the processes that are measured."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.cpu.clock import cpu_ns
from benchmarks.cpu.target import ANSWER, DRAIN_PATH

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).parents[2]
FMD_PYTHON = ROOT / ".bench-fmd" / "bin" / "python"
START_TIMEOUT_S = 60


class Subject(Protocol):
    """A running variant."""

    def run(self, requests: int) -> float:
        """Serve so many requests, wait until all their work is done, return CPU microseconds a request."""

    def recorded(self) -> int | None:
        """Return how many requests the monitor has recorded."""

    def stop(self) -> None:
        """End the process."""


def python_for(variant: str) -> str:
    """Return the interpreter whose environment holds what the variant needs."""
    return str(FMD_PYTHON) if variant in {"fmd", "fmd-bare"} else sys.executable


def environment(variant: str, folder: Path, otlp_endpoint: str) -> dict[str, str]:
    """Return the environment a measured process runs in: nothing of the user's own monitoring reaches it."""
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "FMD_OTEL_"))
    }
    return inherited | {
        "BENCH_VARIANT": variant,
        "BENCH_FOLDER": str(folder),
        "BENCH_OTLP_ENDPOINT": otlp_endpoint,
        "PYTHONPATH": str(ROOT),
    }


class LoopSubject:
    """WSGI calls in a loop: no server and no network, hence the least noise."""

    def __init__(self, variant: str, folder: Path, otlp_endpoint: str) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            [python_for(variant), "-m", "benchmarks.cpu.target"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / f"{variant}.log").open("w"),
            text=True,
            cwd=folder,
            env=environment(variant, folder, otlp_endpoint),
        )
        self._answer: dict[str, Any] = {}
        self._read()

    def _read(self) -> str:
        for line in self._process.stdout or ():
            if line.startswith(ANSWER):  # what a monitor prints by itself is of no interest
                return line.removeprefix(ANSWER)
        raise SubjectError("the measured process ended early")

    def run(self, requests: int) -> float:
        """See :class:`Subject`."""
        before = cpu_ns(self._process.pid)
        print(requests, file=self._process.stdin, flush=True)
        self._answer = json.loads(self._read())
        return (cpu_ns(self._process.pid) - before) / 1000 / requests

    def recorded(self) -> int | None:
        """See :class:`Subject`."""
        return self._answer.get("recorded")

    def stop(self) -> None:
        """See :class:`Subject`."""
        self._process.kill()
        self._process.wait()


class GunicornSubject:
    """One gunicorn worker of the default kind over HTTP, with its master: what a server really spends."""

    def __init__(self, variant: str, folder: Path, otlp_endpoint: str) -> None:
        """Start gunicorn on a socket that is open already, and wait for its first answer."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._address = listener.getsockname()
            self._process = subprocess.Popen(
                [
                    *(python_for(variant), "-m", "gunicorn", "--workers", "1"),
                    *("--bind", f"fd://{listener.fileno()}"),
                    "benchmarks.cpu.target:application()",
                ],
                stdout=subprocess.DEVNULL,
                stderr=(folder / f"{variant}.log").open("w"),
                cwd=folder,
                env=environment(variant, folder, otlp_endpoint),
                pass_fds=[listener.fileno()],
            )
        self._answer: dict[str, Any] = {}
        self._get(DRAIN_PATH)

    def _get(self, path: str) -> bytes:
        with socket.create_connection(self._address, timeout=START_TIMEOUT_S) as connection:
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n"
                "Accept-Encoding: gzip, deflate\r\nCookie: session=abc\r\nConnection: close\r\n\r\n".encode()
            )
            with connection.makefile("rb") as reader:
                headers, _, body = reader.read().partition(b"\r\n\r\n")
        if not headers.startswith(b"HTTP/1.1 200"):
            raise SubjectError(f"the measured server answered {headers[:40]!r}")
        return body

    def run(self, requests: int) -> float:
        """See :class:`Subject`."""
        before = cpu_ns(self._process.pid)
        for number in range(requests):
            self._get(f"/hello/{number}")
        self._answer = json.loads(self._get(DRAIN_PATH))
        return (cpu_ns(self._process.pid) - before) / 1000 / requests

    def recorded(self) -> int | None:
        """See :class:`Subject`."""
        return self._answer.get("recorded")

    def stop(self) -> None:
        """See :class:`Subject`."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class SubjectError(Exception):
    """A variant could not be started or measured."""


class Sink:
    """The OTLP endpoint that the exporters send to."""

    def __enter__(self) -> Self:
        """Start it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cpu.sink"], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        port = next(iter(self._process.stdout or ()), "").strip()
        self.url = f"http://127.0.0.1:{port}/v1/traces"
        return self

    def __exit__(self, *_exc: object) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
