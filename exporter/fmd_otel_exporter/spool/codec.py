"""Records to bytes and back, made for one record at a time on the thread that serves the request.

A payload is a fixed part, two ids, and all text joined by NUL and encoded in one go: one ``join`` and one
``encode`` cost less than eight of them. Layouts never change; a new layout is a new kind, so that a file
written by an older release stays readable and one written by a newer release is told apart by its kind byte.
"""

from __future__ import annotations

import struct

from fmd_otel_exporter.records import DetailRecord, RequestRecord
from fmd_otel_exporter.spool.detail_codec import (
    KIND_EXCEPTION,
    KIND_OUTLIER,
    KIND_PROFILE,
    KIND_TRACE,
    KIND_UNPRICED_PROFILE,
    decode_detail,
    encode_detail,
)

Record = RequestRecord | DetailRecord
"""All that can be spooled."""

KIND_REQUEST = 1
KIND_NAMES = {
    KIND_REQUEST: "requests",
    KIND_UNPRICED_PROFILE: "profiles",
    KIND_PROFILE: "profiles",
    KIND_OUTLIER: "outliers",
    KIND_EXCEPTION: "exceptions",
    KIND_TRACE: "traces",
}
"""What people call many of a kind."""

_FIXED = struct.Struct(
    "<BBBqqqih"
)  # flags, length of span id, of trace id, ts, duration, headers, status, level
_LENGTHS = struct.Struct("<8I")
_SEPARATOR = "\0"
_TEXTS = 8

# Flags: which optional fields are None, and how the text is stored.
_NO_GROUP_BY = 1
_NO_IP = 2
_NO_HEADERS = 4
_NO_ROUTE = 8
_NO_BLUEPRINT = 16
_WITH_LENGTHS = 32  # some text contains the separator: the texts follow a table of their lengths instead
_KNOWN_FLAGS = 63


class UnknownLayoutError(ValueError):
    """A whole record that this release cannot read, most likely because a newer one wrote it."""


def encode(record: Record) -> tuple[int, bytes]:
    """Return the kind and the payload of a record.

    Raises:
        Exception: Whatever Python raises for a field of the wrong type or out of its 64-bit range.
    """
    if not isinstance(record, RequestRecord):
        return encode_detail(record)
    (
        service,
        endpoint,
        ts_us,
        span_id,
        trace_id,
        duration_us,
        status,
        method,
        version,
        group_by,
        ip,
        headers_us,
        level,
        route,
        blueprint,
    ) = record
    flags = 0
    if group_by is None:
        flags |= _NO_GROUP_BY
        group_by = ""
    if ip is None:
        flags |= _NO_IP
        ip = ""
    if headers_us is None:
        flags |= _NO_HEADERS
        headers_us = 0
    if route is None:
        flags |= _NO_ROUTE
        route = ""
    if blueprint is None:
        flags |= _NO_BLUEPRINT
        blueprint = ""
    texts = (service, endpoint, method, version, group_by, ip, route, blueprint)
    text = _SEPARATOR.join(texts)
    # A header or path from outside may hold a lone surrogate (PEP 383); it must come back as it was.
    if text.count(_SEPARATOR) == _TEXTS - 1:
        tail = text.encode("utf-8", "surrogatepass")
    else:
        flags |= _WITH_LENGTHS
        parts = [part.encode("utf-8", "surrogatepass") for part in texts]
        tail = _LENGTHS.pack(*map(len, parts)) + b"".join(parts)
    lengths = len(span_id), len(trace_id)
    try:
        fixed = _FIXED.pack(flags, *lengths, ts_us, duration_us, headers_us, status, level)
    except struct.error:
        if not isinstance(status, int):
            raise
        # Maybe a status that no row could hold either, and that counts as unknown there.
        fixed = _FIXED.pack(flags, *lengths, ts_us, duration_us, headers_us, 0, level)
    return KIND_REQUEST, fixed + span_id + trace_id + tail


def decode(kind: int, payload: bytes) -> Record:
    """Return the record that :func:`encode` turned into this kind and payload.

    Raises:
        UnknownLayoutError: The checksum held but the content means nothing to this release.
    """
    try:
        if kind == KIND_REQUEST:
            return _decode_request(payload)
        detail = decode_detail(kind, payload)
    except (struct.error, ValueError) as error:
        raise UnknownLayoutError(f"record of kind {kind}: {error}") from error
    if detail is None:
        raise UnknownLayoutError(f"record kind {kind}")
    return detail


def _decode_request(payload: bytes) -> RequestRecord:
    flags, span_length, trace_length, ts_us, duration_us, headers_us, status, level = _FIXED.unpack_from(
        payload
    )
    if flags > _KNOWN_FLAGS:
        raise UnknownLayoutError(f"flags {flags}")
    ids = _FIXED.size
    trace = ids + span_length
    tail = trace + trace_length
    if flags & _WITH_LENGTHS:
        texts = _split_by_lengths(payload, tail)
    else:
        texts = str(payload[tail:], "utf-8", "surrogatepass").split(_SEPARATOR)
    service, endpoint, method, version, group_by, ip, route, blueprint = texts
    return RequestRecord(
        service,
        endpoint,
        ts_us,
        payload[ids:trace],
        payload[trace:tail],
        duration_us,
        status,
        method,
        version,
        None if flags & _NO_GROUP_BY else group_by,
        None if flags & _NO_IP else ip,
        None if flags & _NO_HEADERS else headers_us,
        level,
        None if flags & _NO_ROUTE else route,
        None if flags & _NO_BLUEPRINT else blueprint,
    )


def _split_by_lengths(payload: bytes, start: int) -> list[str]:
    lengths = _LENGTHS.unpack_from(payload, start)
    position = start + _LENGTHS.size
    texts = []
    for length in lengths:
        texts.append(str(payload[position : position + length], "utf-8", "surrogatepass"))
        position += length
    if position != len(payload):
        raise UnknownLayoutError("text of another length than announced")
    return texts
