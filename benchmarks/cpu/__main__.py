"""Measure, in rounds of random order, and print the table."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cpu.report import LABELS, Rounds, findings, summarise, table
from benchmarks.cpu.subjects import FMD_PYTHON, GunicornSubject, LoopSubject, Sink, Subject, SubjectError


def main() -> None:
    """Run the benchmark from the command line."""
    options = _options()
    chosen = [name for name in LABELS if name in options.variants]
    if not FMD_PYTHON.exists():
        chosen = [name for name in chosen if not name.startswith("fmd-bare") and name != "fmd"]
        print("Without Flask-MonitoringDashboard: it has no environment (.bench-fmd).", file=sys.stderr)
    results = Results({name: [] for name in chosen})
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder, Sink() as sink:
            _measure(options, Path(folder), sink.url, results)
    summaries = summarise(results.rounds)
    _say("")
    print(table(summaries, results.recorded))
    print()
    for line in findings(summaries):
        print(line)
    if options.json:
        Path(options.json).write_text(json.dumps(results.rounds, indent=1))


@dataclass
class Results:
    """What has been measured so far."""

    rounds: Rounds
    recorded: dict[str, str] = field(default_factory=dict)


def _measure(options: argparse.Namespace, folder: Path, otlp_endpoint: str, results: Results) -> None:
    """Start everything, measure all rounds, stop everything."""
    subjects: dict[str, Subject] = {}
    sent = options.warm_up + options.rounds * options.requests
    try:
        for name in list(results.rounds):
            _say(f"starting {LABELS[name]}")
            subject = _start(options, name, folder, otlp_endpoint)
            if subject is None:
                del results.rounds[name]
            else:
                subjects[name] = subject
        for number in range(options.rounds):
            _say(f"round {number + 1} of {options.rounds}")
            # In random order: whatever else the machine does falls on each variant alike.
            for name in random.sample(list(subjects), len(subjects)):
                results.rounds[name].append(subjects[name].run(options.requests))
        for name, subject in subjects.items():
            if (count := subject.recorded()) is not None:
                results.recorded[name] = f"{count} of {sent}"
    finally:
        for subject in subjects.values():
            subject.stop()


def _start(options: argparse.Namespace, name: str, folder: Path, otlp_endpoint: str) -> Subject | None:
    """Start one variant and warm it up; say why where that fails."""
    make = LoopSubject if options.server == "none" else GunicornSubject
    try:
        subject = make(name, folder, otlp_endpoint)
    except (SubjectError, OSError) as exc:
        log = (folder / f"{name}.log").read_text().strip().splitlines()[-5:]
        print(f"\nleft out {LABELS[name]}: {exc}", *log, sep="\n  ", file=sys.stderr)
        return None
    subject.run(options.warm_up)
    return subject


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few short rounds: does it run at all")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of one start (default: %(default)s)")
    parser.add_argument(
        "--repeats", type=int, default=2, help="times to start all afresh (default: %(default)s)"
    )
    parser.add_argument("--requests", type=int, default=1000, help="requests a round (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=500, help="requests before the first round")
    parser.add_argument(
        "--server", choices=["gunicorn", "none"], default="gunicorn", help="none: plain WSGI calls"
    )
    parser.add_argument("--variants", nargs="+", choices=LABELS, default=list(LABELS), metavar="NAME",
                        help=f"which to run, of {', '.join(LABELS)}")  # fmt: skip
    parser.add_argument("--json", help="file for the single measurements")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.repeats, options.requests, options.warm_up = 3, 1, 200, 100
    return options


if __name__ == "__main__":
    main()
