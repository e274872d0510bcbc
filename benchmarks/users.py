"""How fast the users of one endpoint are ranked, searched and paged through when there are 100,000.

Each has sent three requests within the last three days. What is measured is what Per-User Performance asks:
the first time, when the process remembers nothing, and the median of five more.

    python -m benchmarks.users
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from fmd_otel_dash.queries import subject_ranks
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.subjects import (
    boxes_of,
    busiest,
    counts_of,
    latency_by_subject,
    subject_by_version,
)
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import SUBJECT_USER
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DAY_US = 86_400_000_000
_EACH = 3
_RUNS = 5


def main() -> None:
    """Write the requests, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--database", help="default: a new SQLite file")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder:
        store = open_store(options.database or f"sqlite:///{folder}/users.db")
        now_us = time.time_ns() // 1000
        _fill(store, options.users, now_us)
        print("| asked | first, ms (CPU) | again, ms (CPU) |\n|---|--:|--:|")
        for name, question in _questions(store, options.users, now_us).items():
            subject_ranks._REMEMBERED.clear()  # noqa: SLF001 # as in a process that has just started
            first, *more = (_ms(question) for _ in range(_RUNS + 1))
            wall, cpu = (median(each) for each in zip(*more, strict=True))
            print(f"| {name} | {first[0]:.0f} ({first[1]:.0f}) | {wall:.0f} ({cpu:.0f}) |", flush=True)
        store.dispose()


def _questions(store: Store, users: int, now_us: int) -> Mapping[str, Callable[[], Any]]:
    week = Scope(now_us - 7 * _DAY_US, now_us, endpoint_ids=(1,))
    half, kind = users // 2, SUBJECT_USER
    names = tuple(row.value for row in busiest(store, week, kind, 200).rows)
    return {
        "the 200 busiest": lambda: busiest(store, week, kind, 200),
        "200 from the middle": lambda: busiest(store, week, kind, 200, "", half),
        "a search that finds one": lambda: busiest(store, week, kind, 200, f"user-{half:06d}"),
        "a search that finds a tenth": lambda: busiest(store, week, kind, 200, "7@"),
        "boxes of the 20 busiest": lambda: latency_by_subject(store, week, kind, 20),
        "boxes of 20 from the middle": lambda: latency_by_subject(store, week, kind, 20, "", half),
        "circles of the 20 busiest": lambda: subject_by_version(store, week, kind, 20),
        "the comparison of 200": lambda: counts_of(store, week, kind, names),
        "the comparison's boxes of 20": lambda: boxes_of(store, week, kind, names[:20]),
    }


def _fill(store: Store, users: int, now_us: int) -> None:
    rng = random.Random(1)  # noqa: S311 # nobody's secret
    writer, records = Writer(store), []
    for number in range(users * _EACH):
        age_us = int(rng.random() * 3 * _DAY_US)
        version = "1.7.0" if age_us < _DAY_US else "1.6.0"
        records.append(
            RequestRecord(
                "shop", "cart.show", now_us - age_us, number.to_bytes(8, "big"), number.to_bytes(16, "big"),
                int(40_000 * rng.lognormvariate(0, 0.5)), 200, "GET", version,
                route="/cart", group_by=f"user-{number % users:06d}@example.org",
            )
        )  # fmt: skip
    records.sort(key=lambda record: record.ts_us)
    for start in range(0, len(records), 2000):
        writer.write(records[start : start + 2000])
    compact_days(store, now_ts_us=now_us)
    for _ in sum_up_subjects(store):
        pass


def _ms(question: Callable[[], Any]) -> tuple[float, float]:
    """Return wall and CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    question()
    return (time.perf_counter() - wall) * 1000, (time.process_time() - cpu) * 1000


if __name__ == "__main__":
    main()
