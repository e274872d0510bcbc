"""Profiles of a made-up shop, alike every time; of its two versions, the newer is slower in one place."""

from __future__ import annotations

import random
from typing import Any

from fmd_otel_exporter.records import CodeLine, ProfileNode, ProfileRecord

OLD, NEW = "1.6.0", "1.7.0"
_MOVED = 4
"""Lines by which code of the newer version stands further down."""


def lines(version: str) -> tuple[CodeLine, ...]:
    """Return the lines of a version."""
    down = _MOVED if version == NEW else 0

    def app(file: str, function: str, line: int, source: str) -> CodeLine:
        return CodeLine(file, function, line, source, in_app=True)

    def library(file: str, function: str, line: int, source: str) -> CodeLine:
        return CodeLine(file, function, line, source, in_app=False)

    return (
        library("flask/app.py", "Flask.dispatch_request", 902, "return self.view_functions[rule.endpoint]()"),
        app("shop/views.py", "show_cart", 31 + down, "order = load_order(order_id)"),
        app("shop/views.py", "show_cart", 32 + down, "total = order.total()"),
        app("shop/views.py", "show_cart", 34 + down, 'return render_template("cart.html", order=order)'),
        app("shop/orders.py", "load_order", 12, "row = session.get(Order, order_id)"),
        app("shop/orders.py", "load_order", 15, "row.lines = fetch_lines(row)"),
        app("shop/orders.py", "fetch_lines", 22, "return list(session.scalars(select(Line)))"),
        library("sqlalchemy/orm/session.py", "Session.get", 3680, "return self._get_impl("),
        library(
            "sqlalchemy/engine/default.py", "DefaultDialect.do_execute", 952, "cursor.execute(statement)"
        ),
        library("psycopg/cursor.py", "Cursor.execute", 97, "self._conn.wait(self._execute_gen(query))"),
        library("selectors.py", "EpollSelector.select", 468, "fd_event_list = self._selector.poll(timeout)"),
        app("shop/models.py", "Order.total", 58 + down, "return sum(line.price for line in self.lines)"),
        app("shop/rates.py", "exchange_rate", 17, "return json.loads(cache.read_text())[currency]"),
        library("json/decoder.py", "JSONDecoder.raw_decode", 353, "obj, end = self.scan_once(s, idx)"),
        library("jinja2/environment.py", "Template.render", 1291, "return self.environment.concat("),
        library("jinja2/runtime.py", "LoopContext.__next__", 520, "rv = next(self._iterator)"),
        CodeLine("", "[on CPU]", 0, None, in_app=False),
    )


# The way through the lines, how long in milliseconds, and how much of it on the CPU.
PATHS = (
    ((0, 1, 4, 7, 8, 9, 10), 3.5, 0.04),
    ((0, 1, 4, 7), 0.8, 0.9),
    ((0, 1, 5, 6, 8, 9, 10), 5.2, 0.03),
    ((0, 1, 5, 6), 1.4, 0.9),
    ((0, 2, 11), 0.9, 1.0),
    ((0, 2, 11, 12, 13), 14.0, 1.0),
    ((0, 3, 14), 1.8, 1.0),
    ((0, 3, 14, 15), 1.0, 1.0),
    ((0, 3, 16), 0.5, 1.0),
    ((0,), 0.2, 1.0),
)
PARSING, GONE = 13, 15
"""Lines whose time is ten times as long in the newer version, and which it no longer has."""


def profile(
    number: int, ts_us: int, version: str = OLD, endpoint: str = "shop.cart", **fields: Any
) -> ProfileRecord:
    """Return the profile of a request; the number decides all that is left to chance."""
    chance = random.Random(number)  # noqa: S311 # no secret
    nodes: list[list[int]] = []
    known: dict[tuple[int, int], int] = {}
    for path, ms, cpu in PATHS:
        if path[-1] == GONE and version == NEW:
            continue
        at = -1
        for line in path:
            key = (at, line)
            if key not in known:
                known[key] = len(nodes)
                nodes.append([at, line, 0, 0, 0])
            at = known[key]
        slower = 1 if version == NEW or path[-1] != PARSING else 0.1
        us = round(ms * slower * 1000 * chance.uniform(0.8, 1.25))
        nodes[at][2:] = [us, round(us * cpu), 1 + us // 1500]
    given: dict[str, Any] = {
        "service": "shop",
        "endpoint": endpoint,
        "version": version,
        "ts_us": ts_us,
        "span_id": number.to_bytes(8, "big"),
        "trace_id": number.to_bytes(16, "big"),
        "duration_us": sum(node[2] for node in nodes),
        "cpu_us": sum(node[3] for node in nodes),
        "samples": sum(node[4] for node in nodes),
        "period_us": 10_000,
        "exact": False,
        "truncated": False,
        "lines": lines(version),
        "nodes": tuple(ProfileNode(*node) for node in nodes),
    }
    return ProfileRecord(**(given | fields))
