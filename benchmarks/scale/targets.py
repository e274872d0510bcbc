"""What was to be reached, and whether it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.scale.places import short

if TYPE_CHECKING:
    from benchmarks.scale.views import Took
    from benchmarks.scale.writers import Cost

OF_ROWS = 10_000_000
"""Limits of questions are for so many requests."""
MOST_GROWTH = 2.0
"""From a tenth of that, for what is answered from sums."""
BYTES = {"SQLite": 75.0}
"""A row of ``request`` with its key; the columns beside it tell what sums add."""
PAGE_MS = 150.0
"""Of the server's CPU time, for all cards of a page of ten million requests on SQLite."""
_OF_ROWS_ONE_BY_ONE = ("Requests, ", "One request", "Endpoint: requests ")
_OF_SUBJECTS = ("User", "user", "IP")


@dataclass(frozen=True)
class Limits:
    """Of one database."""

    overview_ms: float
    view_ms: float


# Of ten million requests; PostgreSQL may take half as long again as SQLite.
LIMITS = {
    "SQLite": Limits(600, 150),
    "PostgreSQL": Limits(900, 225),
    "ClickHouse": Limits(100, 100),
}
_CPU_US = {"SQLite": 18.0, "PostgreSQL": 40.0, "MariaDB": 75.0, "ClickHouse": 12.0}


def of_question(product: str, view: str, took: Took, rows: int, smaller: Took | None = None) -> str:
    """Return the verdict on the time of a question, and on its growth where a tenth as many were asked of."""
    limits = LIMITS.get(product)
    if limits is None:
        return ""
    limit = limits.overview_ms if view == "Overview" else limits.view_ms
    at = "" if rows >= OF_ROWS else f" at {short(rows)}"
    verdicts = [_verdict(f"≤ {limit:g} ms", met=took.wall_ms <= limit) + at]
    if smaller is not None and is_from_sums(view):
        verdicts.append(_verdict(f"≤ {MOST_GROWTH:g} ×", met=took.wall_ms <= MOST_GROWTH * smaller.wall_ms))
    return ", ".join(verdicts)


def is_from_sums(view: str) -> bool:
    """Tell whether a question is answered from sums by the hour and day alone, but for the edges."""
    return not view.startswith(_OF_ROWS_ONE_BY_ONE) and not any(word in view for word in _OF_SUBJECTS)


def of_size(product: str, bytes_a_row: float) -> str:
    """Return the verdict on the bytes that a row of ``request`` takes."""
    limit = BYTES.get(product)
    return "" if limit is None else _verdict(f"a row ≤ {limit:g}", met=bytes_a_row <= limit)


def of_writing(product: str, cost: Cost) -> str:
    """Return the verdict on the CPU time that writing a request takes."""
    limit = _CPU_US.get(product)
    if limit is None:
        return ""
    # ClickHouse's own work is on another machine where there is enough to do for it.
    if product == "ClickHouse":
        return _verdict(f"client ≤ {limit:g}", met=cost.client_us <= limit)
    return _verdict(f"together ≤ {limit:g}", met=cost.client_us + cost.server_us <= limit)


def page(cpu_ms: float) -> str:
    """Return whether a page takes the server no longer than it should."""
    return _verdict(f"≤ {PAGE_MS:g} ms", met=cpu_ms <= PAGE_MS)


def _verdict(target: str, *, met: bool) -> str:
    return f"{target}: {'met' if met else '**missed**'}"
