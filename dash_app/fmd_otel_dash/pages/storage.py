"""Storage: what the database holds and will hold, who writes to it, and its upkeep. For admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.badge import health_of
from fmd_otel_dash.components import card, empty, graph, kpi_row, page
from fmd_otel_dash.components.storage import noted_kpi, reasons, share_rows
from fmd_otel_dash.figures import storage as draw
from fmd_otel_dash.pages import storage_processes, storage_retention, storage_upkeep
from fmd_otel_dash.queries.growth import Growth, Projection, growth, project
from fmd_otel_dash.queries.processes import facts
from fmd_otel_dash.queries.storage import Storage, storage
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_exporter.errors import safe_url
from fmd_otel_exporter.schema import DAY_S
from fmd_otel_exporter.settings import absolute_url

if TYPE_CHECKING:
    from fmd_otel_dash.queries.storage import StoredTable
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

HEALTH, NUMBERS, SIZE, TABLES = "storage-health", "storage-numbers", "storage-size", "storage-tables"
RETENTION, PROCESSES, SPOOL, VERSIONS = (
    "storage-retention", "storage-processes", "storage-spool", "storage-versions",
)  # fmt: skip
_DAY_US = DAY_S * 1_000_000
_SMALL = 0.01
_NOTICEABLE_US = 5_000_000
_MOST_TABLES = 8


def layout(view: View) -> Any:
    """Return the page without data."""
    where = html.Span(safe_url(absolute_url(view.settings.database)), className="fmd-mono")
    return page(
        "Storage",
        card(HEALTH, kind="text", height=0, plain=True),
        card(NUMBERS, kind="kpi", height=98, plain=True),
        card(SIZE, "Size, and where it leads", height=340, span=7),
        card(TABLES, "What takes the room", kind="table", height=340, span=5),
        card(RETENTION, "What is kept", subtitle="Settings in force", kind="table", height=200, span=7),
        storage_upkeep.layout(span=5),
        card(
            PROCESSES,
            "Processes",
            subtitle="Applications and others that have been heard from within a day",
            kind="table",
            height=160,
        ),
        card(
            SPOOL,
            "Spool",
            subtitle="Requests that are safe on disk, and not yet in the database",
            kind="table",
            height=140,
            span=7,
        ),
        card(VERSIONS, "Versions", kind="table", height=140, span=5),
        subtitle=where,
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(HEALTH, role=ADMIN)
    def health(view: View) -> Any:
        return reasons(health_of(view)) or None

    @registry.card(NUMBERS, role=ADMIN)
    def numbers(view: View) -> Any:
        return _numbers(view, _found(view))

    @registry.card(SIZE, role=ADMIN)
    def size(view: View) -> Any:
        found = _found(view)
        if not found.raw_rows:
            return empty(
                "Nothing recorded yet", "The first requests bring the first figures.", symbol="chart"
            )
        ahead = _ahead(view, found)[1]
        return html.Div(
            [
                graph(draw.size(found, ahead), name="storage-size", height=210, label="Size over time"),
                html.Div("Requests a day", className="fmd-kpi-label"),
                graph(draw.requests_a_day(found), name="storage-days", height=112, label="Requests a day"),
            ]
        )

    @registry.card(TABLES, role=ADMIN)
    def tables(view: View) -> Any:
        return _tables(view, _found(view))

    @registry.card(RETENTION, role=ADMIN)
    def retention(view: View) -> Any:
        return storage_retention.retention(view, _found(view), view.query(facts))

    @registry.card(PROCESSES, role=ADMIN)
    def processes(view: View) -> Any:
        return storage_processes.processes(view.query(facts))

    @registry.card(SPOOL, role=ADMIN)
    def spool(view: View) -> Any:
        return storage_processes.spool(view, view.query(facts))

    @registry.card(VERSIONS, role=ADMIN)
    def versions(view: View) -> Any:
        return storage_processes.versions(view.query(facts), _found(view).product)

    storage_upkeep.register(registry, refresh=(NUMBERS, SIZE, TABLES, RETENTION))


def _found(view: View) -> Storage:
    return view.query(storage, view.now_us)


def _ahead(view: View, found: Storage) -> tuple[Growth | None, Projection | None]:
    first = found.days[0].toordinal()
    history = [(day.toordinal(), size) for day, size in found.history if day.toordinal() >= first]
    grows = growth(history, found.requests_per_day, found.bytes_per_request)
    if grows is None or found.total_bytes is None:
        return grows, None
    (raw_days, *_), _ = storage_retention.in_force(view, view.query(facts))
    oldest_us = found.oldest.raw_us
    kept = 0.0 if oldest_us is None else (view.now_us - oldest_us) / _DAY_US
    return grows, project(
        found.total_bytes,
        grows.per_day_bytes,
        raw_days=raw_days,
        kept_days=kept,
        disk_free_bytes=found.disk_free_bytes,
    )


def _numbers(view: View, found: Storage) -> Any:
    grows, ahead = _ahead(view, found)
    each = "none yet"
    if found.raw_rows:
        each = f"{formatting.size(found.bytes_per_request)} each · {_rate(found.rate_per_s)}"
    return kpi_row(
        [
            noted_kpi(
                "Size",
                formatting.size(found.total_bytes),
                f"and {formatting.size(found.log_bytes)} of log" if found.log_bytes else "tables and indexes",
                "The file, or all tables of fmd-otel with their indexes; a log comes and goes",
            ),
            noted_kpi(
                "Requests kept",
                formatting.count(found.raw_rows),
                each,
                "One by one; older ones live on in sums. The rate is that of the last hour",
            ),
            noted_kpi(
                "Growth a day",
                _signed(grows),
                _basis(found, grows),
                "Measured over the last two weeks, or else requests a day times what one takes",
            ),
            noted_kpi(
                "In 30 days",
                formatting.size(ahead.sizes[-1]) if ahead else formatting.NONE,
                _outlook(ahead),
                "If traffic stays as it is and nobody changes what is kept",
            ),
        ]
    )


def _rate(per_s: float) -> str:
    """Return how many come now: by the second, or by as much as it takes for a number to be seen."""
    for seconds, unit in ((1, "s"), (60, "min")):
        if per_s * seconds >= 1:
            return f"{formatting.count(round(per_s * seconds))} a {unit}"
    return f"{formatting.count(round(per_s * 3600))} in the last hour"


def _signed(grows: Growth | None) -> str:
    if grows is None:
        return formatting.NONE
    sign = "−" if grows.per_day_bytes < 0 else "+"  # noqa: RUF001 # a minus, not a hyphen
    return f"{sign}{formatting.size(abs(grows.per_day_bytes))}"


def _basis(found: Storage, grows: Growth | None) -> str:
    if grows is None:
        return "no traffic yet"
    rate = f"{formatting.count(found.requests_per_day)} requests a day"
    return f"measured · {rate}" if grows.measured else f"estimated · {rate}"


def _outlook(ahead: Projection | None) -> str:
    if ahead is None:
        return "nothing to go by yet"
    if ahead.full_days is not None:
        return f"disk full in {ahead.full_days} d"
    if ahead.levels_off_days is None:
        return "grows for ever: nothing is deleted"
    if ahead.levels_off_days == 0:
        return "level: as much goes as comes"
    return f"levels off in {ahead.levels_off_days} d"


def _rows(table: StoredTable) -> str:
    if table.rows is None:
        return ""
    about = "about " if table.estimated else ""
    return f"{about}{formatting.count(table.rows)} row{'' if table.rows == 1 else 's'}"


def _tables(view: View, found: Storage) -> Any:
    total = sum(table.size_bytes or 0 for table in found.tables) or 1
    large = [one for one in found.tables if one.rows != 0 and (one.size_bytes or 0) / total >= _SMALL]
    large = large[:_MOST_TABLES]
    rows = [
        (
            one.label,
            _rows(one),
            formatting.size(one.size_bytes),
            (one.size_bytes or 0) / total,
        )
        for one in large
    ]
    rest = [one for one in found.tables if one not in large]
    rest_bytes = sum(one.size_bytes or 0 for one in rest)
    if rest:
        rows.append((f"{len(rest)} small tables", "", formatting.size(rest_bytes), rest_bytes / total))
    note = "Sizes and rows are estimates: to count them would mean to read them." if any(
        one.estimated for one in found.tables
    ) else "Sizes include indexes."  # fmt: skip
    notes = [note]
    if view.now_us - found.measured_us >= _NOTICEABLE_US:
        notes.append(f"Measured {formatting.ago(found.measured_us, view.now_us)}.")
    if found.reusable_bytes:
        notes.append(f"{formatting.size(found.reusable_bytes)} of deleted rows wait to be filled again.")
    if found.disk_free_bytes is not None:
        notes.append(f"{formatting.size(found.disk_free_bytes)} are free on the disk.")
    return html.Div([share_rows(rows), html.Div(" ".join(notes), className="fmd-caption")])


PAGE = Page(
    path="/storage",
    aliases=("/database_management",),
    title="Storage",
    layout=layout,
    register=register,
    role=ADMIN,
    icon="database",
)
