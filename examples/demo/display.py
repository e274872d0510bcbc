"""What the demo says while it works: a live display in a terminal, plain lines anywhere else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.box import ROUNDED
from rich.console import Console, Group
from rich.live import Live
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
        self._bar = Progress(
            TextColumn("  History"), BarColumn(), MofNCompleteColumn(), TextColumn("requests")
        )
        self._line = Progress(SpinnerColumn(), TextColumn("{task.description}"))
        self._live = Live(Group(self._bar, self._line), console=self._console, transient=True)
        self._history: TaskID | None = None
        self._status: TaskID | None = None
        self._status_said_at = -float(_PLAIN_STATUS_EVERY_S)

    def __enter__(self) -> Self:
        """Take the terminal."""
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        """Give it back."""
        self._live.stop()

    def step(self, text: str) -> None:
        """Say what is being done now."""
        self._console.print(f"[dim]·[/dim] {text}")

    def history(self, total: int) -> None:
        """Begin to show how much history has been written."""
        self._history = self._bar.add_task("", total=total)

    def history_written(self, count: int) -> None:
        """Say that some more has been written."""
        if self._history is not None:
            self._bar.advance(self._history, count)

    def history_done(self, text: str) -> None:
        """Say that the history is complete."""
        if self._history is not None:
            self._bar.remove_task(self._history)
            self._history = None
        self.step(text)

    def status(self, text: str) -> None:
        """Show the state of the live traffic, in place of what was shown before."""
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._line.add_task("")
            self._line.update(self._status, description=text)
        elif time.monotonic() - self._status_said_at >= _PLAIN_STATUS_EVERY_S:
            self._status_said_at = time.monotonic()
            self.step(text)

    def box(self, title: str, text: str) -> None:
        """Show what the user came for."""
        self._console.print()
        self._console.print(Panel(text, title=title, box=ROUNDED, padding=(1, 3), expand=False))
        self._console.print()

    def error(self, text: str) -> None:
        """Say what went wrong."""
        self._console.print(text, style="red", markup=False)
