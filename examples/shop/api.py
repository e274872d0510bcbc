"""What the shop's mobile app talks to: JSON, some of it from asynchronous views."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus
from typing import Any

from flask import Blueprint, abort, current_app, request, url_for

from shop import database
from shop.accounts import current_username

bp = Blueprint("api", __name__, url_prefix="/api")

_WAREHOUSES = {"Rotterdam": 0.012, "Gdansk": 0.018, "Lyon": 0.025}
_STARS = range(1, 6)


@bp.get("/products")
def products() -> dict[str, Any]:
    """List products, a page at a time."""
    offset = max(request.args.get("offset", 0, type=int), 0)
    rows = database.ask("SELECT id, name, price_cents FROM product ORDER BY id LIMIT 50 OFFSET ?", offset)
    return {"products": [dict(row) for row in rows]}


@bp.get("/products/<int:product_id>")
def product(product_id: int) -> dict[str, Any]:
    """Return one product."""
    rows = database.ask("SELECT * FROM product WHERE id = ?", product_id)
    if not rows:
        abort(404)
    return dict(rows[0])


@bp.get("/products/<int:product_id>/stock")
async def stock(product_id: int) -> dict[str, Any]:
    """Ask all warehouses at once how many they have."""
    counts = await asyncio.gather(*(_stock_in(name, product_id) for name in _WAREHOUSES))
    return {"product": product_id, "stock": dict(zip(_WAREHOUSES, counts, strict=True))}


async def _stock_in(warehouse: str, product_id: int) -> int:
    await asyncio.sleep(_WAREHOUSES[warehouse])
    return product_id * len(warehouse) % 23


@bp.post("/products/<int:product_id>/reviews")
def add_review(product_id: int) -> tuple[dict[str, Any], HTTPStatus, dict[str, str]]:
    """Accept a customer's opinion."""
    stars = request.get_json().get("stars")
    if stars not in _STARS:
        abort(422, "stars must be a whole number from 1 to 5")
    # Not kept: a demo that runs for days would make the product pages ever slower.
    location = url_for(".product", product_id=product_id)
    return {"author": current_username(), "stars": stars}, HTTPStatus.CREATED, {"Location": location}


@bp.get("/recommendations")
async def recommendations() -> dict[str, Any]:
    """Recommend a few things while a model elsewhere thinks."""
    await asyncio.sleep(0.03)
    if random.random() < current_app.config["MODEL_DOWN_SHARE"]:
        abort(HTTPStatus.SERVICE_UNAVAILABLE)
    rows = database.ask("SELECT id, name FROM product ORDER BY price_cents DESC LIMIT 5")
    return {"for": current_username(), "products": [dict(row) for row in rows]}
