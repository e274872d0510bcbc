"""What is stored of single requests as a whole, to be looked at and never searched.

A document is JSON, compressed. Readers tolerate keys they do not know and keys that are missing: documents
are older or newer than the release that reads them.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, TypedDict

from fmd_otel_exporter.errors import FmdOtelError

LARGEST_DOCUMENT = 16 * 1024 * 1024
"""Most bytes of JSON that a reader unpacks: a few kilobytes can pretend to be gigabytes."""
_LEVEL = 6


class _FrameContext(TypedDict, total=False):
    context_before: list[str]
    context_after: list[str]
    locals: dict[str, str]


class Frame(_FrameContext):
    """One call on a stack."""

    file: str
    function: str
    line: int
    source: str | None
    in_app: bool


class OutlierDocument(TypedDict, total=False):
    """What was known of a request that took too long."""

    url: str
    route: str | None
    method: str
    args: dict[str, Any]
    form: dict[str, Any]
    json: Any
    headers: dict[str, Any]
    environ: dict[str, Any]
    scrubbed: list[str]
    """Paths of what was replaced, such as ``headers.Authorization``."""
    truncated: list[str]
    """Paths of what was cut."""
    stack: list[Frame]
    """Outermost call first."""
    stack_at_us: int
    """How long the request had run by then."""
    cpu_percent_per_core: list[float]
    cpu_percent: float
    """Of the whole host."""
    process_cpu_percent: float
    memory_host_used: int
    memory_host_total: int
    memory_process_rss: int
    memory_samples: list[list[int]]
    """Pairs of microseconds since the request began, and the process's resident bytes."""
    load_average: list[float]
    thread_count: int
    worker_pid: int
    hostname: str
    payload_bytes: int


class ChainLink(TypedDict):
    """One exception of those that led to each other."""

    type: str
    message: str
    relation: str | None
    """``cause``, ``context`` or ``group``: how it belongs to its parent; None for the outermost."""
    parent: int | None
    """Index of that one in the chain."""
    frames: list[Frame]


class ExceptionDocument(TypedDict, total=False):
    """An exception with all that led to it."""

    chain: list[ChainLink]
    """The one that was met first, then its causes."""
    url: str
    method: str
    status: int | None
    scrubbed: list[str]


class SpanEvent(TypedDict):
    """Something that happened during a span."""

    name: str
    offset_us: int
    """From the request's start."""
    attributes: dict[str, Any]


class ChildSpan(TypedDict):
    """A step of a request."""

    span_id: str
    """16 hexadecimal digits."""
    parent_id: str | None
    name: str
    kind: str
    start_us: int
    """From the request's start."""
    duration_us: int
    status: str
    attributes: dict[str, Any]
    events: list[SpanEvent]


class RequestShape(TypedDict):
    """Of what sort a request was: names, and no values."""

    query_keys: list[str]
    payload_bytes: int
    worker_pid: int
    hostname: str


class _TraceExtras(TypedDict, total=False):
    request: RequestShape
    """Only of requests that were taken without regard to what became of them."""
    attributes: dict[str, Any]
    """Of the request's own span."""
    scrubbed: list[str]
    """Paths of what was replaced in them, such as ``attributes.url.query``."""


class TraceDocument(_TraceExtras):
    """The steps of a request."""

    spans: list[ChildSpan]
    truncated: int
    """How many more there were."""


Document = OutlierDocument | ExceptionDocument | TraceDocument


class DocumentError(FmdOtelError):
    """Bytes that are no document."""


def encode_document(document: Document) -> bytes:
    """Return a document as it is stored.

    Whatever JSON has no word for is written as Python shows it: a value that a user put into an attribute
    must not cost the whole document.
    """
    return zlib.compress(
        json.dumps(document, default=_shown, skipkeys=True, separators=(",", ":")).encode(), _LEVEL
    )


def decode_document(data: bytes) -> dict[str, Any]:
    """Return what :func:`encode_document` has stored, whoever it was.

    Raises:
        DocumentError: It is damaged, or nothing that it wrote.
    """
    unpack = zlib.decompressobj()
    try:
        text = unpack.decompress(data, LARGEST_DOCUMENT)
        if unpack.unconsumed_tail:
            raise DocumentError(f"a stored document is larger than {LARGEST_DOCUMENT} bytes")
        if not unpack.eof:
            raise DocumentError("a stored document is not whole")
        found = json.loads(text)
    except (zlib.error, ValueError, RecursionError) as exc:
        raise DocumentError(f"a stored document cannot be read: {exc}") from exc
    if not isinstance(found, dict):
        raise DocumentError(f"a stored document is a JSON {type(found).__name__}, and should be an object")
    return found


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 # somebody's __repr__ may do anything
        return f"<{type(value).__name__}>"
