"""The application that is measured: ``gunicorn benchmarks.outage.app:application()``."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from flask import Flask

from benchmarks.cpu.variants import instrument_as_it_comes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DATABASE = "OUTAGE_DATABASE"
"""Variable that names the database; without it the application is not monitored."""
SPOOL = "OUTAGE_SPOOL"
PLAIN = "OUTAGE_PLAIN"
"""Variable that asks for OpenTelemetry as it comes, a batch processor whose spans are discarded."""
WORK_MS = "OUTAGE_WORK_MS"
"""Variable with how many milliseconds a request computes."""
DRAIN_PATH = "/-/drain"


def application() -> Callable[..., Iterable[bytes]]:
    """Return the application, and beside it a path that answers once all requests are in the database."""
    app = Flask("bench")

    work_s = float(os.environ.get(WORK_MS, "0")) / 1000

    @app.get("/hello/<int:number>")
    def hello(number: int) -> str:
        until = time.thread_time() + work_s
        while time.thread_time() < until:
            pass
        return f"Hello {number}\n"

    if PLAIN in os.environ:
        instrument_as_it_comes(app)
        return app
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
