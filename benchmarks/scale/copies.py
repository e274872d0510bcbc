"""Ask ClickHouse the questions of the views, of many requests of which most are copies of others.

To write ten million requests through its HTTP front takes hours, to copy them within the database minutes:
``python -m benchmarks.scale.copies clickhousedb://127.0.0.1:8123/default``. A tenth is written as usual, and
copied nine times, each copy moved by up to five minutes. What is there already is asked again at once.
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

from sqlalchemy import func, select, text

from benchmarks.fill import fill_store, say
from benchmarks.scale import report, views
from benchmarks.scale.places import Place, load, short
from fmd_otel.cli.options import Count
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.subject_sums import sum_up_subjects

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

_DAY_US = 86_400_000_000
_STEP_US = 33_000_000
"""By how much one copy is later than the one before it: nine make five minutes."""


def main() -> None:
    """Fill, and ask."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.copies", description=__doc__)
    parser.add_argument("url", help="of an empty database, or of one that this has filled")
    parser.add_argument("--written", type=_number, default=1_000_000, help="requests that are written")
    parser.add_argument("--copies", type=int, default=9)
    parser.add_argument("--runs", type=int, default=5, help="times that each question is asked")
    options = parser.parse_args()
    rows = options.written * (options.copies + 1)
    place = Place("ClickHouse", options.url)
    store = place.store(rows)
    _fill(place, store, options.written, options.copies)
    began = load()
    took = views.ask(store, options.runs)
    print(f"{place.version(store)}, load when asking began: {began}, when it ended: {load()}\n")
    print(report.queries({(place.product, rows): took}, [rows]))
    store.dispose()


def _number(text: str) -> int:
    return Count(1_000_000_000).convert(text, None, None)


def _fill(place: Place, store: Store, written: int, copies: int) -> None:
    request = store.tables.request
    with store.read() as connection:
        there = connection.scalar(select(func.count()).select_from(request)) or 0
    if there == written * (copies + 1):
        return
    if there:
        raise SystemExit(f"{store} holds {there:,} requests: use an empty database")
    now_us = time.time_ns() // 1000
    fill_store(store, written, now_us=now_us - (copies + 1) * _STEP_US)
    names = request.columns.keys()
    new = {
        "ts": f"ts + copy * {_STEP_US}",
        "span_id": "reinterpretAsFixedString(bitXor(reinterpretAsUInt64(span_id), copy))",
    }
    query = text(
        f"INSERT INTO {request.name} ({', '.join(names)}) "  # noqa: S608 # our own names
        f"SELECT {', '.join(new.get(name, name) for name in names)} FROM {request.name} "
        f"ARRAY JOIN range(1, {copies + 1}) AS copy WHERE ts >= :start AND ts < :until"
    )
    # The last day first, so that none is copied that is a copy.
    for day in range(now_us // _DAY_US, now_us // _DAY_US - 32, -1):
        say(f"copying {short(written)} {copies} times: {day - now_us // _DAY_US + 32} days left")
        with store.write() as connection:
            connection.execute(query, {"start": day * _DAY_US, "until": (day + 1) * _DAY_US})
    _sum_up(store, now_us)
    place.settle(store)


def _sum_up(store: Store, now_us: int) -> None:
    """Make sums of days anew, which were made before the copies came."""
    tables = store.tables
    with store.write() as connection:
        for table in (tables.rollup_day, tables.subject_rollup):
            connection.execute(table.delete())
    while compact_days(store, now_ts_us=now_us):
        pass
    for _ in sum_up_subjects(store):
        say("adding up users")
    say("")


if __name__ == "__main__":
    main()
