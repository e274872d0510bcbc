"""Outliers and exceptions as the monitored application hands them over."""

from __future__ import annotations

from typing import Any

from fmd_otel_exporter.documents import encode_document
from fmd_otel_exporter.records import UNHANDLED, ExceptionRecord, OutlierRecord, TraceRecord

FRAMES = [
    {
        "file": "flask/app.py",
        "function": "Flask.dispatch_request",
        "line": 900,
        "source": "return rv",
        "in_app": False,
    },
    {
        "file": "shop/cart.py",
        "function": "total",
        "line": 12,
        "source": "    return sum(prices)",
        "in_app": True,
        "context_before": ["def total(prices):"],
        "context_after": ["", "x = 1"],
        "locals": {"prices": "[1, None]"},
    },
]


def ids(number: int) -> tuple[bytes, bytes]:
    """Return a span's and a trace's id."""
    return number.to_bytes(8, "big"), number.to_bytes(16, "big")


def outlier(number: int, ts_us: int, endpoint: str = "shop.cart", **fields: Any) -> OutlierRecord:
    """Make an outlier; ``document`` adds to what is known of its request."""
    span_id, trace_id = ids(number)
    document = {
        "url": "http://shop/cart?item=7",
        "method": "GET",
        "route": "/cart",
        "args": {"item": "7"},
        "headers": {"Accept": "text/html", "Authorization": "[removed]"},
        "scrubbed": ["headers.Authorization"],
        "stack": FRAMES,
        "stack_at_us": 260_000,
        "cpu_percent_per_core": [91.0, 12.0],
        "memory_host_used": 3 << 30,
        "memory_host_total": 4 << 30,
        "memory_samples": [[0, 50 << 20], [100_000, 60 << 20]],
        "load_average": [0.5, 0.4, 0.3],
        "worker_pid": 7,
        "hostname": "web",
        "payload_bytes": 0,
        **fields.pop("document", {}),
    }
    given = {
        "service": "shop",
        "endpoint": endpoint,
        "version": "1.0",
        "ts_us": ts_us,
        "span_id": span_id,
        "trace_id": trace_id,
        "duration_us": 900_000,
        "average_us": 100_000,
        "threshold_us": 250_000,
        "status": 200,
        "group_by": "eve",
        "ip": "10.0.0.9",
        "cpu_percent": 51.5,
        "process_memory_bytes": 60 << 20,
        "document": encode_document(document),
    }
    return OutlierRecord(**(given | fields))


def trace(
    number: int, ts_us: int, endpoint: str = "shop.cart", spans: Any = None, shape: Any = None
) -> TraceRecord:
    """Make the steps of a request; ``shape`` says of what sort it was."""
    span_id, trace_id = ids(number)
    steps = [
        {
            "span_id": "a" * 16,
            "parent_id": span_id.hex(),
            "name": "SELECT shop",
            "kind": "client",
            "start_us": 1000,
            "duration_us": 600_000,
            "status": "OK",
            "attributes": {"db.system": "sqlite", "db.statement": "SELECT 1"},
            "events": [],
        },
        {
            "span_id": "b" * 16,
            "parent_id": "a" * 16,
            "name": "inner",
            "kind": "internal",
            "start_us": 2000,
            "duration_us": 5_000,
            "status": "ERROR",
            "attributes": {},
            "events": [],
        },
    ]
    document: Any = {"spans": steps if spans is None else spans, "truncated": 3}
    document |= {
        "attributes": {
            "http.route": "/cart", "http.target": "/cart?item=7&token=[scrubbed]", "http.status_code": 200,
            "tags": ["a", "b"], "cart.token": "[scrubbed]",
        },
        "scrubbed": ["attributes.http.target", "attributes.cart.token"],
    }  # fmt: skip
    if shape is not None:
        document["request"] = shape
    return TraceRecord("shop", endpoint, "1.0", ts_us, span_id, trace_id, encode_document(document))


def exception(number: int, ts_us: int, endpoint: str = "shop.cart", **fields: Any) -> ExceptionRecord:
    """Make an exception with its cause."""
    span_id, trace_id = ids(number)
    message = fields.get("message", "unsupported operand")
    link = {"relation": None, "parent": None, "frames": FRAMES}
    document: Any = {
        "chain": [
            {"type": "CartError", "message": message, **link},
            {"type": "TypeError", "message": "None", **link, "relation": "cause", "parent": 0},
        ],
        "url": "http://shop/cart?item=7",
        "method": "GET",
        "status": 500,
    }
    given = {
        "service": "shop",
        "endpoint": endpoint,
        "version": "1.0",
        "ts_us": ts_us,
        "span_id": span_id,
        "trace_id": trace_id,
        "group_id": 77,
        "kind": UNHANDLED,
        "type": "CartError",
        "message": message,
        "group_by": "eve",
        "document": encode_document(document),
        "place": "shop/cart.py in total",
    }
    return ExceptionRecord(**(given | fields))
