"""An application that knows nothing of monitoring."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

from flask import Blueprint, Flask, abort, send_file

LARGE = Path(sysconfig.get_paths()["stdlib"]) / "typing.py"
"""A file that is sent in more than one piece."""

shop = Blueprint("shop", __name__, url_prefix="/shop")


@shop.route("/item/<int:number>")
def item(number: int) -> str:
    return f"item {number} from {os.getpid()}"


def create_app() -> Flask:
    application = Flask("plain")
    application.register_blueprint(shop)
    application.add_url_rule("/", "index", lambda: f"hello from {os.getpid()}")
    application.add_url_rule("/file", "file", lambda: send_file(LARGE))
    application.add_url_rule("/fail", "fail", lambda: abort(503))
    return application


app = create_app()
