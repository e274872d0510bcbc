"""The cart lives in the session cookie: any worker can serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Blueprint, abort, redirect, render_template, session, url_for

from shop import database

if TYPE_CHECKING:
    import sqlite3

    from werkzeug.wrappers import Response

bp = Blueprint("cart", __name__, url_prefix="/cart")

_MOST_LINES = 20


def contents() -> dict[str, int]:
    """Return how many of which product (by number, as text: that is what a cookie keeps)."""
    kept: dict[str, int] = session.get("cart", {})
    return kept


def size() -> int:
    """Return how many things lie in the cart."""
    return sum(contents().values())


def lines() -> list[tuple[sqlite3.Row, int]]:
    """Return the products in the cart, each with its count."""
    found: list[tuple[sqlite3.Row, int]] = []
    for product_id, count in contents().items():
        found.extend(
            (row, count) for row in database.ask("SELECT * FROM product WHERE id = ?", int(product_id))
        )
    return found


@bp.get("")
def show() -> str:
    """Show what was put in."""
    chosen = lines()
    total_cents = sum(row["price_cents"] * count for row, count in chosen)
    return render_template("cart.html", lines=chosen, total_cents=total_cents)


@bp.post("/add/<int:product_id>")
def add(product_id: int) -> Response:
    """Put one more in."""
    if not database.ask("SELECT 1 FROM product WHERE id = ?", product_id):
        abort(404)
    chosen = dict(contents())
    key = str(product_id)
    if key not in chosen and len(chosen) >= _MOST_LINES:
        abort(409, "The cart is full.")
    session["cart"] = {**chosen, key: chosen.get(key, 0) + 1}
    return redirect(url_for(".show"))


@bp.post("/remove/<int:product_id>")
def remove(product_id: int) -> Response:
    """Take a product out, all of it."""
    session["cart"] = {key: count for key, count in contents().items() if key != str(product_id)}
    return redirect(url_for(".show"))
