"""A database full of made-up requests, written as live ones are."""

from __future__ import annotations

import sys
import time
from itertools import islice
from typing import TYPE_CHECKING

from fmd_otel.synthetic import requests, zipf_workload
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from pathlib import Path

_DAY_US = 86_400 * 1_000_000
_BATCH = 5_000


def fill(path: Path, rows: int, *, days: int = 30, now_us: int | None = None) -> str:
    """Write ``rows`` requests of a large application into a new SQLite file, and return its URL."""
    url = f"sqlite:///{path}"
    store = open_store(url)
    now_us = now_us or time.time_ns() // 1000
    made = requests(zipf_workload(), start_us=now_us - days * _DAY_US, end_us=now_us, count=rows)
    writer = Writer(store)
    done = 0
    while batch := list(islice(made, _BATCH)):
        done += writer.write(batch).written
        say(f"writing {done:,} of {rows:,} requests")
    compact_days(store, now_ts_us=now_us)
    store.dispose()
    say("")
    return url


def say(text: str) -> None:
    """Show progress where somebody is watching."""
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)
