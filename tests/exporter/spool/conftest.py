from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.records import RequestRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.spool import Spool


@pytest.fixture
def record() -> Callable[..., RequestRecord]:
    """Make the n-th request; its span id is n."""

    def make(n: int = 1, **changes: object) -> RequestRecord:
        plain = RequestRecord(
            service="shop",
            endpoint="shop.cart",
            ts_us=1_790_000_000_000_000 + n,
            span_id=n.to_bytes(8, "big"),
            trace_id=n.to_bytes(16, "big"),
            duration_us=1000 + n,
            status=200,
            method="GET",
            version="1.4.2",
            group_by="user-1",
            ip="203.0.113.7",
            route="/cart/<int:id>",
            blueprint="shop",
        )
        return plain._replace(**changes)

    return make


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def die() -> Callable[[Spool], None]:
    """End a spool as SIGKILL would: its files and its lock are closed, nothing else happens."""

    def die(spool: Spool) -> None:
        spool._life.intake.abandon()
        spool._life.disk.abandon()

    return die


@pytest.fixture
def drain() -> Callable[[Spool], list[int]]:
    """Deliver all that waits; return the numbers of the requests in the order of delivery."""

    def drain(spool: Spool) -> list[int]:
        numbers = []
        while batch := spool.next_batch():
            numbers += [int.from_bytes(record.span_id, "big") for record in batch.records]
            spool.done(batch)
        return numbers

    return drain


@pytest.fixture
def run_script() -> Callable[..., str]:
    """Run one of the programs beside the tests in a process of its own, and return what it prints."""

    def run(name: str, *arguments: object, timeout_s: float = 300) -> str:
        script = Path(__file__).parent / name
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        done = subprocess.run(
            [sys.executable, str(script), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env=environ,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
