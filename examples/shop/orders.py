"""From a full cart to an order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from flask import Blueprint, abort, current_app, redirect, render_template, session, url_for

from shop import cart, database, payments
from shop.accounts import current_username

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from shop.releases import Release

bp = Blueprint("orders", __name__)


@bp.post("/checkout")
def checkout() -> Response:
    """Charge the customer and keep the order."""
    total_cents = sum(row["price_cents"] * count for row, count in cart.lines())
    if not total_cents:
        abort(400, "The cart is empty.")
    running: Release = current_app.config["RELEASE"]
    payments.charge(total_cents, current_app.config["PAYMENTS"], running.payment_retries)
    number = database.insert(
        "INSERT INTO customer_order (username, total_cents, created) VALUES (?, ?, ?)",
        current_username(),
        total_cents,
        time.time(),
    )
    session.pop("cart", None)
    return redirect(url_for(".detail", number=number))


@bp.get("/orders")
def history() -> str:
    """List the customer's last orders."""
    found = database.ask(
        "SELECT * FROM customer_order WHERE username = ? ORDER BY id DESC LIMIT 20", current_username()
    )
    return render_template("orders.html", title="Your orders", orders=found)


@bp.get("/orders/<int:number>")
def detail(number: int) -> str:
    """Show one order to the customer it belongs to."""
    found = database.ask(
        "SELECT * FROM customer_order WHERE id = ? AND username = ?", number, current_username()
    )
    if not found:
        abort(404)
    return render_template("orders.html", title=f"Order {number}", orders=found)
