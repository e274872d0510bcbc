"""How far a long command is: a bar for a person who watches, a line now and then for a log."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PARTS = 10


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function to call with how many more are done.

    Written to standard error, so that standard output can be piped.
    """
    if not sys.stderr.isatty():
        yield _Lines(label, total)
        return
    with click.progressbar(
        length=max(total, 1), label=label, file=sys.stderr, show_pos=True, show_percent=True, width=30
    ) as bar:
        yield bar.update


class _Lines:
    """Says each time when another tenth is done."""

    def __init__(self, label: str, total: int) -> None:
        self._label = label
        self._total = max(total, 1)
        self._done = self._told = 0

    def __call__(self, more: int) -> None:
        self._done += more
        part = self._done * _PARTS // self._total
        if part > self._told:
            self._told = part
            click.echo(
                f"{self._label}: {self._done:,} of {self._total:,} ({self._done * 100 // self._total} %)",
                err=True,
            )
