"""What requests looked like: how large, of which worker, with which query keys.

That stands in what is kept of some, each a packed document. To unpack hundreds takes longer than all else
that is asked about them, and none ever changes: so what they say is remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from fmd_otel_exporter.documents import DocumentError, decode_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Engine, Table

    from fmd_otel_dash.queries.look import Look

MOST_REMEMBERED = 10_000
"""Of one database, at about 300 bytes each."""


@dataclass(frozen=True)
class RequestShape:
    """What one request looked like."""

    payload_bytes: float | None
    worker: str
    """Its host and process; empty where nobody knows."""
    query_keys: tuple[str, ...]


def shapes(view: Look, table: Table, rows: Iterable[Any]) -> Iterator[RequestShape]:
    """Yield what rows of a table of documents, each a span id and a document, say of their requests.

    Rows that say nothing of this are left out: of such an outlier, only the times are known.
    """
    known = _REMEMBERED.setdefault(view.conn.engine, {})
    within = "request" if table is view.tables.request_trace else None
    for span_id, data in rows:
        key = table.name, bytes(span_id), len(data)
        if key in known:
            shape = known[key]
        else:
            shape = _read(bytes(data), within)
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            known[key] = shape
        if shape is not None:
            yield shape


def _read(data: bytes, within: str | None) -> RequestShape | None:
    try:
        document: Any = decode_document(data)
    except DocumentError:
        return None
    if within:
        document = document.get(within)
        return shape_of(document) if isinstance(document, dict) else None
    return shape_of(document) if "args" in document else None


def shape_of(document: Mapping[str, Any]) -> RequestShape:
    """Return what a document says; any of its keys may be missing, or be anything."""
    size, worker = document.get("payload_bytes"), document.get("worker_pid")
    args = document.get("args", document.get("query_keys"))
    return RequestShape(
        size if isinstance(size, int | float) else None,
        "" if worker is None else f"{document.get('hostname') or ''} {worker}".strip(),
        tuple(str(key) for key in args) if isinstance(args, dict | list) else (),
    )


_REMEMBERED: WeakKeyDictionary[Engine, dict[tuple[str, bytes, int], RequestShape | None]] = (
    WeakKeyDictionary()
)
