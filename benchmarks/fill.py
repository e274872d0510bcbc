"""A database full of made-up requests, as ``fmd-otel generate`` makes them."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from fmd_otel.bulk import Order, write
from fmd_otel.synthetic import zipf_workload
from fmd_otel.synthetic_details import SyntheticDetails
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.subject_sums import sum_up_subjects

if TYPE_CHECKING:
    from pathlib import Path

    from fmd_otel_exporter.store import Store

_DAY_US = 86_400 * 1_000_000


def fill(path: Path, rows: int, *, days: int = 30, now_us: int | None = None) -> str:
    """Write ``rows`` requests of a large application into a new SQLite file, and return its URL."""
    url = f"sqlite:///{path}"
    store = open_store(url)
    fill_store(store, rows, days=days, now_us=now_us)
    store.dispose()
    return url


def fill_store(
    store: Store, rows: int, *, days: int = 30, now_us: int | None = None, details: bool = False
) -> None:
    """Write requests into an empty database, and add them up as a month of running would have.

    Args:
        store: Where.
        rows: How many.
        days: Over how many days.
        now_us: When these days end.
        details: Also profiles of one request in fifty, and a tenth of the outliers, with the exceptions.
    """
    now_us = now_us or time.time_ns() // 1000
    workload = zipf_workload()
    more = (SyntheticDetails.of(workload, profiled=0.02, outliers=0.1),) if details else ()
    order = Order(workload, now_us - days * _DAY_US, now_us, rows, 0, more)
    done = 0
    for written in write(store, order, processes=os.cpu_count() or 1):
        done += written
        say(f"writing {done:,} of {rows:,} requests")
    while compact_days(store, now_ts_us=now_us):
        pass
    done = 0
    for completed in sum_up_subjects(store):
        done += completed
        say(f"adding up users: {done} days")
    say("")


def say(text: str) -> None:
    """Show progress where somebody is watching."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)
