"""Rows as ClickHouse's own blocks of columns.

clickhouse-connect looks at each value of each column; here the type of a column decides how its values are
written, which takes a third of the CPU.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from clickhouse_connect.dbapi import DataError
from sqlalchemy import BigInteger, Float, Integer, LargeBinary, Numeric, SmallInteger, String

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Column

_SHORT = [bytes((length,)) for length in range(128)]


class Block:
    """Writes rows of some columns."""

    def __init__(self, columns: Sequence[Column[Any]]) -> None:
        """Prepare for these columns."""
        self.names = [column.name for column in columns]
        self._writers = [(_head(column), _writer(column)) for column in columns]

    def write(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """Return the block.

        Raises:
            DataError: A value does not fit its column.
        """
        parts = [_varint(len(self._writers)), _varint(len(rows))]
        try:
            for (head, writer), values in zip(self._writers, zip(*rows, strict=True), strict=True):
                parts += (head, writer(values))
        except (struct.error, OverflowError, TypeError, ValueError, AttributeError) as exc:
            raise DataError(f"a value does not fit its column ({type(exc).__name__}: {exc})") from exc
        return b"".join(parts)


def type_of(column: Column[Any]) -> str:
    """Return the type that values of a column are sent as; the server makes the column's own of it."""
    kind = column.type
    if isinstance(kind, SmallInteger):
        name = "Int16"
    elif isinstance(kind, BigInteger):
        name = "Int64"
    elif isinstance(kind, Integer):
        name = "Int32"
    elif isinstance(kind, Float | Numeric):
        name = "Float64"
    elif isinstance(kind, LargeBinary) and kind.length:
        name = f"FixedString({kind.length})"
    elif isinstance(kind, String | LargeBinary):
        name = "String"
    else:
        raise TypeError(f"no way to write {kind!r}")
    return f"Nullable({name})" if column.nullable else name


def _head(column: Column[Any]) -> bytes:
    name, kind = column.name.encode(), type_of(column).encode()
    return _varint(len(name)) + name + _varint(len(kind)) + kind


def _writer(column: Column[Any]) -> Callable[[Sequence[Any]], bytes]:
    kind = column.type
    empty: Any = 0
    if isinstance(kind, LargeBinary) and kind.length:
        write, empty = _fixed(kind.length), bytes(kind.length)
    elif isinstance(kind, LargeBinary):
        write, empty = _blobs, b""
    elif isinstance(kind, String):
        write, empty = _texts, ""
    else:
        write = _numbers(
            {"Int16": "h", "Int32": "i", "Int64": "q"}.get(type_of(column).split("(")[-1][:5], "d")
        )
    return _nullable(write, empty) if column.nullable else write


def _numbers(code: str) -> Callable[[Sequence[Any]], bytes]:
    return lambda values: struct.pack(f"<{len(values)}{code}", *values)


def _fixed(length: int) -> Callable[[Sequence[Any]], bytes]:
    def write(values: Sequence[bytes]) -> bytes:
        joined = b"".join(values)
        if len(joined) != length * len(values):
            joined = b"".join([value.ljust(length, b"\0") for value in values])
        if len(joined) != length * len(values):
            raise ValueError(f"more than {length} bytes")
        return joined

    return write


def _texts(values: Sequence[str]) -> bytes:
    written = {value: _blob(value.encode()) for value in set(values)}  # methods, and little else: few
    return b"".join([written[value] for value in values])


def _blobs(values: Sequence[bytes]) -> bytes:
    return b"".join([_blob(value) for value in values])


def _blob(value: bytes) -> bytes:
    return (_SHORT[len(value)] if len(value) < 128 else _varint(len(value))) + value  # noqa: PLR2004 # a byte's worth


def _nullable(write: Callable[[Sequence[Any]], bytes], empty: Any) -> Callable[[Sequence[Any]], bytes]:
    def write_nulls(values: Sequence[Any]) -> bytes:
        if None not in values:
            return bytes(len(values)) + write(values)
        nulls = bytes([value is None for value in values])
        return nulls + write([empty if value is None else value for value in values])

    return write_nulls


def _varint(number: int) -> bytes:
    parts = bytearray()
    while number >= 128:  # noqa: PLR2004 # seven bits at a time
        parts.append(number & 127 | 128)
        number >>= 7
    parts.append(number)
    return bytes(parts)
