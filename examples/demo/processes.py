"""Starting other programs, knowing whether they live, and leaving none behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from threading import Event

_TAIL_LINES = 15
_POLL_S = 0.05
_SETTINGS = ("FMD_OTEL_", "OTEL_", "SHOP_")
_ALL_ADDRESSES = ("", "0.0.0.0")  # noqa: S104 - compared with, not bound to


class DemoError(Exception):
    """Something the user should read; no traceback."""


class Program:
    """A program in a session of its own: Ctrl-C reaches it through us alone, in an order that we choose."""

    def __init__(  # noqa: PLR0913 - what it takes to start a program
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        folder: Path,
        sockets: Sequence[socket.socket] = (),
    ) -> None:
        """Start it; what it prints goes to ``log``."""
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_leash(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**_inherited(), **environment},
                cwd=folder,
                pass_fds=[each.fileno() for each in sockets],
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group's."""
        return self._process.pid

    def check(self) -> None:
        """Raise DemoError, with its last words, if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(
                f"The {self.name} ended early (exit code {code}). Its last lines:\n{self._tail()}"
            )

    def wait_until(self, ready: Callable[[], bool], *, timeout_s: float, stopped: Event) -> None:
        """Wait until ``ready`` says yes.

        Raises:
            DemoError: The program ended, or it took too long.
        """
        deadline = time.monotonic() + timeout_s
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"The {self.name} gave no answer for {timeout_s:.0f} s. Its last lines:\n{self._tail()}"
                )
            if stopped.wait(_POLL_S):
                return

    def ask_to_stop(self) -> None:
        """Ask it to finish what it is doing and end."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float = 10) -> None:
        """End it and whatever it has started, by force if asking does not help."""
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        # Its session may outlive it: a worker whose master was killed.
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (none)"


def _inherited() -> dict[str, str]:
    """Return our environment without the user's own monitoring: the demo shows its own settings alone."""
    return {key: value for key, value in os.environ.items() if not key.startswith(_SETTINGS)}


def _leash() -> list[str]:
    """Return what makes a program end with its parent, even by ``kill -9``; nothing where that is unknown."""
    return ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []


def base_url(host: str, port: int) -> str:
    """Return what to type into a browser on this machine."""
    return f"http://{'localhost' if host in _ALL_ADDRESSES else host}:{port}"


def answers(url: str) -> Callable[[], bool]:
    """Return a question: does anything but a server error come from ``url``?"""

    def ask() -> bool:
        return (status_of(url) or 500) < 500  # noqa: PLR2004 - where server errors begin

    return ask


def status_of(url: str) -> int | None:
    """Return the HTTP status that ``url`` answers with, None for no answer at all."""
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 - our own http:// address
            status: int = response.status
            return status
    except HTTPError as error:
        error.close()
        return error.code
    except (URLError, OSError):
        return None


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket on ``port``, or on a free one if that is taken."""
    try:
        return socket.create_server((host, port), backlog=256)
    except OSError as error:
        if port == 0:
            raise DemoError(
                f"No port can be opened on {host}: {error.strerror}. Name another address with --host."
            ) from error
    return listen(host, 0)


def free_port(host: str, port: int) -> int:
    """Return ``port`` if nobody listens on it, else one that is free."""
    with listen(host, port) as found:
        number: int = found.getsockname()[1]
        return number
