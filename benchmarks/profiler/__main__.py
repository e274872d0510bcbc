"""Measure, in rounds of random order, and print a table for each view.

Two ratios are told for each variant: of the CPU time of a request, and of the requests answered in a second.
Both are medians over rounds, each against the reference of the same round.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from benchmarks.cpu.subjects import FMD_PYTHON, SubjectError
from benchmarks.profiler.server import Cost, Load, Server
from benchmarks.profiler.target import LABELS, compute, process_of

LOADS = {
    "hello": Load("/hello", 4, 1000),
    "cpu": Load("/cpu", 8, 40),
    "wait": Load("/wait", 32, 128),
}
CPU_VIEW_S = 0.012
_MS = 1000
Rounds = dict[str, dict[str, list[Cost]]]
"""View -> variant -> one cost for each round."""


def main() -> None:
    """Run the benchmark from the command line."""
    options = _options()
    variants = [
        name for name in LABELS if name in options.variants and (FMD_PYTHON.exists() or "fmd" not in name)
    ]
    rounds: Rounds = {view: {name: [] for name in variants} for view in options.views}
    servers: dict[str, Server] = {}
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder:
        try:
            for name in dict.fromkeys(process_of(name) for name in variants):
                servers[name] = _start(name, Path(folder), options.views)
            for number in range(options.rounds):
                print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
                for view in options.views:
                    for name in random.sample(variants, len(variants)):
                        server = servers[process_of(name)]
                        server.switch(name)
                        rounds[view][name].append(server.run(LOADS[view]))
        finally:
            for server in servers.values():
                server.stop()
    for view, found in rounds.items():
        print(f"\n{_title(view)}\n\n{table(found)}")


def _start(name: str, folder: Path, views: list[str]) -> Server:
    try:
        server = Server(name, folder, _rounds_of_work())
        for view in views:
            load = LOADS[view]
            server.run(load)
    except (SubjectError, OSError) as error:
        log = (folder / f"{name}.log").read_text().strip().splitlines()[-5:]
        raise SystemExit("\n  ".join([f"{name}: {error}", *log])) from error
    return server


def _rounds_of_work() -> int:
    """Return how much work takes as long as the view is to take here, without anything that measures it."""
    if not _known_rounds:
        some = 200
        best_s = min(_time(some) for _ in range(20))
        _known_rounds.append(max(int(some * CPU_VIEW_S / best_s), 1))
    return _known_rounds[0]


_known_rounds: list[int] = []


def _time(rounds: int) -> float:
    start = time.thread_time()
    compute(rounds)
    return time.thread_time() - start


def _title(view: str) -> str:
    load = LOADS[view]
    return f"`{load.path}`, {load.in_flight} in flight"


def table(found: dict[str, list[Cost]]) -> str:
    """Return a Markdown table of one view."""
    lines = [
        "| | CPU ms a request, median (quartiles) | against its reference | CPU | throughput |",
        "|---|--:|---|--:|--:|",
    ]
    for name, costs in found.items():
        base = _reference(name, found)
        mine = [each.cpu_us / _MS for each in costs]
        cells = [LABELS[name], f"{median(mine):.2f} ({_quartiles(mine, '.2f')})"]
        if base is None:
            cells += ["", "", ""]
        else:
            pairs = list(zip(costs, found[base], strict=True))
            added = [(one.cpu_us - other.cpu_us) / _MS for one, other in pairs]
            share = [one.cpu_us / other.cpu_us - 1 for one, other in pairs]
            rate = [one.rps / other.rps - 1 for one, other in pairs]
            cells += [
                LABELS[base],
                f"{median(added):+.2f} ms, {median(share):+.1%} ({_quartiles(share, '+.1%')})",
                f"{median(rate):+.1%} ({_quartiles(rate, '+.1%')})",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _reference(name: str, found: dict[str, list[Cost]]) -> str | None:
    wanted = {"bare": None, "fmd-bare": None, "pyinstrument": "bare"}.get(
        name, "fmd-bare" if name.startswith("fmd-") else "level-1" if name != "level-1" else "bare"
    )
    return wanted if wanted in found else None


def _quartiles(values: list[float], form: str) -> str:
    if len(values) == 1:
        return f"{values[0]:{form}}"
    low, _, high = quantiles(values, n=4, method="inclusive")
    return f"{low:{form}} to {high:{form}}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiler", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="(default: %(default)s)")
    parser.add_argument("--variants", nargs="+", choices=LABELS, default=list(LABELS), metavar="NAME",
                        help=f"which to run, of {', '.join(LABELS)}")  # fmt: skip
    parser.add_argument("--views", nargs="+", choices=LOADS, default=list(LOADS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
