"""Details of single requests to bytes and back.

They are rare beside requests, so that plain JSON does: Python writes it in C, and any release can read it. A
document follows as it is. As with requests, a layout never changes; a new one is a new kind.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any, TypeVar

from fmd_otel_exporter.records import (
    CodeLine,
    DetailRecord,
    ExceptionRecord,
    OutlierRecord,
    ProfileNode,
    ProfileRecord,
    TraceRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

KIND_UNPRICED_PROFILE = 2
KIND_OUTLIER = 3
KIND_EXCEPTION = 4
KIND_TRACE = 5
KIND_PROFILE = 6

MOST_DOCUMENT_BYTES = 1024 * 1024
"""Sent to MySQL as text it is twice as long, and some servers take no more than 4 MB at once."""

_HEAD = struct.Struct("<I")
_NO_DOCUMENT = 0xFFFFFFFF
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1
_ID_BYTES = 255


def encode_detail(record: DetailRecord) -> tuple[int, bytes]:
    """Return the kind and the payload of a record.

    Raises:
        Exception: Whatever Python raises for a field of the wrong type.
    """
    if isinstance(record, ProfileRecord):
        values = [*record[:4], record.span_id.hex(), record.trace_id.hex(), *record[6:]]
        return KIND_PROFILE, _packed(values, None)
    values = [*record[:4], record.span_id.hex(), record.trace_id.hex()]
    check_size(record)
    if isinstance(record, OutlierRecord):
        return KIND_OUTLIER, _packed([*values, *record[6:-1]], record.document)
    if isinstance(record, ExceptionRecord):
        return KIND_EXCEPTION, _packed([*values, *record[6:11], record.place, record.n], record.document)
    if isinstance(record, TraceRecord):
        return KIND_TRACE, _packed(values, record.document)
    raise TypeError(f"a {type(record).__name__} is no record")


def decode_detail(kind: int, payload: bytes) -> DetailRecord | None:
    """Return the record, or None for a kind that is not known here.

    Raises:
        ValueError: The content means nothing to this release.
    """
    reader = _READERS.get(kind)
    if reader is None:
        return None
    try:
        (length,) = _HEAD.unpack_from(payload)
        has_document = length != _NO_DOCUMENT
        # What is shorter than it says is no JSON, or lacks its document.
        end = _HEAD.size + length if has_document else len(payload)
        values = json.loads(payload[_HEAD.size : end])
        return reader(_Values(values), payload[end:] if has_document else None)
    except (struct.error, ValueError, TypeError, RecursionError) as exc:
        raise ValueError(str(exc)) from exc


def check_size(record: DetailRecord) -> None:
    """Refuse a document that would be too much for some database.

    Raises:
        ValueError: It is.
    """
    size = len(getattr(record, "document", None) or b"")
    if size > MOST_DOCUMENT_BYTES:
        raise ValueError(f"a document of {size} bytes; at most {MOST_DOCUMENT_BYTES} are stored")


def _packed(values: list[Any], document: bytes | None) -> bytes:
    # Pure ASCII: a lone surrogate out of a hostile request is escaped as well, and comes back as it was.
    text = json.dumps(values, separators=(",", ":"), allow_nan=False).encode("ascii")
    if document is None:
        return _HEAD.pack(_NO_DOCUMENT) + text
    return b"".join((_HEAD.pack(len(text)), text, document))


class _Values:
    """Takes values one by one, and insists on their types: a table will, too."""

    def __init__(self, values: object) -> None:
        if not isinstance(values, list):
            raise ValueError("no list")  # noqa: TRY004 # every fault is the same fault here
        self._next = iter(values).__next__
        self.count = len(values)

    def text(self) -> str:
        return self._take(str)

    def text_or_none(self) -> str | None:
        return self._or_none(str)

    def number(self) -> int:
        return _within(self._take(int))

    def number_or_none(self) -> int | None:
        value = self._or_none(int)
        return None if value is None else _within(value)

    def decimal_or_none(self) -> float | None:
        value = self._any()
        if value is not None and type(value) not in (int, float):
            raise ValueError(f"{value!r} is no number")
        return None if value is None else float(value)

    def flag(self) -> bool:
        return self._take(bool)

    def id(self) -> bytes:
        value = bytes.fromhex(self.text())
        if len(value) > _ID_BYTES:
            raise ValueError("an id that is no id")
        return value

    def each(self, make: Callable[[_Values], T]) -> tuple[T, ...]:
        return tuple([make(_Values(value)) for value in self._take(list)])

    def end(self) -> None:
        """Insist that nothing is left."""
        try:
            value = self._next()
        except StopIteration:
            return
        raise ValueError(f"{value!r} is one too many")

    def _any(self) -> Any:
        try:
            return self._next()
        except StopIteration:
            raise ValueError("something is missing") from None

    def _take(self, kind: type[T]) -> T:
        value = self._any()
        if type(value) is not kind:
            raise ValueError(f"{value!r} is no {kind.__name__}")
        return value

    def _or_none(self, kind: type[T]) -> T | None:
        value = self._any()
        if value is not None and type(value) is not kind:
            raise ValueError(f"{value!r} is no {kind.__name__}")
        found: T | None = value
        return found


def _within(value: int) -> int:
    if not _LOWEST <= value <= _HIGHEST:
        raise ValueError("a number of more than 64 bits")
    return value


def _line(values: _Values) -> CodeLine:
    line = CodeLine(values.text(), values.text(), values.number(), values.text_or_none(), values.flag())
    values.end()
    return line


def _node(values: _Values) -> ProfileNode:
    node = ProfileNode(*[values.number() for _ in ProfileNode._fields])
    values.end()
    return node


def _names(values: _Values) -> tuple[str, str, str, int, bytes, bytes]:
    return values.text(), values.text(), values.text(), values.number(), values.id(), values.id()


def _profile(values: _Values, document: bytes | None) -> ProfileRecord:
    record = _told(values)._replace(price_us=values.number())
    _end_of_profile(values, document)
    return record


def _unpriced_profile(values: _Values, document: bytes | None) -> ProfileRecord:
    record = _told(values)
    _end_of_profile(values, document)
    return record


def _end_of_profile(values: _Values, document: bytes | None) -> None:
    values.end()
    if document is not None:
        raise ValueError("a profile has no document")


def _told(values: _Values) -> ProfileRecord:
    return ProfileRecord(
        *_names(values),
        duration_us=values.number(),
        cpu_us=values.number(),
        samples=values.number(),
        period_us=values.number(),
        exact=values.flag(),
        truncated=values.flag(),
        lines=values.each(_line),
        nodes=values.each(_node),
    )


def _outlier(values: _Values, document: bytes | None) -> OutlierRecord:
    record = OutlierRecord(
        *_names(values),
        duration_us=values.number(),
        average_us=values.number(),
        threshold_us=values.number(),
        status=values.number(),
        group_by=values.text_or_none(),
        ip=values.text_or_none(),
        cpu_percent=values.decimal_or_none(),
        process_memory_bytes=values.number_or_none(),
        document=_wanted(document),
    )
    values.end()
    return record


def _exception(values: _Values, document: bytes | None) -> ExceptionRecord:
    record = ExceptionRecord(
        *_names(values),
        group_id=values.number(),
        kind=values.number(),
        type=values.text(),
        message=values.text(),
        group_by=values.text_or_none(),
        place=values.text(),
        n=values.number(),
        document=document,
    )
    values.end()
    return record


def _trace(values: _Values, document: bytes | None) -> TraceRecord:
    record = TraceRecord(*_names(values), document=_wanted(document))
    values.end()
    return record


def _wanted(document: bytes | None) -> bytes:
    if document is None:
        raise ValueError("no document")
    return document


_READERS: dict[int, Callable[[_Values, bytes | None], DetailRecord]] = {
    KIND_UNPRICED_PROFILE: _unpriced_profile,
    KIND_PROFILE: _profile,
    KIND_OUTLIER: _outlier,
    KIND_EXCEPTION: _exception,
    KIND_TRACE: _trace,
}
