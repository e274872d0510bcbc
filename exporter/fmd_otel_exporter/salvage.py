"""Writes what can be written of a batch in which something cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from fmd_otel_exporter.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

R = TypeVar("R")
T = TypeVar("T")


def write_parts(
    write: Callable[[Sequence[R]], T], batch: Sequence[R], lose: Callable[[R, Exception], object]
) -> Iterator[T]:
    """Write a batch as a whole, or else in halves of halves, until only what no row can hold is left over.

    Of a single record that cannot be written, letters beyond ASCII are written as escapes: a database may
    have an encoding that lacks them, and the record still counts.

    Halves are the same ones whenever the same batch comes again, so that a database which knows batches by
    their content knows these, too. A database that takes none of several records is at fault itself, whatever
    it says of them: then nothing is lost, and the batch has to come again.

    Args:
        write: Writes some records, or none of them.
        batch: The records.
        lose: Told of each record that cannot be written by itself either, and why.

    Yields:
        What ``write`` returned.

    Raises:
        StorageError: The database cannot be used now.
    """
    unwritable: list[tuple[R, Exception]] = []
    yield from _write(write, batch, unwritable)
    if 1 < len(unwritable) == len(batch) and any(_is_of_database(exc) for _, exc in unwritable):
        reason = unwritable[0][1]
        raise StorageError(f"the database takes none of {len(batch)} records ({reason})") from reason
    for record, exc in unwritable:
        lose(record, exc)


def _write(
    write: Callable[[Sequence[R]], T], batch: Sequence[R], unwritable: list[tuple[R, Exception]]
) -> Iterator[T]:
    try:
        yield write(batch)
    except StorageError:
        raise
    except Exception as exc:  # noqa: BLE001 # whatever a driver raises for a value of the wrong kind
        if len(batch) == 1:
            plain = _in_ascii(batch[0])
            try:
                if plain != batch[0]:
                    yield write([plain])
                    return
            except StorageError:
                raise
            except Exception:  # noqa: BLE001, S110 # as above; then its text was not at fault
                pass
            unwritable.append((batch[0], exc))
            return
        middle = len(batch) // 2
        yield from _write(write, batch[:middle], unwritable)
        yield from _write(write, batch[middle:], unwritable)


def _in_ascii(value: T) -> T:
    """Return the same with texts that every database can hold, whatever encoding its owner has given it."""
    if isinstance(value, str):
        return value.encode("ascii", "backslashreplace").decode("ascii")  # type: ignore[return-value] # a text is one
    if isinstance(value, tuple):
        parts: Any = [_in_ascii(each) for each in value]
        make: Any = getattr(type(value), "_make", tuple)
        return make(parts)  # type: ignore[no-any-return] # of the same type
    return value


def _is_of_database(exc: Exception) -> bool:
    """Tell whether the database or its driver has said so, rather than our own code on the way there."""
    return getattr(exc, "orig", None) is not None
