"""How long requests take without monitoring, with it, and while its database is locked, gone or stopped."""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from benchmarks.outage.app import WORK_MS
from benchmarks.outage.subjects import Gone, Locked, Plain, Stopped, Subject
from tests.databases.servers import POSTGRESQL, own

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.outage",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each outage lasts, at least")
    parser.add_argument("--rate", type=int, default=250, help="requests a second, one server at a time")
    parser.add_argument("--block", type=int, default=250, help="requests before it is another server's turn")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each server, at least")
    parser.add_argument("--work-ms", type=float, default=0.0, help="CPU time of the view itself")
    parser.add_argument(
        "--without-postgresql", action="store_true", help="start no PostgreSQL server, only to stop it"
    )
    options = parser.parse_args()
    os.environ[WORK_MS] = str(options.work_ms)
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        subjects = [
            Subject("no monitoring", folder / "bare", monitored=False),
            Subject("no monitoring, a second server", folder / "bare-again", monitored=False),
            Plain("OpenTelemetry as it comes, spans discarded", folder / "plain"),
            Subject("monitored, all well", folder / "healthy"),
            Locked("monitored, database locked", folder / "locked"),
            Gone("monitored, database gone", folder / "gone"),
        ]
        if not options.without_postgresql:
            server = stack.enter_context(own(POSTGRESQL))
            subjects.append(Stopped("monitored, database server stopped", folder / "stopped", server))
        for subject in subjects:
            stack.callback(subject.stop)
            subject.start()
        _report(subjects, *_measure(subjects, options))


def _measure(
    subjects: Sequence[Subject], options: argparse.Namespace
) -> tuple[list[list[list[float]]], float]:
    """Return the times of each subject, turn by turn, and how long its trouble lasted."""
    turns: list[list[list[float]]] = [[] for _ in subjects]
    order = list(range(len(subjects)))
    for subject in subjects:
        subject.begin()
    began = time.monotonic()
    try:
        while len(turns[0]) < options.rounds or time.monotonic() - began < options.seconds:
            random.shuffle(order)
            for index in order:
                turns[index].append(_block(subjects[index], options.block, 1 / options.rate))
            _say(f"round {len(turns[0])}, {time.monotonic() - began:.0f} s")
        lasted = time.monotonic() - began
    finally:
        for subject in subjects:
            subject.end()
    _say("")
    return turns, lasted


def _block(subject: Subject, requests: int, every_s: float) -> list[float]:
    """Let requests be due at a steady pace, whatever became of those before them; return how long each took.

    A worker of this kind answers one at a time. Who comes while it is at another one waits in front of it, so
    to be sent later makes no difference as long as the time counts from the moment when it was due.
    """
    times: list[float] = []
    due = time.perf_counter()
    for number in range(requests):
        early_s = due - time.perf_counter()
        if early_s > 0:
            time.sleep(early_s)
        began = time.perf_counter() if early_s > 0 else due  # that this process woke late is nobody's fault
        subject.ask(number)
        times.append(time.perf_counter() - began)
        due += every_s
    return times


def _report(subjects: Sequence[Subject], turns: list[list[list[float]]], lasted: float) -> None:
    print(f"Each outage lasted {lasted:.0f} s. Milliseconds from being due to the last byte of the answer.")
    print("p99 by turns: the median of all turns' 99th percentiles, and the lowest and highest of them.\n")
    print("| | database | requests | failed | p50 | p99 | p99 by turns | max | recorded afterwards |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|")
    for subject, blocks in zip(subjects, turns, strict=True):
        every = [took for block in blocks for took in block]
        by_turn = [_percentile(block, 99) for block in blocks]
        print(
            f"| {subject.name} | {subject.trouble} | {len(every):,} | {subject.failed} "
            f"| {_ms(median(every))} | {_ms(_percentile(every, 99))} "
            f"| {_ms(median(by_turn))} ({_ms(min(by_turn))}–{_ms(max(by_turn))}) | {_ms(max(every))} "
            f"| {_recorded(subject)} |"
        )


def _recorded(subject: Subject) -> str:
    """Say whether every request sent is in the database, once."""
    if not subject.monitored:
        return "–"
    drained = subject.drain()
    rows, sums = subject.recorded()
    if drained and rows == sums == subject.sent:
        return f"all {subject.sent:,}, once"
    return f"{rows:,} rows and {sums:,} in the sums of {subject.sent:,}"


def _percentile(values: Sequence[float], number: int) -> float:
    return quantiles(values, n=100)[number - 1]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f}"


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
