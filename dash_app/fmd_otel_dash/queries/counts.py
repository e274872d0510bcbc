"""Requests, errors and time: what every page counts, in one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.look import CLIENT_ERROR_STATUS, ERROR_STATUS, total_where
from fmd_otel_dash.queries.sources import Columns, total

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement

    from fmd_otel_dash.queries.statements import Statement


@dataclass(frozen=True)
class Counts:
    """Sums over some requests."""

    n: int = 0
    errors: int = 0
    """Answers of 500 and above."""
    client_errors: int = 0
    """Answers of 400 to 499."""
    sum_us: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the sums over both."""
        return Counts(
            self.n + other.n,
            self.errors + other.errors,
            self.client_errors + other.client_errors,
            self.sum_us + other.sum_us,
        )

    @property
    def error_rate(self) -> float | None:
        """Share of server errors; None where there was nothing to fail."""
        return self.errors / self.n if self.n else None

    @property
    def mean_us(self) -> float | None:
        """Mean duration; None where there is none."""
        return self.sum_us / self.n if self.n else None


NOTHING = Counts()


def summed(c: Columns) -> tuple[ColumnElement[int], ...]:
    """Return the SQL sums of hits rows, in the order of :class:`Counts`."""
    return (
        total(c.n),
        total_where(c.status >= ERROR_STATUS, c.n),
        total_where(c.status.between(CLIENT_ERROR_STATUS, ERROR_STATUS - 1), c.n),
        total(c.sum_us),
    )


def summed_by_endpoint(c: Columns) -> Statement:
    """Return a statement for the sums of each endpoint."""
    return select(c.endpoint_id, *summed(c)).group_by(c.endpoint_id)


def summed_by_version(c: Columns) -> Statement:
    """Return a statement for the sums of each version."""
    return select(c.version_id, *summed(c)).group_by(c.version_id)


def summed_together(c: Columns) -> Statement:
    """Return a statement for the sums of all rows."""
    return select(*summed(c))


def together(counts: Iterable[Counts]) -> Counts:
    """Return the sums over all."""
    whole = NOTHING
    for one in counts:
        whole += one
    return whole
