"""A line of the endpoints table, as the grid wants it: numbers to sort by, and the text to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components.forms import send_button
from fmd_otel_dash.figures.boxes import change_text
from fmd_otel_dash.pages.drill import row_hrefs
from fmd_otel_dash.queries.overview import overview_of
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.tables import Table, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.queries.overview import EndpointRow
    from fmd_otel_dash.view import View

LEVELS = {
    0: "only counts requests and remembers the last one",
    1: "records duration, time, version, user and IP of every request",
    2: "also records outliers in detail",
    3: "also profiles every request",
}


def row(view: View, each: EndpointRow, *, with_service: bool = False) -> dict[str, Any]:
    """Return one line; the service is named where there are several."""
    endpoint = each.endpoint
    delta = formatting.measured_change(each.change) if each.change else None
    return {
        "id": str(endpoint.id),
        "name": endpoint.name,
        "service": endpoint.service,
        "tag": endpoint.service if with_service else "",
        "route": endpoint.route or "",
        "href": view.href(f"/endpoint/{endpoint.id}"),
        **row_hrefs(view, endpoint, each.p95_us),
        "color": endpoint_color(endpoint.name, view.settings.colors),
        "level": endpoint.level,
        "today": each.n_today,
        "week": each.n_week,
        "n": each.n,
        "errors": None if each.error_rate is None else round(each.error_rate, 6),
        "errorsText": formatting.percent(each.error_rate),
        "clientErrors": each.client_errors,
        "p50": _rounded(each.p50_us),
        "p50Text": formatting.duration(each.p50_us),
        "p95": _rounded(each.p95_us),
        "p95Text": formatting.duration(each.p95_us),
        "p99": _rounded(each.p99_us),
        "p99Text": formatting.duration(each.p99_us),
        "change": round(each.change.ratio, 4) if each.change and delta and delta.arrow else None,
        "changeText": f"{delta.arrow} {delta.text}".strip() if delta else formatting.NONE,
        "changeTone": delta.tone if delta else "neutral",
        "changeHint": change_text(each.change, "before"),
        "share": round(each.time_share, 5),
        "shareText": formatting.percent(each.time_share),
        "spark": [round(rate, 1) for rate in each.sparkline] if each.n else [],
        "last": endpoint.last_us or 0,
        "lastText": formatting.ago(endpoint.last_us, view.now_us),
    }


def table_rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the lines of the CSV file: those whose text matches the filter."""
    found = view.query(overview_of, view.scope, view.pairs, view.now_us)
    words = view.state.get("q").casefold().split()
    for each in found.endpoints:
        endpoint = each.endpoint
        text = f"{endpoint.name} {endpoint.service} {endpoint.route or ''}".casefold()
        if all(word in text for word in words):
            yield _table_row(view, each)


def _table_row(view: View, each: EndpointRow) -> Sequence[Any]:
    endpoint = each.endpoint
    last = "" if endpoint.last_us is None else local_time(endpoint.last_us, view.scope.zone).isoformat()
    return (
        endpoint.service, endpoint.name, endpoint.route or "", endpoint.methods or "", endpoint.level,
        each.n_today, each.n_week, each.n, each.errors, each.client_errors,
        milliseconds(each.p50_us), milliseconds(each.p95_us), milliseconds(each.p99_us),
        milliseconds(each.change.before_us if each.change else None), round(each.time_share, 6), last,
    )  # fmt: skip


def level_notice(name: str, endpoint_id: int, level: int, before: Any) -> Any:
    """Return what is said after a level was changed, with a way back."""
    text = f"{name} is now at monitor level {level}: it {LEVELS[level]}."
    if before == level or before not in LEVELS:
        return text
    back = {"id": endpoint_id, "level": before, "before": level, "name": name}
    return [html.Span(text), send_button("Undo", "level-wanted", back, look="fmd-link-button")]


def _rounded(us: float | None) -> int | None:
    return None if us is None else round(us)


TABLE = Table(
    "endpoints",
    (
        "service", "endpoint", "route", "methods", "monitor_level", "hits_today", "hits_7_days", "hits",
        "errors_5xx", "errors_4xx", "p50_ms", "p95_ms", "p99_ms", "p95_before_ms", "time_spent_share",
        "last_requested",
    ),
    table_rows,
)  # fmt: skip
