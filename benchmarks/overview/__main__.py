"""Time the Overview on many requests: ours through a real dashboard process, FMD's own beside it."""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.cpu.subjects import FMD_PYTHON, ROOT
from benchmarks.fill import fill, say
from benchmarks.overview.dashboard import Dashboard

CARDS = ("overview-kpis", "overview-endpoints", "overview-traffic", "overview-durations")
RANGES = {"last 24 hours": "", "last 7 days": "?from=now-7d&to=now", "last 30 days": "?from=now-30d&to=now"}


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.overview",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="requests over 30 days")
    parser.add_argument("--runs", type=int, default=10, help="times that each card is asked")
    parser.add_argument("--fmd-timeout", type=float, default=180, help="seconds for FMD, its start included")
    parser.add_argument("--quick", action="store_true", help="100,000 requests, 3 runs")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.runs = 100_000, 3
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as name:
        folder = Path(name)
        ours = folder / "ours.db"
        url = fill(ours, options.rows)
        print(f"Overview on {options.rows:,} requests, 40 endpoints, 12 versions, 5,000 users, SQLite")
        print("\nMilliseconds until a card is filled, of which CPU time; nothing cached, median.\n")
        print(f"| card | {' | '.join(RANGES)} |")
        print(f"|---|{'--:|' * len(RANGES)}")
        with Dashboard(url, folder) as dashboard:
            for card in CARDS:
                times = [dashboard.card_ms(card, search, options.runs) for search in RANGES.values()]
                cells = " | ".join(f"{wall:.0f} ({cpu:.0f})" for wall, cpu in times)
                print(f"| {card} | {cells} |", flush=True)
        print(f"\nFlask-MonitoringDashboard 5.1.0: {_fmd(ours, folder, options.fmd_timeout)}")


def _fmd(ours: Path, folder: Path, timeout_s: float) -> str:
    if not FMD_PYTHON.exists():
        return "not measured, it has no environment (make bench makes one)"
    say("asking Flask-MonitoringDashboard")
    try:
        done = subprocess.run(
            [FMD_PYTHON, "-m", "benchmarks.overview.fmd", ours, folder / "fmd.db"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
        )
    except subprocess.TimeoutExpired:
        return f"gave up after {timeout_s:.0f} s"
    except subprocess.CalledProcessError as error:
        return f"failed: {error.stderr.strip().splitlines()[-1:]}"
    finally:
        say("")
    took = [line.split() for line in done.stdout.splitlines() if line.startswith("took ")]
    return ", then ".join(f"{float(seconds):.1f} s" for _, seconds, _ in took)


if __name__ == "__main__":
    main()
