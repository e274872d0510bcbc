"""From spans to what is stored of them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from fmd_otel_exporter.documents import ChildSpan, RequestShape, SpanEvent, TraceDocument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from fmd_otel.scrubbing import Scrubbed, Scrubber

MOST_VALUES = 20_000
MOST_CHARACTERS = 1_000_000
_MOST_EVENTS = 20
_NAME_LENGTH = 300
_QUERY_LENGTH = 4000
_KEY_LENGTH = 100
_MOST_KEYS = 50


def trace_document(
    spans: Sequence[ReadableSpan], start_ns: int, left_out: int, scrubber: Scrubber
) -> TraceDocument:
    """Return the document of a request's steps, in the order in which they began.

    Args:
        spans: The steps.
        start_ns: When the request began, in nanoseconds since the epoch.
        left_out: How many more there were.
        scrubber: Takes secrets out of attributes.
    """
    record = scrubber.record(most_values=MOST_VALUES, most_characters=MOST_CHARACTERS)
    ordered = sorted(spans, key=lambda span: span.start_time or 0)
    return TraceDocument(
        spans=[_step(span, number, start_ns, record) for number, span in enumerate(ordered)],
        truncated=left_out,
    )


def shape(query: str, payload: str) -> RequestShape:
    """Return of what sort a request was, for others to be held against: names, and no values."""
    keys = [key[:_KEY_LENGTH] for key, _ in parse_qsl(query[:_QUERY_LENGTH], keep_blank_values=True)]
    return RequestShape(
        query_keys=list(dict.fromkeys(keys))[:_MOST_KEYS],
        payload_bytes=int(payload) if payload.isascii() and payload.isdecimal() else 0,
        worker_pid=os.getpid(),
        hostname=socket.gethostname(),
    )


def _step(span: ReadableSpan, number: int, start_ns: int, record: Scrubbed) -> ChildSpan:
    begun, ended = span.start_time or start_ns, span.end_time or span.start_time or start_ns
    path = f"spans[{number}]"
    return ChildSpan(
        span_id=f"{span.context.span_id:016x}" if span.context is not None else "",
        parent_id=f"{span.parent.span_id:016x}" if span.parent is not None else None,
        name=record.value(str(span.name)[:_NAME_LENGTH], f"{path}.name"),
        kind=span.kind.name.lower(),
        start_us=(begun - start_ns) // 1000,
        duration_us=max(ended - begun, 0) // 1000,
        status=span.status.status_code.name.lower(),
        attributes=_attributes(span.attributes, f"{path}.attributes", record),
        events=[
            SpanEvent(
                name=str(event.name)[:_NAME_LENGTH],
                offset_us=(event.timestamp - start_ns) // 1000,
                attributes=_attributes(event.attributes, f"{path}.events", record),
            )
            for event in span.events[:_MOST_EVENTS]
        ],
    )


def _attributes(attributes: Mapping[str, Any] | None, path: str, record: Scrubbed) -> dict[str, Any]:
    return record.mapping(dict(attributes or {}), path)
