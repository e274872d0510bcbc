"""A small web shop: the application that the demo, the tests and the documentation monitor.

Run it bare, with two lines, or with none::

    cd examples
    flask --app shop run                                        # not monitored
    SHOP_MONITORING=two-lines flask --app shop run              # fmd_otel.instrument(app), below
    opentelemetry-instrument flask --app shop run               # no line of code at all

It takes its settings from the environment: ``APP_VERSION`` (which release it is, with that release's defects:
see ``releases.py``), ``SHOP_DATABASE``, ``SHOP_SECRET_KEY``, ``SHOP_BEHIND_PROXY`` and ``SHOP_MONITORING``.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app, render_template
from werkzeug.middleware.proxy_fix import ProxyFix

from shop import accounts, admin, api, cart, catalog, database, orders, payments
from shop.releases import release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.exceptions import HTTPException


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Build the shop; ``config`` overrides what the environment says, for tests."""
    app = Flask(__name__)
    app.config.from_mapping(
        # Without a key from outside every process draws its own: log-ins then end with the process.
        SECRET_KEY=os.environ.get("SHOP_SECRET_KEY") or secrets.token_hex(),
        SESSION_COOKIE_NAME="shop_session",
        SESSION_COOKIE_SAMESITE="Lax",
        DATABASE=os.environ.get("SHOP_DATABASE", "shop.db"),
        RELEASE=release(os.environ.get("APP_VERSION", "1.8.0")),
        # How long one question to a database in the same data centre takes.
        ROUND_TRIP_S=0.0006,
        PAYMENTS=payments.Behaviour(),
        # How often the machine that recommends things is too busy to.
        MODEL_DOWN_SHARE=0.015,
    )
    app.config.from_mapping(config or {})

    for blueprint in (accounts.bp, catalog.bp, cart.bp, orders.bp, api.bp, admin.bp):
        app.register_blueprint(blueprint)
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.register_error_handler(404, _not_found)
    app.register_error_handler(payments.Declined, _declined)
    app.teardown_appcontext(database.close)
    app.context_processor(_shared_by_all_pages)
    database.create(app.config["DATABASE"])

    if os.environ.get("SHOP_BEHIND_PROXY"):
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]  # Flask's own idiom

    if os.environ.get("SHOP_MONITORING") == "two-lines":
        _monitor(app)
    return app


def _monitor(app: Flask) -> None:
    import fmd_otel  # noqa: PLC0415 - the shop also runs where nothing of fmd-otel is installed

    fmd_otel.config.group_by = accounts.current_username
    fmd_otel.instrument(app)


def _healthz() -> dict[str, str]:
    return {"status": "ok", "version": current_app.config["RELEASE"].name}


def _not_found(_error: HTTPException) -> tuple[str, int]:
    return render_template("message.html", title="Not found", text="We do not sell that."), 404


def _declined(error: payments.Declined) -> tuple[str, int]:
    return render_template("message.html", title="Payment declined", text=str(error)), 402


def _shared_by_all_pages() -> dict[str, Any]:
    return {"username": accounts.current_username(), "cart_size": cart.size()}
