"""What the exporter's tests share."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, select

from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.settings import ExporterSettings
from tests.ending import end, end_all_pipelines
from tests.new_databases import new_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmd_otel_exporter.store import Store

_DAY_US = 86_400_000_000
NOON_US = (time.time_ns() // 1000 // _DAY_US - 2) * _DAY_US + _DAY_US // 2
"""Noon of the day before yesterday, UTC: a day that is over, and whose requests no worker deletes."""

_random = random.Random(20260923)  # noqa: S311 # ids for tests
_spans = count(1)


def _record(**fields: Any) -> RequestRecord:
    number = next(_spans)
    values: dict[str, Any] = {
        "service": "shop",
        "endpoint": "shop.cart",
        "ts_us": NOON_US + number,
        "span_id": number.to_bytes(8, "big"),
        "trace_id": _random.randbytes(16),
        "duration_us": 12_345,
        "status": 200,
        "method": "GET",
        "version": "1.0",
    }
    return RequestRecord(**(values | fields))


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test() -> Iterator[None]:
    """End pipelines that nobody has ended."""
    yield
    end_all_pipelines()


@pytest.fixture
def record() -> Callable[..., RequestRecord]:
    """Make one request, a new one each time; keyword arguments say what matters about it."""
    return _record


@pytest.fixture
def noon_us() -> int:
    return NOON_US


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'fmd.db'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = new_store(Path(url.removeprefix("sqlite:///")))
    yield store
    store.dispose()


@pytest.fixture
def pipeline(url: str) -> Iterator[Pipeline]:
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20))
    yield pipeline
    end(pipeline)


@pytest.fixture
def rows() -> Callable[[Store, str], list[dict[str, Any]]]:
    """Read a whole table."""

    def read(store: Store, name: str) -> list[dict[str, Any]]:
        table = getattr(store.tables, name)
        with store.read() as connection:
            query = select(table).order_by(*table.primary_key)
            return [dict(row) for row in connection.execute(query).mappings()]

    return read


@pytest.fixture
def sums() -> Callable[[Store], dict[str, int | None]]:
    """Read what must be equal at any time: the raw rows and what the rollups say of them."""

    def read(store: Store) -> dict[str, int | None]:
        t = store.tables
        with store.read() as connection:
            return {
                "requests": connection.scalar(select(func.count()).select_from(t.request)),
                "hits": connection.scalar(select(func.coalesce(func.sum(t.hits.c.n), 0))),
                "latencies": connection.scalar(select(func.coalesce(func.sum(t.lat_hist.c.n), 0))),
            }

    return read


class Seen:
    """What stands in a store, for tests that look at many tables."""

    def __init__(self, store: Store, rows: Callable[..., Any], sums: Callable[..., Any]) -> None:
        self.rows: Callable[[str], list[dict[str, Any]]] = lambda name: rows(store, name)
        self.sums: Callable[[], dict[str, int | None]] = lambda: sums(store)


@pytest.fixture
def see(store: Store, rows: Callable[..., Any], sums: Callable[..., Any]) -> Seen:
    return Seen(store, rows, sums)


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Wait until something holds, and fail when it does not within a long while."""

    def wait(condition: Callable[[], Any], within_s: float = 60.0) -> Any:
        deadline = time.monotonic() + within_s
        while not (value := condition()):
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)
        return value

    return wait


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Run Python code in a process of its own; whatever still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def run(code: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Run Python code in a process of its own to its end, and return what it printed."""

    def complete(code: str, *arguments: str) -> str:
        process = start(code, *arguments)
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return output.strip()

    return complete


# Retention

WEEK = Retention(raw_days=7, hourly_days=14)


@pytest.fixture
def today_us(noon_us: int) -> int:
    """A moment on which old things are old: noon, long after the requests that tests write by default."""
    return noon_us + 100 * _DAY_US


@pytest.fixture
def at(monkeypatch, today_us: int) -> Callable[[int], None]:
    """Set the writers' clock."""

    def set_clock(now_us: int) -> None:
        clock = SimpleNamespace(time=lambda: now_us / 1_000_000, time_ns=lambda: now_us * 1000)
        for module in ("code_book", "dimensions", "tries"):
            monkeypatch.setattr(f"fmd_otel_exporter.{module}.time", clock)

    set_clock(today_us)
    return set_clock


@pytest.fixture
def keep(store: Store, today_us: int) -> Callable[..., dict[str, int]]:
    """Sum days up, apply a policy at a moment, and return what was deleted."""

    def apply(policy: Retention = WEEK, now_us: int = today_us) -> dict[str, int]:
        compact_days(store, now_ts_us=now_us)
        deleted: dict[str, int] = {}
        for step in prune(store, policy.cutoffs(now_us)):
            deleted[step.table] = deleted.get(step.table, 0) + step.rows
        return {table: rows for table, rows in deleted.items() if rows}

    return apply
