"""What writing a request costs, and what happens when four processes write at once."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from benchmarks.cpu.subjects import ROOT
from fmd_otel.bulk import Order
from fmd_otel.synthetic import requests, zipf_workload
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from benchmarks.scale.places import Place
    from fmd_otel_exporter.records import RequestRecord
    from fmd_otel_exporter.store import Store

BATCH = 512
WRITERS = 4
RATE = 20.0
"""Requests a second that the batches stand for: so many share their sums' rows."""
_S_US = 1_000_000


class Cost(NamedTuple):
    """Of one request."""

    client_us: float
    server_us: float
    a_second: float


class Race(NamedTuple):
    """Four processes at one database."""

    rows: int
    errors: int
    """Batches whose writing failed, and had to be tried again by the caller."""
    exact: bool
    """Whether all sums equal the rows."""
    a_second: float


def cost(place: Place, rows: int) -> Cost:
    """Write requests in batches of 512, with all sums, and return what one of them costs."""
    # Of today, as requests nearly always are: ClickHouse lets late ones wait for each other.
    batches = _batches(rows, 0, end_us=time.time_ns() // 1000)
    store = place.store(rows, what="writer")
    writer = Writer(store)
    writer.learn(Order(zipf_workload(), 0, 1, 1).names())
    for batch in batches[:4]:
        writer.write(batch)
    server_ns, cpu_ns, wall_ns = place.server_ns(), time.process_time_ns(), time.perf_counter_ns()
    for batch in batches[4:]:
        writer.write(batch)
    cpu_ns, wall_ns = time.process_time_ns() - cpu_ns, time.perf_counter_ns() - wall_ns
    server_ns = place.server_ns() - server_ns
    written = sum(map(len, batches[4:]))
    place.forget(store)
    return Cost(cpu_ns / 1000 / written, server_ns / 1000 / written, written / wall_ns * 1e9)


def race(place: Place, rows: int) -> Race:
    """Let four processes write at once, and hold the sums against the rows."""
    store = place.store(rows, what="race")
    began = time.perf_counter()
    writers = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.scale.writers"),
                *(store.url, store.prefix, str(rows // WRITERS), str(n)),
            ],
            stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for n in range(WRITERS)
    ]  # fmt: skip
    errors = [int(writer.communicate()[0]) for writer in writers]
    took = time.perf_counter() - began
    written, exact = _exact(store)
    place.forget(store)
    return Race(written, sum(errors), exact and written == rows // WRITERS * WRITERS, written / took)


def _exact(store: Store) -> tuple[int, bool]:
    t = store.tables
    with store.read() as connection:
        rows, us = connection.execute(select(func.count(), func.sum(t.request.c.duration))).one()
        n, sum_us = connection.execute(select(func.sum(t.hits.c.n), func.sum(t.hits.c.sum_us))).one()
        of_buckets = connection.scalar(select(func.sum(t.lat_hist.c.n)))
    return rows, (rows, us) == (n, sum_us) and rows == of_buckets


def _batches(rows: int, seed: int, *, end_us: int = 1_790_164_800 * _S_US) -> list[list[RequestRecord]]:
    start_us = end_us - int(rows / RATE * _S_US)
    made = requests(zipf_workload(), start_us=start_us, end_us=end_us, count=rows, seed=seed)
    return list(iter(lambda: list(islice(made, BATCH)), []))


def _write() -> None:
    """Be one of the four: all write the same hours, and with them the same rows of sums."""
    parser = argparse.ArgumentParser()
    for name in ("url", "prefix", "rows", "seed"):
        parser.add_argument(name)
    options = parser.parse_args()
    store = open_store(options.url, options.prefix)
    writer = Writer(store)
    errors = 0
    for batch in _batches(int(options.rows), int(options.seed)):
        while True:
            try:
                writer.write(batch)
                break
            except StorageError:
                errors += 1
    store.dispose()
    print(errors)


if __name__ == "__main__":
    _write()
