"""The shop under gunicorn, one release after the other on one socket: no visitor notices a deployment."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from demo.processes import Program, base_url, listen

if TYPE_CHECKING:
    from threading import Event

EXAMPLES = Path(__file__).parents[1]
_START_TIMEOUT_S = 60


class ShopServer:
    """The address of the shop, and whichever release serves it."""

    def __init__(self, host: str, port: int, *, folder: Path, database: str) -> None:
        """Open the address; ``folder`` gets the log and the shop's own data, ``database`` the requests."""
        self._socket = listen(host, port)
        self.url = base_url(host, self._socket.getsockname()[1])
        self.version = ""
        self._newest = ""
        self._folder = folder
        self._database = database
        self._secret_key = secrets.token_hex()
        self._running: list[Program] = []

    def start(self, version: str) -> None:
        """Start a release beside the one that runs already, if one does."""
        program = Program(
            f"shop {version}",
            [
                *(sys.executable, "-m", "gunicorn", "--workers", "2", "--threads", "4"),
                *("--bind", f"fd://{self._socket.fileno()}", "--graceful-timeout", "5"),
                "--no-control-socket",  # two releases would share its one path in the home directory
                "shop:create_app()",
            ],
            log=self._folder / "shop.log",
            folder=EXAMPLES,
            environment={
                "APP_VERSION": version,
                "SHOP_DATABASE": str(self._folder / "shop.db"),
                "SHOP_SECRET_KEY": self._secret_key,
                "SHOP_BEHIND_PROXY": "1",
                "SHOP_MONITORING": "two-lines",
                "FMD_OTEL_DATABASE": self._database,
                "FMD_OTEL_APP_VERSION": version,
            },
            sockets=[self._socket],
        )
        self._running.append(program)
        self._newest = version

    def wait(self, stopped: Event) -> None:
        """Wait until the release that was started last serves visitors."""
        self._running[-1].wait_until(self.taken_over, timeout_s=_START_TIMEOUT_S, stopped=stopped)

    def taken_over(self) -> bool:
        """Tell whether the release that was started last serves; if it does, let the one before go."""
        if self.version == self._newest:
            return True
        if _version_of(self.url) != self._newest:
            return False
        self.version = self._newest
        *before, newest = self._running
        for program in before:
            program.stop()
        self._running = [newest]
        return True

    def check(self) -> None:
        """Raise DemoError if the shop has ended by itself."""
        for program in self._running:
            program.check()

    def close(self) -> None:
        """Stop whatever runs and free the address."""
        for program in self._running:
            program.ask_to_stop()
        for program in self._running:
            program.stop()
        self._socket.close()


def _version_of(url: str) -> str | None:
    """Ask which release answers: while two share a socket, either may."""
    try:
        with urlopen(f"{url}/healthz", timeout=5) as response:  # noqa: S310 - our own http:// address
            return str(json.load(response)["version"])
    except OSError:
        return None
