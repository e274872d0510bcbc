"""The example shop: what the demo, the integration tests and the documentation rely on."""

from __future__ import annotations

import csv
import io
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from shop import accounts, catalog, create_app, database, payments
from shop.releases import RELEASES, release

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

RELIABLE = payments.Behaviour(timeout_share=0, declined_share=0, usual_s=0, timeout_s=0)


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return create_app(
        {
            "DATABASE": str(tmp_path / "shop.db"),
            "ROUND_TRIP_S": 0,
            "PAYMENTS": RELIABLE,
            "MODEL_DOWN_SHARE": 0,
            "RELEASE": release("1.8.0"),
        }
    )


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/category/tea", 200),
        ("/category/tea?page=2", 200),
        ("/category/cars", 404),
        ("/product/1", 200),
        ("/product/9999", 404),
        ("/search?q=mountain", 200),
        ("/p/3", 301),
        ("/cart", 200),
        ("/orders", 200),
        ("/orders/1", 404),
        ("/healthz", 200),
        ("/api/products", 200),
        ("/api/products/3", 200),
        ("/api/products/9999", 404),
        ("/api/products/3/stock", 200),
        ("/api/recommendations", 200),
        ("/login", 200),
        ("/static/style.css", 200),
        ("/no-such-page", 404),
        ("/admin/", 403),
        ("/admin/report.csv", 403),
    ],
)
def test_a_page_answers_a_visitor_with_its_status(client: FlaskClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_a_customer_logs_in_buys_and_sees_the_order(client: FlaskClient) -> None:
    assert client.post("/login", data={"username": "bence"}).location == "/"
    client.post("/cart/add/3")
    client.post("/cart/add/3")
    assert "Cart (2)" in client.get("/cart").text

    bought = client.post("/checkout")
    assert bought.status_code == 302
    order = client.get(bought.location)
    assert order.status_code == 200
    assert "bence" in order.text
    assert "Cart (0)" in order.text

    client.post("/logout")
    assert client.get(bought.location).status_code == 404


def test_a_stranger_cannot_log_in(client: FlaskClient) -> None:
    assert client.post("/login", data={"username": "mallory"}).status_code == 401


def test_the_current_user_is_known_outside_of_pages(app: Flask) -> None:
    with app.test_client() as client:
        client.get("/")
        assert accounts.current_username() == "visitor"
        client.post("/login", data={"username": "greta"})
        assert accounts.current_username() == "greta"


def test_a_removed_product_leaves_the_cart(client: FlaskClient) -> None:
    client.post("/cart/add/3")
    client.post("/cart/remove/3")
    assert "Still empty" in client.get("/cart").text
    assert client.post("/checkout").status_code == 400


def test_a_payment_without_an_answer_is_an_unhandled_500(app: Flask) -> None:
    app.config["PAYMENTS"] = RELIABLE._replace(timeout_share=1)
    client = app.test_client()
    client.post("/cart/add/3")
    assert client.post("/checkout").status_code == 500


def test_a_declined_payment_is_a_handled_402(app: Flask) -> None:
    app.config["PAYMENTS"] = RELIABLE._replace(declined_share=1)
    client = app.test_client()
    client.post("/cart/add/3")
    assert client.post("/checkout").status_code == 402


def test_recommendations_are_unavailable_while_the_model_is_down(app: Flask) -> None:
    app.config["MODEL_DOWN_SHARE"] = 1
    assert app.test_client().get("/api/recommendations").status_code == 503


def test_retries_save_a_payment_that_times_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    chances = iter([0.0, 0.9, 0.9])
    monkeypatch.setattr(payments.random, "random", lambda: next(chances))
    payments.charge(100, RELIABLE._replace(timeout_share=0.5), retries=1)


def test_the_report_streams_every_product_to_the_administrator(client: FlaskClient) -> None:
    client.post("/login", data={"username": database.ADMIN})
    response = client.get("/admin/report.csv")
    assert response.is_streamed
    rows = list(csv.reader(io.StringIO(response.text)))
    assert len(rows) == database.PRODUCT_COUNT + 1


def test_a_review_is_created_with_its_location(client: FlaskClient) -> None:
    created = client.post("/api/products/3/reviews", json={"stars": 4})
    assert (created.status_code, created.headers["Location"]) == (201, "/api/products/3")
    assert client.post("/api/products/3/reviews", json={"stars": 9}).status_code == 422


def test_release_1_7_0_asks_once_more_for_every_review(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(app.config["DATABASE"]) as db:
        reviews = db.execute("SELECT count(*) FROM review WHERE product_id = 1").fetchone()[0]
    assert reviews > 1
    asked: list[str] = []
    real = database.ask
    monkeypatch.setattr(catalog.database, "ask", lambda sql, *values: asked.append(sql) or real(sql, *values))

    def questions(name: str) -> tuple[int, str]:
        app.config["RELEASE"] = release(name)
        asked.clear()
        page = app.test_client().get("/product/1").text
        return len(asked), page

    bad, page_then = questions("1.7.0")
    good, page_now = questions("1.8.0")
    assert (good, bad) == (2, 2 + reviews)
    assert page_then == page_now


def test_an_unknown_release_behaves_like_the_newest() -> None:
    assert release("2.0.0") == RELEASES["1.8.1"]._replace(name="2.0.0")


def test_several_workers_may_create_the_database_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.db")
    with ThreadPoolExecutor(4) as workers:
        list(workers.map(database.create, [path] * 4))
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM product").fetchone()[0] == database.PRODUCT_COUNT
