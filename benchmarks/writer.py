"""CPU time and bytes that a request costs on its way into a database: raw row, both rollups and the ledger.

The database is a new SQLite file, or the one whose URL is given; that one must be empty, and is left full.
CPU time is this process's alone: a server's own comes on top.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path

from fmd_otel.synthetic import requests, zipf_workload
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

_SECOND_US = 1_000_000
_SIZES = (1, 16, 128, 512, 2048)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.writer",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=100_000, help="requests for each batch size")
    parser.add_argument("--rate", type=float, default=20, help="requests a second that they stand for")
    parser.add_argument("--database", help="URL of an empty database on a server")
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="requests a batch")
    parser.add_argument("--quick", action="store_true", help="10,000 requests, batches of 512 only")
    options = parser.parse_args()
    sizes = (512,) if options.quick else options.sizes
    rows = 10_000 if options.quick else options.rows
    print("| requests a batch | CPU µs a request | requests a second | bytes a request |\n|--:|--:|--:|--:|")
    for size in sizes:
        print(_measure(options.database, size, rows if size > 1 else rows // 10, options.rate), flush=True)


def _measure(database: str | None, batch_size: int, rows: int, rate: float) -> str:
    end_us = time.time_ns() // 1000
    start_us = end_us - int(rows / rate * _SECOND_US)
    made = iter(list(requests(zipf_workload(), start_us=start_us, end_us=end_us, count=rows)))
    batches = list(iter(lambda: list(islice(made, batch_size)), []))
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder:
        store = open_store(database or f"sqlite:///{Path(folder) / 'bench.db'}", f"bench{batch_size}")
        writer = Writer(store)
        # What a process does once, its first look at the names included, is not what a request costs.
        writer.write(batches[0])
        before_ns, began_ns = time.process_time_ns(), time.perf_counter_ns()
        for batch in batches[1:]:
            writer.write(batch)
        cpu_ns, wall_ns = time.process_time_ns() - before_ns, time.perf_counter_ns() - began_ns
        with store.read() as connection:
            size = store.dialect.total_bytes(connection, store.prefix)
        store.dispose()
    written = rows - len(batches[0])
    cells = (
        batch_size,
        f"{cpu_ns / 1000 / written:.1f}",
        f"{written / wall_ns * 1e9:,.0f}",
        round(size / rows),
    )
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
