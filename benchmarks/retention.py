"""How fast old requests are deleted from SQLite, and how long a writer waits while it happens."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from sqlalchemy import event

from benchmarks.cpu.subjects import ROOT
from benchmarks.fill import fill, say
from fmd_otel_exporter.maintainer import Maintainer, at_leisure
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

_BATCH = 100
_PAUSE_S = 0.02
_QUIET_S = 15.0
_TICK_S = 0.5
"""How often the background thread of an idle app looks for work."""
_BUDGET_S = 0.05


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.retention",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=5_000_000, help="old requests")
    parser.add_argument("--quick", action="store_true", help="200,000 old requests")
    parser.add_argument("--writer", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.writer:
        _write_until_told(options.writer)
        return
    rows = 200_000 if options.quick else options.rows
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder:
        # Requests of 40 to 10 days ago: what a policy of ten days deletes at its first run.
        now_us = time.time_ns() // 1000
        url = fill(Path(folder) / "bench.db", rows, now_us=now_us - 10 * 86_400_000_000)
        _sum_up(url)
        print("Milliseconds are p50 / p99 / max of a writer's batches of 100 requests.\n")
        print(
            "| | rows a second | CPU µs a row | ms for the lock | ms for a batch, lock included | batches |"
        )
        print("|---|--:|--:|--:|--:|--:|", flush=True)
        _measure("nobody deletes", url, _rest)
        _measure("the worker of an app, a twentieth of the rows", url, _as_worker)
        _measure("fmd-otel prune, the rest", url, _as_command)


def _measure(name: str, url: str, work: Callable[[Store], int]) -> None:
    say(name)
    store = open_store(url)
    writer = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.retention", "--writer", url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ},
    )
    if writer.stdout is None or writer.stdout.readline() != "ready\n":
        raise SystemExit("the writer does not start")
    began, began_cpu = time.perf_counter(), time.process_time()
    deleted = work(store)
    took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    waits, _ = writer.communicate("stop\n", timeout=60)
    store.dispose()
    say("")
    lock, whole, batches = waits.strip().split(";")
    speed = f"{deleted / took:,.0f} | {cpu / deleted * 1e6:.1f}" if deleted else "– | –"
    print(f"| {name} | {speed} | {lock} | {whole} | {batches} |", flush=True)


def _sum_up(url: str) -> None:
    """Do beforehand what is done day by day: users and addresses are added up before their rows may go."""
    say("adding up users and addresses")
    store = open_store(url)
    for _ in sum_up_subjects(store):
        pass
    store.dispose()


def _rest(_store: Store) -> int:
    time.sleep(_QUIET_S)
    return 0


def _as_worker(store: Store) -> int:
    maintainer = Maintainer(Retention(raw_days=10, hourly_days=0))
    with store.read() as connection:
        total = connection.exec_driver_sql("SELECT count(*) FROM fmd_request").scalar() or 0
    while maintainer.work(store, _BUDGET_S) and sum(maintainer.deleted.values()) < total // 20:
        time.sleep(_TICK_S)
    return sum(maintainer.deleted.values())


def _as_command(store: Store) -> int:
    cutoffs = Retention(raw_days=10, hourly_days=10).cutoffs(time.time_ns() // 1000)
    return sum(step.rows for step in at_leisure(prune(store, cutoffs)))


def _write_until_told(url: str) -> None:
    """Write batches as a busy app does, and print how long that took, and how long it waited for the lock."""
    os.set_blocking(sys.stdin.fileno(), False)
    store = open_store(url)
    writer = Writer(store)
    writer.write(_batch())
    asked = [0.0]
    locks: list[float] = []
    with store.write() as connection:
        # This listener stands behind the one that begins the transaction, which is what takes the lock.
        event.listen(
            connection.engine, "begin", lambda _: locks.append((time.perf_counter() - asked[0]) * 1000)
        )
    print("ready", flush=True)
    wholes: list[float] = []
    while not sys.stdin.readline():
        batch = _batch()
        asked[0] = time.perf_counter()
        writer.write(batch)
        wholes.append((time.perf_counter() - asked[0]) * 1000)
        time.sleep(_PAUSE_S)
    print(f"{_spread(locks)};{_spread(wholes)};{len(wholes)}")


def _spread(values: list[float]) -> str:
    cuts = quantiles(values, n=100)
    return f"{cuts[49]:.1f} / {cuts[98]:.1f} / {max(values):.1f}"


def _batch() -> list[RequestRecord]:
    now_us = time.time_ns() // 1000
    return [
        RequestRecord(
            "synthetic",
            f"blueprint{number % 6}.view_{number % 40}",
            now_us + number,
            os.urandom(8),
            os.urandom(16),
            1000 + number,
            200,
            "GET",
            "1.0.0",
        )
        for number in range(_BATCH)
    ]


if __name__ == "__main__":
    main()
