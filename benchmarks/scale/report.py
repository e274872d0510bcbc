"""The figures as tables, for a terminal and for docs/performance.md alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.scale import targets
from benchmarks.scale.places import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.scale.pages import PageTook
    from benchmarks.scale.views import Took
    from benchmarks.scale.writers import Cost, Race

HEAD = """# Performance

The tables up to *Reading the figures* are what `python -m benchmarks.scale` printed. What monitoring adds to
a request is measured by `make bench`.
"""
FOOT = """
## Reading the figures

- Times are medians of several runs on a warm cache, without the dashboard's own cache of a few seconds. CPU
  time is that of the process that asks; a server's own is in the wall time only.
- The made-up application has 40 endpoints, of which the busiest gets a quarter of all requests, 12 versions,
  5,000 users and 20,000 addresses; "Endpoint" is the busiest one. Ranges are the last 30 days, which is
  everything.
- Charts are answered from sums by the quarter of an hour, hour and day, whose number does not grow with the
  requests. What does grow is what is read one by one: of the hour in which a range begins the smaller part,
  of that in which it ends its requests if there are later ones, for users and addresses up to a day at either
  end, and lists of requests.
- What hours and days that are over come to is remembered by the process that was asked (latency buckets, and
  requests of users and addresses), in bounded memory, for as long as nothing is added to them. "First look"
  is without that: what it takes when a dashboard has just started, or a day has ended.
"""


def machine(*, cores: int, python: str, databases: Sequence[str], load: str) -> str:
    """Say what was measured on."""
    return (
        f"Machine: {cores} virtual cores, Python {python}, {', '.join(databases)}, all on one machine. "
        f"Load when it began: {load}."
    )


def queries(found: Mapping[tuple[str, int], Mapping[str, Took]], sizes: Sequence[int]) -> str:
    """Return how long each view's question takes, on each database and size."""
    products = list(dict.fromkeys(product for product, _ in found))
    columns = [
        cell
        for product in products
        for cell in (
            *(f"{product} {short(size)}" for size in sizes),
            *(["×"] if len(sizes) > 1 else []),
            "first look",
            "target",
        )
    ]
    lines = [
        "## Questions behind the views",
        "",
        "Milliseconds, wall (CPU), and how many times as long the larger one takes; of the larger one also",
        "the first look, when the process that asks remembers nothing.",
        "",
        "The target is for wall time at ten million requests, however busy the machine is; PostgreSQL may",
        "take half as long again as SQLite. What is answered from sums must not take more than twice as",
        "long for ten times the requests.",
        "",
    ]
    lines += _head(["view", *columns])
    for view in found[products[0], sizes[0]]:
        cells = []
        for product in products:
            took: list[Took] = [found[product, size][view] for size in sizes]
            cells += [f"{each.wall_ms:.0f} ({each.cpu_ms:.0f})" for each in took]
            if len(sizes) > 1:
                cells.append(f"{took[-1].wall_ms / took[0].wall_ms:.1f}")
            cells.append(f"{took[-1].first_ms:.0f}")
            smaller = took[0] if sizes[-1] == 10 * sizes[0] else None
            cells.append(targets.of_question(product, view, took[-1], sizes[-1], smaller))
        lines.append(_row([view, *cells]))
    return "\n".join(lines)


def pages(found: Mapping[str, PageTook], rows: int) -> str:
    """Return what each page costs the dashboard's server."""
    lines = [
        f"## Pages, {short(rows)} requests on SQLite" if rows else "## Pages",
        "",
        "All cards of a page, one after the other, as the browser asks for them.",
        "",
        *_head(
            [
                "page",
                "cards",
                "CPU ms",
                "wall ms",
                "slowest card, CPU ms",
                "first look, CPU ms",
                "largest, kB",
                "target: CPU, verdict",
            ]
        ),
    ]
    for path, took in found.items():
        cells = (took.cards, f"{took.cpu_ms:.0f}", f"{took.wall_ms:.0f}", took.slowest)
        more = (f"{took.first_ms:.0f}", f"{took.largest / 1000:.0f}", targets.page(took.cpu_ms))
        lines.append(_row([f"`{path}`", *map(str, cells), *more]))
    return "\n".join(lines)


def sizes(found: Mapping[str, Mapping[str, int]], rows: int) -> str:
    """Return the bytes that a request takes, table by table."""
    tables = list(next(iter(found.values())))
    lines = ["## Bytes a request", "", f"With {short(rows)} requests of 30 days, indexes included.", ""]
    lines += _head(["database", *tables, "together", "target"])
    for product, by_table in found.items():
        cells = [f"{by_table[table] / rows:.1f}" for table in tables]
        together = sum(by_table.values()) / rows
        verdict = targets.of_size(product, by_table["request"] / rows)
        lines.append(_row([product, *cells, f"{together:.1f}", verdict]))
    return "\n".join(lines)


def writing(costs: Mapping[str, Cost], race: Race, rows: int) -> str:
    """Return what writing a request costs."""
    lines = [
        "## Writing",
        "",
        f"{rows:,} requests in batches of 512, each a transaction with all its sums; of users met before.",
        "",
    ]
    lines += _head(
        ["database", "CPU µs a request: client", "server", "together", "requests a second", "target"]
    )
    for product, cost in costs.items():
        lines.append(
            _row(
                [
                    product,
                    f"{cost.client_us:.1f}",
                    f"{cost.server_us:.1f}",
                    f"{cost.client_us + cost.server_us:.1f}",
                    f"{cost.a_second:,.0f}",
                    targets.of_writing(product, cost),
                ]
            )
        )
    lines += [
        "",
        (
            f"Four processes at once on one SQLite file: {race.rows:,} requests, {race.a_second:,.0f} a "
            f"second, {race.errors} errors surfaced, sums {'exact' if race.exact else 'WRONG'}."
        ),
    ]
    return "\n".join(lines)


def beside_fmd(rows: int, fmd: Mapping[str, Any], cost: Cost, ours: tuple[float, float], took: Took) -> str:
    """Return the same of Flask-MonitoringDashboard's own code, on fewer requests."""
    written = fmd["write"]
    first, again = fmd["overview_s"]
    return "\n".join(
        [
            "## Beside Flask-MonitoringDashboard 5.1.0",
            "",
            (
                "Its own storage code and Overview, SQLite as it sets it up, on the same requests; fewer of "
                f"them, since it takes long: {written['rows']:,} written one by one, as it does, and an "
                f"Overview of {rows:,}."
            ),
            "",
            *_head(["", "FMD", "fmd-otel", "×"]),
            _row(
                [
                    "CPU µs to store a request",
                    f"{written['cpu_us']:,.0f}",
                    f"{cost.client_us:.1f}",
                    f"{written['cpu_us'] / cost.client_us:,.0f}",
                ]
            ),
            _row(
                [
                    "bytes a request; ours with all sums, of the largest size",
                    f"{fmd['bytes']:.0f}",
                    f"{ours[0]:.0f}",
                    f"{fmd['bytes'] / ours[0]:.1f}",
                ]
            ),
            _row(
                [
                    "the same without sums of users and addresses, which FMD does not have",
                    f"{fmd['bytes']:.0f}",
                    f"{ours[1]:.0f}",
                    f"{fmd['bytes'] / ours[1]:.1f}",
                ]
            ),
            _row(
                [
                    "Overview, ms (first, second)",
                    f"{first * 1000:,.0f}, {again * 1000:,.0f}",
                    f"{took.wall_ms:.0f}",
                    f"{again * 1000 / took.wall_ms:,.0f}",
                ]
            ),
        ]
    )


def _head(names: Sequence[str]) -> list[str]:
    return [_row(names), f"|---|{'--:|' * (len(names) - 1)}"]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
