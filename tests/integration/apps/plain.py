"""An application that knows nothing of monitoring."""

from __future__ import annotations

import os

from flask import Blueprint, Flask, abort

shop = Blueprint("shop", __name__, url_prefix="/shop")


@shop.route("/item/<int:number>")
def item(number: int) -> str:
    return f"item {number} from {os.getpid()}"


def create_app() -> Flask:
    application = Flask("plain")
    application.register_blueprint(shop)
    application.add_url_rule("/", "index", lambda: f"hello from {os.getpid()}")
    application.add_url_rule("/fail", "fail", lambda: abort(503))
    return application


app = create_app()
