"""The table behind a page, for whoever wants the numbers: every page that has one says so here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from fmd_otel_dash.view import View


@dataclass(frozen=True)
class Table:
    """Columns, and how to come by the rows of a view."""

    name: str
    """First part of the file's name."""
    columns: tuple[str, ...]
    rows: Callable[[View], Iterable[Sequence[Any]]]


def milliseconds(us: float | None) -> float | str:
    """Return a duration for a spreadsheet: milliseconds, or an empty cell."""
    return "" if us is None else round(us / 1000, 3)
