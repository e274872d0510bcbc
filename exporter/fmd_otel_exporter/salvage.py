"""Writes what can be written of a batch in which something cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from fmd_otel_exporter.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

R = TypeVar("R")
T = TypeVar("T")


def write_parts(
    write: Callable[[Sequence[R]], T], batch: Sequence[R], lose: Callable[[R, Exception], object]
) -> Iterator[T]:
    """Write a batch as a whole, or else in halves of halves, until only what no row can hold is left over.

    Halves are the same ones whenever the same batch comes again, so that a database which knows batches by
    their content knows these, too.

    Args:
        write: Writes some records, or none of them.
        batch: The records.
        lose: Told of each record that cannot be written by itself either, and why.

    Yields:
        What ``write`` returned.

    Raises:
        StorageError: The database cannot be used now.
    """
    try:
        yield write(batch)
    except StorageError:
        raise
    except Exception as exc:  # noqa: BLE001 # whatever a driver raises for a value of the wrong kind
        if len(batch) == 1:
            lose(batch[0], exc)
            return
        middle = len(batch) // 2
        yield from write_parts(write, batch[:middle], lose)
        yield from write_parts(write, batch[middle:], lose)
