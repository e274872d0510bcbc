"""Measure what many requests cost, on each database there is, and print it as one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.cpu.subjects import FMD_PYTHON, ROOT
from benchmarks.fill import say
from benchmarks.scale import pages, report, views, writers
from benchmarks.scale.places import Place, load, short
from fmd_otel.cli.options import Count

if TYPE_CHECKING:
    from collections.abc import Iterator


def main() -> None:
    """Run the benchmark from the command line."""
    options = _options()
    with ExitStack() as stack:
        folder = options.keep or stack.enter_context(tempfile.TemporaryDirectory(prefix="fmd-otel-bench-"))
        places = [Place("SQLite", folder)]
        if options.postgresql:
            places.append(Place("PostgreSQL", options.postgresql))
        if options.clickhouse:
            places.append(Place("ClickHouse", options.clickhouse))
        text = "\n\n".join(_sections(options, places, Path(folder)))
    print(text)
    if options.output:
        Path(options.output).write_text(f"{report.HEAD}\n{text}\n{report.FOOT}")


def _sections(options: argparse.Namespace, places: list[Place], folder: Path) -> Iterator[str]:
    began = load()
    found: dict[tuple[str, int], dict[str, views.Took]] = {}
    sizes: dict[str, dict[str, int]] = {}
    versions: list[str] = []
    asked: dict[str, pages.PageTook] = {}
    for place in places:
        for rows in options.sizes:
            say(f"{place.product}, {short(rows)}: filling")
            store = place.filled(rows)
            say(f"{place.product}, {short(rows)}: asking")
            found[place.product, rows] = views.ask(store, options.runs)
            if rows == max(options.sizes) and place.product == "SQLite":
                say(f"{place.product}, {short(rows)}: asking for pages")
                asked = pages.ask(store, options.runs)
            if rows == max(options.sizes):
                sizes[place.product] = place.sizes(store)
                versions.append(place.version(store))
            store.dispose()
    say("")
    yield report.machine(
        cores=os.cpu_count() or 1, python=platform.python_version(), databases=versions, load=began
    )
    yield report.queries(found, options.sizes)
    yield report.pages(asked, max(options.sizes))
    yield report.sizes(sizes, max(options.sizes))
    costs = {}
    only_written = (("MariaDB", options.mariadb),)
    for place in [*places, *(Place(product, url) for product, url in only_written if url)]:
        say(f"{place.product}: writing")
        costs[place.product] = writers.cost(place, options.writer_rows)
    say("four processes")
    race = writers.race(places[0], options.writer_rows)
    say("")
    yield report.writing(costs, race, options.writer_rows)
    if not options.without_fmd and FMD_PYTHON.exists():
        ours = sum(sizes["SQLite"].values()) / max(options.sizes)
        without_users = ours - sizes["SQLite"]["subject_pack"] / max(options.sizes)
        yield _beside_fmd(options, folder, costs["SQLite"], (ours, without_users))


def _beside_fmd(
    options: argparse.Namespace, folder: Path, cost: writers.Cost, ours: tuple[float, float]
) -> str:
    rows = options.fmd_rows
    say("asking Flask-MonitoringDashboard")
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-", dir=folder) as name:
        place = Place("SQLite", name)
        store = place.filled(rows)
        took = views.ask(store, options.runs)["Overview"]
        store.dispose()
        copied = Path(name) / f"{short(rows)}.db"
        done = subprocess.run(
            [
                FMD_PYTHON,
                "-m",
                "benchmarks.scale.fmd",
                copied,
                Path(name) / "fmd.db",
                str(options.fmd_writes),
            ],
            cwd=name,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
    say("")
    if done.returncode:
        return f"Flask-MonitoringDashboard failed: {done.stderr.strip().splitlines()[-1:]}"
    fmd = json.loads(done.stdout.strip().splitlines()[-1])
    return report.beside_fmd(rows, fmd, cost, ours, took)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    count = Count(1_000_000_000)

    def number(text: str) -> int:
        return count.convert(text, None, None)

    parser.add_argument("--sizes", nargs="+", type=number, default=[1_000_000, 10_000_000], metavar="N")
    parser.add_argument("--runs", type=int, default=7, help="times that each question is asked")
    parser.add_argument(
        "--writer-rows", type=number, default=100_000, help="requests written in batches of 512"
    )
    parser.add_argument("--fmd-rows", type=number, default=100_000, help="requests that FMD's Overview is of")
    parser.add_argument("--fmd-writes", type=number, default=2_000, help="requests that FMD writes")
    parser.add_argument("--without-fmd", action="store_true")
    parser.add_argument("--postgresql", metavar="URL", help="database for the same on PostgreSQL")
    parser.add_argument("--mariadb", metavar="URL", help="database to write to on MariaDB")
    parser.add_argument("--clickhouse", metavar="URL", help="database for the same on ClickHouse")
    parser.add_argument("--keep", metavar="FOLDER", help="where SQLite files stay, or are already")
    parser.add_argument("--output", metavar="FILE", help="where to write the tables, too")
    parser.add_argument(
        "--quick", action="store_true", help="10,000 and 100,000 requests: does it run at all"
    )
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.runs, options.writer_rows = [10_000, 100_000], 3, 10_000
        options.fmd_rows, options.fmd_writes = 10_000, 100
    return options


if __name__ == "__main__":
    main()
