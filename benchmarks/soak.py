"""Full load with every request profiled: memory, threads and open files have to stay as they are."""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from benchmarks.profiler.server import Load, Server

_VIEWS = (Load("/hello", 2, 50), Load("/cpu", 4, 10), Load("/wait", 16, 16))
_ALL_THREADS = Load("/wait", 64, 128)
"""Makes the server start all the threads it may have."""
_WARM_UP_SHARE = 0.3
_MOST_GROWTH = 0.05
_MOST_GROWTH_MB = 12
_MB = 1 << 20


class Reading(NamedTuple):
    """What the server's worker holds."""

    at_s: float
    rss_mb: float
    threads: int
    files: int


def main() -> None:
    """Run the soak from the command line."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fmd-otel-soak-") as folder:
        server = Server("level", Path(folder), options.work)
        try:
            server.switch("level-3-all")
            server.run(_ALL_THREADS)
            readings = _soak(server, options.minutes * 60, options.every)
            failures = server.drain()["failures"]
        finally:
            server.stop()
    _report(readings, failures)


def _soak(server: Server, seconds: float, every_s: float) -> list[Reading]:
    stop = threading.Event()
    served = [0]

    def load(view: Load) -> None:
        while not stop.is_set():
            server.run(view)
            served[0] += view.requests

    clients = [threading.Thread(target=load, args=(view,), daemon=True) for view in _VIEWS]
    for each in clients:
        each.start()
    [worker] = psutil.Process(server.process.pid).children()
    readings, start = [], time.monotonic()
    while (at_s := time.monotonic() - start) < seconds:
        readings.append(Reading(at_s, worker.memory_info().rss / _MB, worker.num_threads(), worker.num_fds()))
        last = readings[-1]
        print(f"{at_s:6.0f} s  {served[0]:8d} requests  {last.rss_mb:7.1f} MB  {last.threads:3d} threads  "
              f"{last.files:3d} files", flush=True)  # fmt: skip
        stop.wait(every_s)
    stop.set()
    for each in clients:
        each.join()
    return readings


def _report(readings: list[Reading], failures: int) -> None:
    """Compare the last third with what was there after the warm-up."""
    warm = [each for each in readings if each.at_s > readings[-1].at_s * _WARM_UP_SHARE]
    third = max(len(warm) // 3, 1)
    before, after = warm[:third], warm[-third:]
    rss = [median(each.rss_mb for each in part) for part in (before, after)]
    threads = [max(each.threads for each in part) for part in (before, after)]
    # The fewest: connections of clients come and go, what leaks stays.
    files = [min(each.files for each in part) for part in (before, after)]
    grown = rss[1] - rss[0]
    problems = []
    if grown > _MOST_GROWTH_MB and grown > rss[0] * _MOST_GROWTH:
        problems.append("memory grows")
    if threads[1] > threads[0]:
        problems.append("threads grow")
    if files[1] > files[0] + 4:
        problems.append("open files grow")
    if failures:
        problems.append(f"{failures} failures of ours")
    print(f"\nmemory {rss[0]:.1f} -> {rss[1]:.1f} MB, threads {threads[0]} -> {threads[1]}, "
          f"files {files[0]} -> {files[1]}, failures {failures}")  # fmt: skip
    print("; ".join(problems) or "flat")
    sys.exit(1 if problems else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="(default: %(default)s)")
    parser.add_argument("--every", type=float, default=5, help="seconds between readings")
    parser.add_argument("--work", type=int, default=1500, help="rounds of work of the computing view")
    return parser.parse_args()


if __name__ == "__main__":
    main()
