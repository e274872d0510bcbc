"""For the people who run the shop."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from flask import Blueprint, Response, render_template, stream_with_context

from shop import database
from shop.accounts import admin_only

if TYPE_CHECKING:
    from collections.abc import Iterator

bp = Blueprint("admin", __name__, url_prefix="/admin")

_ROWS_PER_CHUNK = 25


@bp.get("/")
@admin_only
def dashboard() -> str:
    """Show what sells."""
    found = database.ask("SELECT * FROM customer_order ORDER BY id DESC LIMIT 50")
    return render_template("orders.html", title="All orders", orders=found)


@bp.get("/report.csv")
@admin_only
def report() -> Response:
    """Stream the stock list as CSV: the response goes on long after its headers."""
    return Response(stream_with_context(_report_lines()), mimetype="text/csv")


def _report_lines() -> Iterator[str]:
    yield _csv_lines([("id", "category", "name", "price_cents")])
    for first in range(1, database.PRODUCT_COUNT + 1, _ROWS_PER_CHUNK):
        rows = database.ask(
            "SELECT id, category, name, price_cents FROM product WHERE id >= ? ORDER BY id LIMIT ?",
            first,
            _ROWS_PER_CHUNK,
        )
        yield _csv_lines([tuple(row) for row in rows])


def _csv_lines(rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
