"""A real dashboard process, asked as a browser asks it."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import time
from http.cookiejar import CookieJar
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

from benchmarks.cpu.clock import cpu_ns

if TYPE_CHECKING:
    from typing_extensions import Self

_START_TIMEOUT_S = 60


class Dashboard:
    """``fmd-otel dashboard`` on a database, with somebody signed in."""

    def __init__(self, database: str, folder: Path) -> None:
        """Say which database; ``folder`` gets the log."""
        self._database = database
        self._log = folder / "dashboard.log"
        self.username = "bench"
        self.password = secrets.token_urlsafe()
        self.url = ""
        self._open = build_opener(HTTPCookieProcessor(CookieJar())).open

    def __enter__(self) -> Self:
        """Start it and sign in."""
        account = {"FMD_OTEL_USERNAME": self.username, "FMD_OTEL_PASSWORD": self.password}
        command = [str(Path(sys.executable).with_name("fmd-otel")), "dashboard"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "--database", self._database, "--port", "0"],
                env={**os.environ, **account, "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = self._address()
        token = re.search(r'name="form_token"[^>]*value="([^"]+)"', self._read("login"))
        form = {
            "username": self.username,
            "password": self.password,
            "next": "/",
            "form_token": token[1] if token else "",
        }
        self._read("login", urlencode(form).encode())
        self._dependencies = json.loads(self._read("_dash-dependencies"))
        self._serial = 0
        return self

    def __exit__(self, *_exc: object) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.wait()

    def _address(self) -> str:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"Dashboard: (http\S+)", self._log.read_text()):
                return found[1].rstrip("/") + "/"
            time.sleep(0.05)
        raise SystemExit(f"The dashboard did not start:\n{self._log.read_text()}")

    def _read(self, path: str, data: bytes | None = None, **headers: str) -> str:
        request = Request(self.url + path, data, headers)  # noqa: S310 - our own http:// address
        with self._open(request, timeout=_START_TIMEOUT_S) as answer:
            text: str = answer.read().decode()
            return text

    def card_ms(self, card: str, search: str, runs: int) -> tuple[float, float]:
        """Return how long a card of the Overview takes, and its CPU time: medians of uncached runs."""
        [callback] = [each for each in self._dependencies if each["output"].startswith(f"{card}-body.")]
        took: list[tuple[float, float]] = []
        for _ in range(runs + 1):
            # What goes up with every refresh: no answer comes from the cache.
            self._serial += 1
            view = {"path": "/dashboard/overview", "search": search, "serial": self._serial, "tz": "UTC"}
            body = json.dumps(_question(callback, view)).encode()
            began_ns, cpu_began_ns = time.perf_counter_ns(), cpu_ns(self._process.pid)
            self._read("_dash-update-component", body, **{"Content-Type": "application/json"})
            ended_ns = time.perf_counter_ns()
            took.append(((ended_ns - began_ns) / 1e6, (cpu_ns(self._process.pid) - cpu_began_ns) / 1e6))
        wall, cpu = zip(*took[1:], strict=True)
        return median(wall), median(cpu)


def _question(callback: dict[str, Any], view: dict[str, Any]) -> dict[str, Any]:
    """Return what Dash's page sends to run a callback."""
    card_id, _, name = callback["output"].rpartition(".")
    inputs = [{**each, "value": view if each["id"] == "view" else None} for each in callback["inputs"]]
    return {
        "output": callback["output"],
        "outputs": {"id": card_id, "property": name},
        "inputs": inputs,
        "changedPropIds": [],
        "state": [],
    }
