"""What the demo says while it works: a live display in a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.box import ROUNDED
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn

if TYPE_CHECKING:
    from typing_extensions import Self

_PLAIN_STATUS_EVERY_S = 30


class Display:
    """One per run; a context manager, because a live display has to give the terminal back."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to ``console``, standard output unless said otherwise."""
        self._console = console or Console(highlight=False)
        self._live = self._console.is_terminal
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._history: TaskID | None = None
        self._status: TaskID | None = None
        self._status_said = -float(_PLAIN_STATUS_EVERY_S)

    def __enter__(self) -> Self:
        """Take the terminal."""
        self._progress.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Give it back."""
        self._progress.stop()

    def step(self, text: str) -> None:
        """Say what is being done now."""
        self._console.print(f"[dim]·[/dim] {text}")

    def history(self, total: int) -> None:
        """Begin to show how much history has been written."""
        self._history = self._progress.add_task("History", total=total, note="requests, newest first")

    def history_written(self, count: int) -> None:
        """Say that some more has been written."""
        if self._history is not None:
            self._progress.advance(self._history, count)

    def history_done(self, text: str) -> None:
        """Say that the history is complete."""
        if self._history is not None:
            self._progress.remove_task(self._history)
            self._history = None
        self.step(text)

    def status(self, text: str) -> None:
        """Show the state of the live traffic, in place of what was shown before."""
        if not self._live:
            if time.monotonic() - self._status_said >= _PLAIN_STATUS_EVERY_S:
                self._status_said = time.monotonic()
                self.step(text)
        elif self._status is None:
            self._status = self._progress.add_task(text, total=None, note="Ctrl-C stops everything")
        else:
            self._progress.update(self._status, description=text)

    def box(self, title: str, text: str) -> None:
        """Show what the user came for."""
        self._console.print()
        self._console.print(Panel(text, title=title, box=ROUNDED, padding=(1, 3), expand=False))
        self._console.print()

    def error(self, text: str) -> None:
        """Say what went wrong."""
        self._console.print(text, style="red", markup=False)
