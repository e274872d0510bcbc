"""Tables as CSV: all rows, the range and filters of the address, and nothing that a spreadsheet would execute."""

from __future__ import annotations

import csv
import io
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request

from fmd_otel_dash import urlstate
from fmd_otel_dash.queries.overview import EndpointRow, overview
from fmd_otel_dash.queries.scope import local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.surroundings import FlaskSurroundings
    from fmd_otel_dash.view import View

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_BOM = "\ufeff"
"""Tells spreadsheets that it is UTF-8."""

ENDPOINT_COLUMNS = (
    "service", "endpoint", "route", "methods", "monitor_level", "hits_today", "hits_7_days", "hits", "errors_5xx",
    "errors_4xx", "p50_ms", "p95_ms", "p99_ms", "p95_before_ms", "time_spent_share", "last_requested",
)  # fmt: skip


def blueprint(surroundings: FlaskSurroundings) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("exports", __name__, url_prefix="/export")

    @routes.get("/endpoints.csv")
    def endpoints() -> Response:
        state = urlstate.parse(request.query_string.decode("utf-8", "replace"))
        view = surroundings.view_of("/overview", state, browser_tz=request.args.get("btz", ""))
        return csv_response("endpoints", view, ENDPOINT_COLUMNS, endpoint_rows(view))

    return routes


def endpoint_rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the lines of the endpoints table whose text matches the filter."""
    found = view.query(overview, view.scope, view.compare, view.now_us)
    words = view.state.get("q").casefold().split()
    for each in found.endpoints:
        endpoint = each.endpoint
        text = f"{endpoint.name} {endpoint.service} {endpoint.route or ''}".casefold()
        if all(word in text for word in words):
            yield _endpoint_row(view, each)


def _endpoint_row(view: View, each: EndpointRow) -> Sequence[Any]:
    endpoint = each.endpoint
    last = "" if endpoint.last_us is None else local_time(endpoint.last_us, view.scope.zone).isoformat()
    return (
        endpoint.service, endpoint.name, endpoint.route or "", endpoint.methods or "", endpoint.level,
        each.n_today, each.n_week, each.n, each.errors, each.client_errors,
        _ms(each.p50_us), _ms(each.p95_us), _ms(each.p99_us),
        _ms(each.change.before_us if each.change else None), round(each.time_share, 6), last,
    )  # fmt: skip


def csv_response(
    name: str, view: View, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Response:
    """Return a CSV download whose name says of which range it is."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([safe(value) for value in row] for row in rows)
    start, end = (
        datetime.fromtimestamp(us // 1_000_000, timezone.utc).strftime("%Y%m%dT%H%MZ")
        for us in (view.window.start_us, view.window.end_us)
    )
    answer = Response(_BOM + text.getvalue(), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}_{start}_{end}.csv"'
    return answer


def safe(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and (value.startswith(_DANGEROUS) or value.lstrip().startswith(_DANGEROUS)):
        return "'" + value
    return value


def _ms(us: float | None) -> float | str:
    return "" if us is None else round(us / 1000, 3)
