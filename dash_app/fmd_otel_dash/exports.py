"""Tables as CSV: all rows, range and filters of the address, and nothing that a spreadsheet would execute."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from fmd_otel_dash import urlstate
from fmd_otel_dash.auth import gate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.router import Router
    from fmd_otel_dash.surroundings import FlaskSurroundings
    from fmd_otel_dash.view import View

_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_BOM = "\ufeff"
"""Tells spreadsheets that it is UTF-8."""
_TYPES = {"html": "text/html", "md": "text/markdown", "json": "application/json"}
_NAMES = {"endpoints": "overview"}
"""Tables that have a name of their own beside that of their page."""


def blueprint(surroundings: FlaskSurroundings, router: Router) -> Blueprint:
    """Return the route of all tables: that of a page is at ``/export`` plus its path plus ``.csv``."""
    routes = Blueprint("exports", __name__, url_prefix="/export")

    @routes.get("/<path:path>.csv")
    def table(path: str) -> Response:
        path = f"/{_NAMES.get(path, path)}"
        found = router.resolve(path).page
        if found.table is None:
            raise NotFound(f"There is no table named {path}.csv")
        gate.require(found.role)
        state = urlstate.parse(request.query_string.decode("utf-8", "replace"))
        view = surroundings.view_of(path, state, browser_tz=request.args.get("btz", ""))
        return csv_response(found.table.name, view, found.table.columns, found.table.rows(view))

    @routes.get("/<path:path>.<any(html, md, json):kind>")
    def file(path: str, kind: str) -> Response:
        path = f"/{path}"
        found = router.resolve(path).page
        if kind not in found.files:
            raise NotFound(f"There is no file named {path}.{kind}")
        gate.require(found.role)
        state = urlstate.parse(request.query_string.decode("utf-8", "replace"))
        view = surroundings.view_of(path, state, browser_tz=request.args.get("btz", ""))
        answer = Response(found.files[kind](view), mimetype=_TYPES[kind])
        _named(answer, path.strip("/"), view, kind)
        return answer

    return routes


def csv_response(name: str, view: View, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """Return a CSV download whose name says what it is, and of which range."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([safe(value) for value in row] for row in rows)
    answer = Response(_BOM + text.getvalue(), mimetype="text/csv")
    _named(answer, name, view, "csv")
    return answer


def _named(answer: Response, name: str, view: View, kind: str) -> None:
    """Name a download after what it is, and of which range."""
    start, end = (
        datetime.fromtimestamp(us // 1_000_000, timezone.utc).strftime("%Y%m%dT%H%MZ")
        for us in (view.window.start_us, view.window.end_us)
    )
    file_name = "_".join([re.sub(r"[^\w.-]+", "-", name), start, end])
    answer.headers["Content-Disposition"] = f'attachment; filename="{file_name}.{kind}"'


def safe(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    if isinstance(value, str) and (value.startswith(_DANGEROUS) or value.lstrip().startswith(_DANGEROUS)):
        return "'" + value
    return value
