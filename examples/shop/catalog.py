"""The pages that most visitors see."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for

from shop import database

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

    from shop.releases import Release

bp = Blueprint("catalog", __name__)

_SHORTEST_SELECTIVE_QUERY = 4
_PER_PAGE = 20


@bp.get("/")
def home() -> str:
    """Show the categories and a few goods."""
    featured = database.ask("SELECT * FROM product ORDER BY id LIMIT 8")
    return render_template("goods.html", title="Welcome", categories=database.CATEGORIES, goods=featured)


@bp.get("/category/<slug>")
def category(slug: str) -> str:
    """List one category, a page at a time."""
    if slug not in database.CATEGORIES:
        abort(404)
    page = max(request.args.get("page", 1, type=int), 1)
    goods = database.ask(
        "SELECT * FROM product WHERE category = ? ORDER BY id LIMIT ? OFFSET ?",
        slug,
        _PER_PAGE,
        (page - 1) * _PER_PAGE,
    )
    return render_template("goods.html", title=database.CATEGORIES[slug], goods=goods)


@bp.get("/product/<int:product_id>")
def product(product_id: int) -> str:
    """Show one product and what customers say of it."""
    found = database.ask("SELECT * FROM product WHERE id = ?", product_id)
    if not found:
        abort(404)
    running: Release = current_app.config["RELEASE"]
    reviews = _reviews_one_by_one(product_id) if running.one_lookup_per_review else _reviews(product_id)
    return render_template("product.html", product=found[0], reviews=reviews)


def _reviews(product_id: int) -> list[Any]:
    return database.ask(
        "SELECT stars, text, username FROM review JOIN account ON account.id = account_id"
        " WHERE product_id = ?",
        product_id,
    )


def _reviews_one_by_one(product_id: int) -> list[Any]:
    """Do what ``_reviews`` does, as release 1.7.0 did it: one more question for every review."""
    found = []
    for row in database.ask("SELECT stars, text, account_id FROM review WHERE product_id = ?", product_id):
        author = database.ask("SELECT username FROM account WHERE id = ?", row["account_id"])
        found.append({"stars": row["stars"], "text": row["text"], "username": author[0]["username"]})
    return found


@bp.get("/search")
def search() -> str:
    """Find goods by name; a short query matches nearly everything and takes its time."""
    query = request.args.get("q", "").strip().lower()
    goods: list[Any] = database.ask("SELECT * FROM product WHERE lower(name) LIKE ?", f"%{query}%")
    running: Release = current_app.config["RELEASE"]
    if len(query) < _SHORTEST_SELECTIVE_QUERY and running.ranked_search:
        goods.sort(key=lambda row: _relevance(query, row["description"]), reverse=True)
    return render_template("goods.html", title=f"Results for “{query}”", goods=goods[:_PER_PAGE])


def _relevance(query: str, text: str) -> float:
    return max(SequenceMatcher(None, query, word).ratio() for word in text.split())


@bp.get("/p/<int:product_id>")
def old_product_link(product_id: int) -> Response:
    """Send visitors of links from before the shop's last relaunch to the right place."""
    return redirect(url_for(".product", product_id=product_id), code=301)
