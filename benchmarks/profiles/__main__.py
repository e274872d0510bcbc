"""What a stored profile costs, CPU time and bytes, beside Flask-MonitoringDashboard's rows for the same tree.

And how long the dashboard takes for the grouped view of all of them, from the sums of days.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fmd_otel.synthetic_code import code_of
from fmd_otel_dash.queries.profiles import by_endpoint, grouped, profile_of, profiles, recent
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.records import CodeLine, ProfileNode, ProfileRecord
from fmd_otel_exporter.spool.codec import decode, encode
from fmd_otel_exporter.spool.segment import frame
from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmd_otel_exporter.store import Store

FMD_PYTHON = Path(__file__).parents[2] / ".bench-fmd" / "bin" / "python"
DAY_US = 86_400_000_000
USUAL_US = 150_000
PERIOD_US = 10_000
BATCH = 64
VERSIONS = ("1.0", "1.1", "1.2")


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profiles",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--profiles", type=int, default=100_000, help="how many of one endpoint")
    parser.add_argument("--days", type=int, default=30, help="over how many days")
    parser.add_argument("--fmd", type=int, default=500, help="how many FMD writes")
    parser.add_argument("--quick", action="store_true", help="5,000 profiles, 100 of FMD")
    options = parser.parse_args()
    count, few = (5_000, 100) if options.quick else (options.profiles, options.fmd)
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder:
        path = Path(folder) / "bench.db"
        store = open_store(f"sqlite:///{path}")
        print("| | CPU µs a profile | bytes a profile |\n|:--|--:|--:|")
        _write(store, path, count, options.days)
        if FMD_PYTHON.exists():
            _write_fmd(Path(folder), few, options.days)
        _read(store)
        store.dispose()


def made(count: int, days: int, seed: int = 0) -> Iterator[ProfileRecord]:
    """Yield profiles of one endpoint, oldest first: of about 15 samples each, sometimes many more.

    Two of the functions on each path are seen at one of forty lines each, some more often than others: more
    variety than most views have, some thousand call paths a day.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    end_us = time.time_ns() // 1000
    for number in range(count):
        version = VERSIONS[number * len(VERSIONS) // count]
        us = int(USUAL_US * dice.lognormvariate(0, 0.4))
        samples = max(us // PERIOD_US, 1)
        lines, nodes = _tree(version, us, samples, dice)
        yield ProfileRecord(
            "shop", "shop.checkout", version, end_us - (count - number) * days * DAY_US // count,
            dice.randbytes(8), dice.randbytes(16), us, us // 3, samples, PERIOD_US,
            exact=False, truncated=False, lines=lines, nodes=nodes,
        )  # fmt: skip


def _tree(
    version: str, us: int, samples: int, dice: random.Random
) -> tuple[tuple[CodeLine, ...], tuple[ProfileNode, ...]]:
    paths = code_of("shop.checkout", version).paths
    lines: dict[CodeLine, int] = {}
    known: dict[tuple[int, int], int] = {}
    nodes: list[ProfileNode] = []
    for path in dice.choices(paths, [path.weight for path in paths], k=samples):
        at = -1
        for line in path.lines:
            moved = min(int(dice.paretovariate(0.7)), 40) - 1 if line in path.lines[-2:] else 0
            key = (at, lines.setdefault(line._replace(line=line.line + moved), len(lines)))
            if key not in known:
                known[key] = len(nodes)
                nodes.append(ProfileNode(*key, 0, 0, 0))
            at = known[key]
        own = us // samples
        cpu = int(own * path.cpu_share)
        node = nodes[at]
        nodes[at] = node._replace(
            self_us=node.self_us + own, self_cpu_us=node.self_cpu_us + cpu, hits=node.hits + 1
        )
    return tuple(lines), tuple(nodes)


def _write(store: Store, path: Path, count: int, days: int) -> None:
    records = made(count, days)
    writer = DetailWriter(store)
    writer.write(list(islice(records, BATCH)))  # what a process does once is not what a profile costs
    empty = path.stat().st_size
    spool_ns = read_ns = write_ns = began_ns = nodes = 0
    while batch := list(islice(records, BATCH)):
        began_ns = time.process_time_ns()
        framed = [frame(*encode(record)) for record in batch]
        spool_ns += time.process_time_ns() - began_ns
        payloads = [encode(record) for record in batch]
        began_ns = time.process_time_ns()
        back = [decode(*payload) for payload in payloads]
        read_ns += time.process_time_ns() - began_ns
        began_ns = time.process_time_ns()
        writer.write(back)  # type: ignore[arg-type]  # profiles, as they went in
        write_ns += time.process_time_ns() - began_ns
        nodes += sum(len(record.nodes) for record in batch)
        del framed
    store.dispose()
    written = count - BATCH
    with store.read() as connection:
        blobs = connection.exec_driver_sql("SELECT avg(length(data)) FROM fmd_profile").scalar()
    size = (path.stat().st_size - empty) / written
    for what, ns, size_bytes in (
        (f"into the spool, on the request's thread ({nodes / written:.0f} nodes)", spool_ns, ""),
        ("out of the spool, only after a crash", read_ns, ""),
        ("into the database: times, sums of days, lines, ledger", write_ns, f"{size:.0f}"),
    ):
        print(f"| {what} | {ns / 1000 / written:.0f} | {size_bytes} |")
    print(f"| ... of which the packed times | | {blobs:.0f} |", flush=True)


def _write_fmd(folder: Path, count: int, days: int) -> None:
    trees = []
    for record in made(count, days):
        depths: list[int] = []
        for node in record.nodes:
            depths.append(depths[node.parent] + 1 if node.parent >= 0 else 1)
        totals = [node.self_us for node in record.nodes]
        for index in range(len(totals) - 1, -1, -1):
            if record.nodes[index].parent >= 0:
                totals[record.nodes[index].parent] += totals[index]
        trees.append(
            [
                (depth, total / 1000, record.lines[node.line][:4])
                for depth, total, node in zip(depths, totals, record.nodes, strict=True)
            ]
        )
    source = folder / "trees.json"
    source.write_text(json.dumps(trees))
    script = Path(__file__).with_name("fmd.py")
    target = folder / "fmd.db"
    done = subprocess.run(
        [FMD_PYTHON, script, source, target], cwd=folder, check=True, capture_output=True, text=True
    )
    cpu_us, size, rows = (float(number) for number in done.stdout.split()[-3:])
    print(f"| FMD 5.1.0: a row for each of {rows:.0f} nodes | {cpu_us:.0f} | {size:.0f} |", flush=True)


def _read(store: Store) -> None:
    print("\n| read | median ms | of which CPU | |\n|:--|--:|--:|:--|")
    last_s = time.time_ns() // 1_000_000_000 // 86_400 * 86_400 + 86_400
    newest = profiles(store, 1, (0, last_s * 1_000_000), limit=1)[0]

    def show(name: str, read: Callable[[], object], about: str = "") -> None:
        took = []
        for _ in range(7):
            began = time.perf_counter(), time.process_time()
            read()
            took.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        wall, cpu = (sorted(column)[3] * 1000 for column in zip(*took, strict=True))
        print(f"| {name} | {wall:.0f} | {cpu:.0f} | {about} |", flush=True)

    tree = grouped(store, [1], 0, last_s)
    about = f"{tree.n:,} profiles, {len(tree.nodes):,} nodes"
    show("grouped view, all days", lambda: grouped(store, [1], 0, last_s), about)
    show("flame graph over all endpoints", lambda: by_endpoint(store, 0, last_s))
    show("the newest 100, one by one", lambda: recent(store, 1, 100))
    show("one request", lambda: profile_of(store, 1, newest.ts_us, newest.span_id))


if __name__ == "__main__":
    main()
