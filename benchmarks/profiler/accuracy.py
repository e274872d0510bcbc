"""Whether profiles are true: what takes 70, 20 and 10 % of a request is found to, computing or waiting.

Each workload is served by a Flask application of its own, one request after another, and its profiles are
added up. Run as ``python -m benchmarks.profiler.accuracy``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask

from fmd_otel_exporter.records import ON_CPU, ProfileRecord

if TYPE_CHECKING:
    from collections.abc import Callable

_PARTS = {"first": 0.7, "second": 0.2, "third": 0.1}


class Truth(NamedTuple):
    """What a workload really did: seconds by function, on the CPU and in all."""

    cpu_s: dict[str, float]
    wall_s: dict[str, float]


def main() -> None:
    """Run all workloads from the command line."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fmd-otel-accuracy-") as folder:
        records, serve = _application(f"{folder}/accuracy.db")
        print("| workload | samples | worst share, points off | on CPU in truth | as told | points off |")
        print("|---|--:|--:|--:|--:|--:|")
        worst = max(_measure(name, records, serve, options.samples) for name in WORKLOADS)
    sys.exit(worst > options.most_points)


def compute(seconds: float) -> None:
    """Use so much CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(50))


def _sleeping(seconds: float) -> None:
    time.sleep(seconds)


def _alternating(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        compute(0.0005)
        _sleeping(0.001)


WORKLOADS: dict[str, dict[str, Callable[[float], None]]] = {
    "sleeping 70/20/10": dict.fromkeys(_PARTS, _sleeping),
    "computing 70/20/10": dict.fromkeys(_PARTS, compute),
    "computing, sleeping, computing 70/20/10": {"first": compute, "second": _sleeping, "third": compute},
    "sleeping, computing, sleeping 70/20/10": {"first": _sleeping, "second": compute, "third": _sleeping},
    "0.5 ms computing, 1 ms waiting, alternating": dict.fromkeys(_PARTS, _alternating),
}

_truth = Truth(defaultdict(float), defaultdict(float))


def first(workload: str, seconds: float) -> None:
    """Do the first part."""
    _part("first", workload, seconds)


def second(workload: str, seconds: float) -> None:
    """Do the second part."""
    _part("second", workload, seconds)


def third(workload: str, seconds: float) -> None:
    """Do the third part."""
    _part("third", workload, seconds)


def _part(name: str, workload: str, seconds: float) -> None:
    wall, cpu = time.perf_counter(), time.thread_time()
    WORKLOADS[workload][name](seconds * _PARTS[name])
    _truth.wall_s[name] += time.perf_counter() - wall
    _truth.cpu_s[name] += time.thread_time() - cpu


def _application(database: str) -> tuple[list[ProfileRecord], Callable[[str], None]]:
    import fmd_otel  # noqa: PLC0415

    app = Flask("accuracy")

    @app.route("/<path:workload>")
    def view(workload: str) -> str:
        first(workload, 1.0)
        second(workload, 1.0)
        third(workload, 1.0)
        return "done"

    handle: Any = fmd_otel.instrument(
        app, database=f"sqlite:///{database}", monitor_level=3, profile_rate=0, include_dashboard=False
    )
    records: list[ProfileRecord] = []
    handle.monitor.pipeline.offer_detail = lambda record: (
        records.append(record) if isinstance(record, ProfileRecord) else None
    )
    client = app.test_client()

    def serve(workload: str) -> None:
        client.get(f"/{workload}")
        handle.monitor.watch.flush()

    return records, serve


def _measure(
    workload: str, records: list[ProfileRecord], serve: Callable[[str], None], samples: int
) -> float:
    """Return how many points the worst share is off."""
    records.clear()
    _truth.cpu_s.clear()
    _truth.wall_s.clear()
    while sum(record.samples for record in records) < samples:
        serve(workload)
    told, on_cpu_us, total_us = Counter[str](), 0, 0
    for record in records:
        for index, node in enumerate(record.nodes):
            total_us += node.self_us
            on_cpu_us += node.self_cpu_us
            for name in _PARTS.keys() & _functions(record, index):
                told[name] += node.self_us
    total_s = sum(record.duration_us for record in records) / 1e6
    off = max(abs(told[name] / total_us - _truth.wall_s[name] / total_s) for name in _PARTS) * 100
    cpu_truth = sum(_truth.cpu_s.values()) / total_s * 100
    cpu_told = on_cpu_us / total_us * 100
    count = sum(record.samples for record in records)
    print(f"| {workload} | {count} | {off:.1f} | {cpu_truth:.1f} % | {cpu_told:.1f} % | "
          f"{cpu_told - cpu_truth:+.1f} |", flush=True)  # fmt: skip
    return max(off, abs(cpu_told - cpu_truth))


def _functions(record: ProfileRecord, index: int) -> set[str]:
    names = set()
    while index >= 0:
        names.add(record.lines[record.nodes[index].line].function)
        index = record.nodes[index].parent
    return names - {ON_CPU}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiler.accuracy", description=__doc__)
    parser.add_argument("--samples", type=int, default=100, help="at least (default: %(default)s)")
    parser.add_argument("--most-points", type=float, default=3, help="fail beyond (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
