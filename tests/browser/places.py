"""Databases of every kind that a page has to cope with, and where each page is to be found in them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fmd_otel_exporter.catalog import set_level
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.graphs import add_value, register_graph
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
from tests import made_details, made_profiles

if TYPE_CHECKING:
    from fmd_otel_exporter.records import CodeLine
    from fmd_otel_exporter.store import Store

S = 1_000_000
HOUR = 3600 * S
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "🛒.カート",
    "x" * 255,
    "\u202eevil",
    "=cmd|' /C calc'!A0",
    "a'b\"c%d</script><b>bold",
)
GIVEN = os.environ.get("SWEEP_DATABASE", "")
"""One more database to look at: the URL of one with millions of requests, say. Users are added to it."""
KINDS = ("empty", "one", "hostile", "full", *(["given"] if GIVEN else []))


@dataclass(frozen=True)
class Place:
    """A database, and what the placeholders of addresses stand for in it."""

    store: Store
    numbers: dict[str, str]
    keys: dict[str, str]
    """Of a request, and of one that is kept as an outlier or has a profile."""

    def address(self, path: str) -> str:
        """Return where a page is."""
        kind = "outlier" if path.startswith("/outlier") else "profile" if "/profiler/" in path else "request"
        for placeholder, value in self.numbers.items():
            path = path.replace(placeholder, value)
        return path.replace("<key>", self.keys.get(kind, "none"))


def made(kind: str, folder: Path) -> Place:
    """Make a database of a kind."""
    url = GIVEN if kind == "given" else f"sqlite:///{folder / f'{kind}.db'}"
    if kind == "full":
        _generate(url)
    store = open_store(url)
    if kind == "one":
        _write(store, made_details.ids(1), "shop.cart", "shop", "1.0", "ada", "10.0.0.1")
    if kind == "hostile":
        for number, name in enumerate(HOSTILE, 1):
            _write(store, made_details.ids(number), name, name, name, name, name[:45], hostile=True)
    if kind == "full":
        graph = register_graph(store, "shop", "Open orders", "interval[0:05:00]", now_us=1)
        for i in range(50):
            add_value(store, graph, _now_us() - i * 600 * S, 20 + i % 7)
    return Place(store, *_known(store))


def _now_us() -> int:
    return time.time_ns() // 1000


def _generate(url: str) -> None:
    """Let the product's own command fill a database: twelve endpoints, five versions, a week."""
    command = [Path(sys.executable).with_name("fmd-otel"), "generate", "--database", url, "--requests", "20k"]
    command += ["--days", "7", "--endpoints", "12", "--versions", "5", "--users", "40", "--processes", "1"]
    subprocess.run(command, check=True, capture_output=True)


def _write(
    store: Store,
    ids: tuple[bytes, bytes],
    endpoint: str,
    service: str,
    version: str,
    user: str,
    ip: str,
    *,
    hostile: bool = False,
) -> None:
    """Write one request, with everything that can be known of one."""
    span_id, trace_id = ids
    number = int.from_bytes(span_id, "big")
    ts_us = _now_us() - HOUR - number * S
    request = RequestRecord(
        service=service, endpoint=endpoint, ts_us=ts_us, span_id=span_id, trace_id=trace_id,
        duration_us=900_000, status=500, method="GET", version=version, group_by=user, ip=ip,
        route=f"/{endpoint}", blueprint=endpoint,
    )  # fmt: skip
    Writer(store).write([request])
    named: dict[str, Any] = {"service": service, "version": version}
    people: dict[str, Any] = {"group_by": user, "ip": ip}
    document = {"url": endpoint, "args": {endpoint: endpoint}, "headers": {endpoint: endpoint}}
    failed: dict[str, Any] = {"type": endpoint, "message": endpoint, "place": endpoint} if hostile else {}
    code = (
        {"lines": tuple(_renamed(line, endpoint) for line in made_profiles.lines(version))} if hostile else {}
    )
    trace = made_details.trace(number, ts_us, endpoint)
    DetailWriter(store).write(
        [
            made_profiles.profile(number, ts_us, version, endpoint, service=service, **code),
            made_details.outlier(
                number, ts_us, endpoint, **named, **people, **({"document": document} if hostile else {})
            ),
            made_details.exception(
                number, ts_us, endpoint, **named, group_by=user, group_id=70 + number, **failed
            ),
            trace._replace(service=service, version=version),
        ]
    )
    graph = register_graph(store, service, endpoint, "interval[0:05:00]", now_us=1)
    add_value(store, graph, ts_us, 1.5)


def _renamed(line: CodeLine, name: str) -> CodeLine:
    return line._replace(file=name, function=f"{name}.{line.function}", source=name) if line.in_app else line


def _known(store: Store) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the placeholders stand for: the newest of each kind, and the endpoint of the profile."""
    tables = store.tables
    with store.read() as connection:

        def newest(table: Any, *columns: Any) -> Any:
            return connection.execute(select(*columns).order_by(table.c.ts.desc()).limit(1)).first()

        found = {
            kind: newest(table, table.c.endpoint_id, table.c.ts, table.c.span_id)
            for kind, table in (
                ("request", tables.request), ("outlier", tables.outlier), ("profile", tables.profile),
            )
        }  # fmt: skip
        group = connection.scalar(select(tables.exception_group.c.id).limit(1))
        graph = connection.scalar(select(tables.custom_graph.c.id).limit(1))
    keys = {
        kind: f"{row.ts}-{row.endpoint_id}-{bytes(row.span_id).hex()}" for kind, row in found.items() if row
    }
    # The endpoint with a profile, so that its pages of profiles have something to show.
    row = found["profile"] or found["request"]
    if row:
        set_level(store, row.endpoint_id, 3)
    numbers = {
        "<int:endpoint_id>": row.endpoint_id if row else 1,
        "<group_id>": group or 1,
        "<graph_id>": graph or 1,
    }
    return {placeholder: str(number) for placeholder, number in numbers.items()}, keys
