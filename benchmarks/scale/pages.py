"""Every page as the dashboard answers it: the server's time for all its cards, through its application.

Each card is asked as the browser asks it, one after the other, with a serial of its own, so that no answer is
one of a moment ago. What the process remembers of days and hours that are over stays, as it does in one that
runs; the first look is without it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from werkzeug.test import Client

from benchmarks.scale.places import load
from benchmarks.scale.report import pages
from fmd_otel_dash.auth import passwords, sessions, users
from fmd_otel_dash.auth.identity import COOKIE
from fmd_otel_dash.factory import Dashboard
from fmd_otel_dash.pages import PAGES
from fmd_otel_dash.queries import latency, requestshapes, series, subject_ranks, tablesizes
from fmd_otel_dash.services import Services
from fmd_otel_dash.settings import DashboardSettings
from fmd_otel_exporter.graphs import add_values, register_graph
from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmd_otel_exporter.store import Store

MONTH = "?from=now-30d&to=now"
NAME = "benchmark"
GRAPHS = 12
_DAY_US = 86_400_000_000
_STEP_US = 300_000_000


@dataclass(frozen=True)
class PageTook:
    """What a page costs the server, in milliseconds."""

    cards: int
    wall_ms: float
    cpu_ms: float
    slowest: str
    """The card that takes longest, and how long."""
    first_ms: float
    """CPU time of the first look, for which nothing was remembered."""
    largest: int
    """Bytes of its largest answer."""


class Asked:
    """A dashboard on a database, and somebody signed in."""

    def __init__(self, store: Store) -> None:
        self._dashboard = Dashboard(Services(DashboardSettings(database=store.url), store=store))
        self._client = Client(self._dashboard.wsgi)
        self._serial = 0
        with store.write() as connection:
            found = users.find(connection, store.tables, NAME)
            if found is None:
                users.add(connection, store.tables, NAME, passwords.hashed("benchmark-only"), "admin")
                found = users.find(connection, store.tables, NAME)
            if found is None:
                raise SystemExit("nobody can sign in")
            token = sessions.start(connection, store.tables, found.user.id)
        self._client.set_cookie(COOKIE, token, path="/dashboard")

    def cards_of(self, path: str) -> list[str]:
        """Return the outputs of a page's cards, as its layout names them."""
        output = next(each for each in self._dashboard.dash.callback_map if "page.children" in each)
        text = self._send(output, path, "route")
        known = (each["output"] for each in self._dashboard.dash._callback_list)  # noqa: SLF001 # as Dash's page
        return [each for each in known if each.endswith("-body.children") and f'"{each[:-9]}"' in text]

    def refresh(self) -> None:
        """Let the next answers be fresh ones."""
        self._serial += 1

    def ask(self, output: str, path: str) -> int:
        """Ask for a card; return how many bytes the answer has."""
        return len(self._send(output, path, "view"))

    def _send(self, output: str, path: str, trigger: str) -> str:
        spec = next(each for each in self._dashboard.dash._callback_list if each["output"] == output)  # noqa: SLF001 # as above
        data = {"path": f"/dashboard{path}", "search": MONTH, "tz": "UTC", "serial": self._serial}

        def filled(each: dict[str, Any]) -> dict[str, Any]:
            return {**each, "value": data if each["id"] in ("view", "route") else None}

        body = {
            "output": output,
            "outputs": _outputs(output),
            "inputs": [filled(each) for each in spec["inputs"]],
            "state": [filled(each) for each in spec["state"]],
            "changedPropIds": [f"{trigger}.data"],
        }
        answer = self._client.post("/dashboard/_dash-update-component", json=body)
        text: str = answer.get_data(as_text=True)
        if answer.status_code != 200 or "fmd-failure" in text:  # noqa: PLR2004
            raise SystemExit(f"{path}, {output}: {answer.status} {text[:300]}")
        return text


def ask(store: Store, runs: int) -> dict[str, PageTook]:
    """Ask for every page of the last 30 days; of each the median of so many times, after the first look."""
    _draw_graphs(store)
    asked = Asked(store)
    return {path: _time(asked, filled, runs) for path, filled in paths(store)}


def paths(store: Store) -> Iterator[tuple[str, str]]:
    """Yield each page's path, and its address: of the busiest endpoint, and the newest of what it shows."""
    tables, hits = store.tables, store.tables.hits_day.c
    shown = {
        "outlier": tables.outlier,
        "request": tables.outlier,
        "exception": tables.exception_occurrence,
    }
    with store.read() as connection:
        n = func.sum(hits.n).desc()
        busiest = connection.scalar(select(hits.endpoint_id).group_by(hits.endpoint_id).order_by(n).limit(1))
        graph = connection.scalar(select(func.min(tables.custom_graph.c.id)))
        for page in PAGES:
            table = shown.get(page.path.split("/")[1], tables.profile)
            found = connection.execute(select(table).order_by(table.c.ts.desc()).limit(1)).mappings().first()
            if found is None and ("<key>" in page.path or "<group_id>" in page.path):
                continue
            newest: Any = found or {}
            endpoint_id = newest["endpoint_id"] if "<key>" in page.path else busiest
            path = page.path.replace("<int:endpoint_id>", str(endpoint_id)).replace("<graph_id>", str(graph))
            if "<key>" in path:
                path = path.replace("<key>", f"{newest['ts']}-{endpoint_id}-{newest['span_id'].hex()}")
            yield page.path, path.replace("<group_id>", str(newest.get("group_id")))


def _time(asked: Asked, path: str, runs: int) -> PageTook:
    cards = asked.cards_of(path)
    for module in (latency, requestshapes, series, subject_ranks, tablesizes):
        module._REMEMBERED.clear()  # noqa: SLF001 # nobody else forgets
    times: dict[str, list[float]] = {card: [] for card in cards}
    totals: list[tuple[float, float]] = []
    largest = 0
    for _ in range(runs + 1):
        asked.refresh()
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        for card in cards:
            began_ns = time.process_time_ns()
            largest = max(largest, asked.ask(card, path))
            times[card].append((time.process_time_ns() - began_ns) / 1e6)
        totals.append(
            ((time.perf_counter_ns() - wall_ns) / 1e6, (time.process_time_ns() - cpu_ns) / 1e6),
        )
    first, *warm = totals
    costs = {card.removesuffix("-body.children"): median(took[1:]) for card, took in times.items()}
    slowest = max(costs, key=lambda card: costs[card], default="")
    return PageTook(
        cards=len(cards),
        wall_ms=median(wall for wall, _ in warm),
        cpu_ms=median(cpu for _, cpu in warm),
        slowest=f"{slowest} {costs[slowest]:.0f}" if slowest else "–",
        first_ms=first[1],
        largest=largest,
    )


def _draw_graphs(store: Store) -> None:
    """Let there be custom graphs, of a month of values."""
    with store.read() as connection:
        end_us = connection.scalar(select(func.max(store.tables.request.c.ts))) or 0
        there = connection.scalar(select(func.count()).select_from(store.tables.custom_graph)) or 0
    for number in range(there, GRAPHS):
        graph = register_graph(store, "synthetic", f"Graph {number}", "interval[0:05:00]", now_us=end_us)
        moments = range(end_us - 30 * _DAY_US, end_us, _STEP_US)
        add_values(store, graph, [(ts_us, float(place % 97)) for place, ts_us in enumerate(moments)])


def _outputs(output: str) -> Any:
    if not output.startswith(".."):
        name, _, prop = output.rpartition(".")
        return {"id": name, "property": prop}
    return [_outputs(each) for each in output.strip(".").split("...")]


def main() -> None:
    """Ask a database that is there already."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.pages", description=__doc__)
    parser.add_argument("database", help="URL of one that fmd-otel generate has filled; it is written to")
    parser.add_argument("--runs", type=int, default=5, help="times that each page is asked for")
    options = parser.parse_args()
    began, store = load(), open_store(options.database)
    print(pages(ask(store, options.runs), 0))
    print(f"\nLoad when it began {began}, when it ended {load()}.")
    store.dispose()


if __name__ == "__main__":
    main()
