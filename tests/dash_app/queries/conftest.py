"""A store with requests in it, written by the same writer as in production."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone

import pytest

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer
from tests.new_databases import new_store

_numbers = itertools.count(1)


@pytest.fixture
def store(tmp_path):
    opened = new_store(tmp_path / "requests.db")
    yield opened
    opened.dispose()


@pytest.fixture
def at():
    """Return a moment of UTC, ``at(2026, 3, 29, 1, 30)``, as microseconds since the epoch."""

    def moment(*parts: int) -> int:
        return int(datetime(*parts, tzinfo=timezone.utc).timestamp()) * 1_000_000

    return moment


@pytest.fixture
def request_at():
    """Return a request that came in at a moment, with everything else made up unless given."""

    def make(ts_us: int, endpoint: str = "shop.cart", **fields) -> RequestRecord:
        number = next(_numbers)
        given = {
            "service": "shop",
            "endpoint": endpoint,
            "ts_us": ts_us,
            "span_id": number.to_bytes(8, "big"),
            "trace_id": number.to_bytes(16, "big"),
            "duration_us": 25_000,
            "status": 200,
            "method": "GET",
            "version": "1.0",
            "route": f"/{endpoint}",
            "blueprint": endpoint.partition(".")[0],
        }
        return RequestRecord(**(given | fields))

    return make


@pytest.fixture
def write(store):
    """Write requests and return nothing."""

    def into(*records: RequestRecord) -> None:
        writer = Writer(store)
        for start in range(0, len(records), 512):
            writer.write(records[start : start + 512])

    return into
