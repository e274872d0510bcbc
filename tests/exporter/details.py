"""Makes details of requests, for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from fmd_otel_exporter.documents import encode_document
from fmd_otel_exporter.records import (
    UNHANDLED,
    CodeLine,
    ExceptionRecord,
    OutlierRecord,
    ProfileNode,
    ProfileRecord,
    TraceRecord,
)
from tests.exporter.conftest import NOON_US

_numbers = count(1)
LINES = (
    CodeLine("shop/views.py", "cart", 10, "return total(items)", in_app=True),
    CodeLine("shop/cart.py", "total", 5, "return sum(prices(items))", in_app=True),
    CodeLine("sqlalchemy/engine/base.py", "Connection.execute", 1400, "return meth(", in_app=False),
)
NODES = (
    ProfileNode(-1, 0, 100, 100, 1),
    ProfileNode(0, 1, 2_000, 1_500, 2),
    ProfileNode(1, 2, 7_900, 400, 8),
)
"""10 ms: 0.1 in the view, 2 in what it calls, the rest in the database."""


def _names(fields: dict[str, Any]) -> dict[str, Any]:
    number = next(_numbers)
    return {
        "service": "shop",
        "endpoint": "shop.cart",
        "version": "1.0",
        "ts_us": NOON_US + number,
        "span_id": number.to_bytes(8, "big"),
        "trace_id": number.to_bytes(16, "big"),
    } | fields


def profile(**fields: Any) -> ProfileRecord:
    values = {
        "duration_us": 10_000,
        "cpu_us": 2_000,
        "samples": 11,
        "period_us": 10_000,
        "exact": False,
        "truncated": False,
        "lines": LINES,
        "nodes": NODES,
    }
    return ProfileRecord(**_names(values | fields))


def outlier(**fields: Any) -> OutlierRecord:
    values = {
        "duration_us": 900_000,
        "average_us": 100_000,
        "threshold_us": 250_000,
        "status": 200,
        "group_by": "me",
        "ip": "10.0.0.1",
        "cpu_percent": 12.5,
        "process_memory_bytes": 100 << 20,
        "document": encode_document({"url": "/cart", "scrubbed": ["headers.Authorization"]}),
    }
    return OutlierRecord(**_names(values | fields))


def exception(**fields: Any) -> ExceptionRecord:
    values = {
        "group_id": 77,
        "kind": UNHANDLED,
        "type": "shop.errors.EmptyCart",
        "message": "nothing to pay for",
        "group_by": "me",
        "document": encode_document({"chain": [], "url": "/cart"}),
        "place": "shop/cart.py in total",
    }
    return ExceptionRecord(**_names(values | fields))


def trace(**fields: Any) -> TraceRecord:
    values = {"document": encode_document({"spans": [], "truncated": 0})}
    return TraceRecord(**_names(values | fields))


def chain(depth: int, width: int = 1, **fields: Any) -> ProfileRecord:
    """Make a profile of calls that each call the next, `width` of them side by side."""
    lines, nodes = [], []
    for side in range(width):
        for level in range(depth):
            nodes.append(ProfileNode(len(nodes) - 1 if level else -1, len(lines), 10, 5, 1))
            lines.append(CodeLine("app/deep.py", f"f{side}", level + 1, None, in_app=True))
    return profile(lines=tuple(lines), nodes=tuple(nodes), **fields)
