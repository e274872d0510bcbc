"""The application that is measured: ``gunicorn benchmarks.outage.app:application()``."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DATABASE = "OUTAGE_DATABASE"
"""Variable that names the database; without it the application is not monitored."""
SPOOL = "OUTAGE_SPOOL"
DRAIN_PATH = "/-/drain"


def application() -> Callable[..., Iterable[bytes]]:
    """Return the application, and beside it a path that answers once all requests are in the database."""
    app = Flask("bench")

    @app.get("/hello/<int:number>")
    def hello(number: int) -> str:
        return f"Hello {number}\n"

    database = os.environ.get(DATABASE)
    if database is None:
        return app
    import fmd_otel  # noqa: PLC0415 # not where nobody monitors

    handle = fmd_otel.instrument(app, database=database, spool_dir=os.environ[SPOOL], app_version="1.0")

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != DRAIN_PATH:
            return app(environ, start_response)
        body = json.dumps({"drained": handle.force_flush(60_000)}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return serve
