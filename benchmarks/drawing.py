"""How long the flame graph of 10,000 frames takes to draw, in Chromium, as the dashboard draws it.

python -m benchmarks.drawing
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

from benchmarks.overview.dashboard import Dashboard
from benchmarks.profiles.__main__ import made
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

FRAMES = 10_000
TARGET_MS = 50.0
DRAW = """
times => {
    const levels = 16, each = 625, depth = [], frame = [], own = [];
    for (let k = 0; k < each; k++) {
        for (let d = 0; d < levels; d++) {
            depth.push(d);
            frame.push((k * 7 + d) % 50);
            own.push(d === levels - 1 ? 1000 : 0);
        }
    }
    const frames = Array.from({length: 50}, (_, i) => ["function_" + i, "file.py", i, "text", 0]);
    const zeros = own.map(() => 0);
    const explorer = document.querySelector('.fmd-profile').fmdExplorer;
    explorer.load({kind: "profile", n: 1, nBefore: 0, leftOut: 0, groups: ["your code"], frames, depth,
        frame, self: own, cpu: zeros, hits: zeros, title: "large", editor: ""});
    const ms = [];
    for (let n = 0; n < times; n++) {
        explorer.graph.draw();
        ms.push(explorer.graph.ms);
    }
    return {bars: explorer.graph.bars, ms};
}
"""
"""Loads a profile of 10,000 frames into the page's, draws it so often, and returns what each time took."""
_CHROMIUM = "/usr/bin/chromium"
_FLAGS = ("--no-sandbox", "--disable-gpu")


def main() -> None:
    """Run the benchmark from the command line."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder:
        database = f"sqlite:///{folder}/bench.db"
        endpoint = _fill(database)
        with Dashboard(database, Path(folder)) as dashboard:
            found = _draw(dashboard, f"endpoint/{endpoint}/grouped-profiler?from=now-7d", options.times)
    print("| frames drawn | first time, ms | again, median (quartiles), ms | slowest, ms | target, ms |")
    print("|--:|--:|--:|--:|--:|")
    for bars, ms in found:
        again = ms[1:]
        low, middle, high = quantiles(again, n=4)
        usual = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        print(f"| {bars:,} | {ms[0]:.1f} | {usual} | {max(ms):.1f} | {TARGET_MS:g} |")
    sys.exit(median(found[-1][1]) > TARGET_MS)


def _fill(database: str) -> int:
    """Store a few profiles, so that there is a page to draw on, and return its endpoint."""
    store = open_store(database)
    profiles = list(islice(made(50, 1), 50))
    requests = [
        RequestRecord(one.service, one.endpoint, one.ts_us, one.span_id, one.trace_id, one.duration_us, 200,
                      "GET", one.version)
        for one in profiles
    ]  # fmt: skip
    Writer(store).write(requests)
    DetailWriter(store).write(profiles)
    with store.read() as connection:
        number: int = connection.execute(store.tables.endpoint.select()).one().id
    store.dispose()
    return number


def _draw(dashboard: Dashboard, path: str, times: int) -> list[tuple[int, list[float]]]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 # of the tests' group

    with sync_playwright() as playwright:
        executable = _CHROMIUM if Path(_CHROMIUM).exists() else None
        browser = playwright.chromium.launch(executable_path=executable, args=list(_FLAGS))
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(f"{dashboard.url}login")
        page.fill("[name=username]", dashboard.username)
        page.fill("[name=password]", dashboard.password)
        page.press("[name=password]", "Enter")
        page.wait_for_load_state("networkidle")
        page.goto(f"{dashboard.url}{path}")
        page.wait_for_selector(".fmd-profile canvas.fmd-flame")
        time.sleep(1)  # what else the page has to draw
        drawn = page.evaluate(DRAW, times)
        browser.close()
    return [(int(drawn["bars"]), [float(each) for each in drawn["ms"]])]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drawing", description=__doc__)
    parser.add_argument("--times", type=int, default=51, help="(default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
