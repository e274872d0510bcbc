"""The shop's own little SQLite database: made and filled at the first start, the same on every machine."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from typing import Any

from flask import current_app, g

_SCHEMA = """
CREATE TABLE account (id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, is_admin INTEGER NOT NULL);
CREATE TABLE category (slug TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE product (
    id INTEGER PRIMARY KEY, category TEXT NOT NULL REFERENCES category, name TEXT NOT NULL,
    price_cents INTEGER NOT NULL, description TEXT NOT NULL);
CREATE INDEX product_by_category ON product (category);
CREATE TABLE review (
    id INTEGER PRIMARY KEY, product_id INTEGER NOT NULL, account_id INTEGER NOT NULL,
    stars INTEGER NOT NULL, text TEXT NOT NULL);
CREATE INDEX review_by_product ON review (product_id);
CREATE TABLE customer_order (
    id INTEGER PRIMARY KEY, username TEXT NOT NULL, total_cents INTEGER NOT NULL, created REAL NOT NULL);
CREATE INDEX order_by_customer ON customer_order (username);
"""

USERNAMES = (
    "amara", "bence", "chiara", "dmitri", "elif", "farid", "greta", "hiro", "ines", "jonas", "kofi", "lena",
)  # fmt: skip
ADMIN = "amara"
CATEGORIES = {"tea": "Tea", "coffee": "Coffee", "cups": "Cups", "kettles": "Kettles", "sweets": "Sweets"}
PRODUCT_COUNT = 200
_MOST_REVIEWS = 30
_KINDS = (
    "Mountain",
    "Morning",
    "Harbour",
    "Garden",
    "Winter",
    "Copper",
    "Blue",
    "Ginger",
    "Northern",
    "Wild",
)
_VOCABULARY = (
    "careful blend early harvest picked hand dried slowly small batch every cup stays clear bright warm even "
    "longest evening rainy winter near sea"
)


def create(path: str) -> None:
    """Create and fill the database unless that is done; several workers may try at once."""
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'product'").fetchone():
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            _fill(db)
        db.execute("COMMIT")


def _fill(db: sqlite3.Connection) -> None:
    # The same goods on every machine: a product's page costs everywhere the same.
    dice = random.Random(1)
    db.executemany(
        "INSERT INTO account (username, is_admin) VALUES (?, ?)",
        [(name, name == ADMIN) for name in USERNAMES],
    )
    db.executemany("INSERT INTO category VALUES (?, ?)", CATEGORIES.items())
    slugs = list(CATEGORIES)
    for number in range(1, PRODUCT_COUNT + 1):
        slug = slugs[number % len(slugs)]
        name = f"{dice.choice(_KINDS)} {CATEGORIES[slug]} No. {number}"
        price_cents = dice.randrange(300, 9000)
        db.execute(
            "INSERT INTO product VALUES (?, ?, ?, ?, ?)", (number, slug, name, price_cents, _prose(dice, 60))
        )
        reviews = [
            (number, dice.randrange(len(USERNAMES)) + 1, dice.randrange(1, 6), _prose(dice, 9))
            for _ in range(dice.randrange(_MOST_REVIEWS + 1))
        ]
        db.executemany(
            "INSERT INTO review (product_id, account_id, stars, text) VALUES (?, ?, ?, ?)", reviews
        )


def _prose(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_VOCABULARY.split(), k=words))


def ask(sql: str, *values: Any) -> list[sqlite3.Row]:
    """Run one statement and return its rows, at the price of one trip to a database server."""
    time.sleep(current_app.config["ROUND_TRIP_S"])
    return list(_connection().execute(sql, values).fetchall())


def insert(sql: str, *values: Any) -> int:
    """Run one INSERT and return the new row's number."""
    time.sleep(current_app.config["ROUND_TRIP_S"])
    number = _connection().execute(sql, values).lastrowid
    return number or 0


def _connection() -> sqlite3.Connection:
    if "database" not in g:
        # Autocommit: every statement of the shop stands alone. An asynchronous view runs in a thread of its
        # own, the clean-up after it in the request's: one after the other, so sharing is safe.
        g.database = sqlite3.connect(
            current_app.config["DATABASE"], timeout=10, isolation_level=None, check_same_thread=False
        )
        g.database.row_factory = sqlite3.Row
    connection: sqlite3.Connection = g.database
    return connection


def close(_error: BaseException | None = None) -> None:
    """Close this request's connection, if it opened one."""
    connection = g.pop("database", None)
    if connection is not None:
        connection.close()
