"""The same little application, monitored in different ways. Each is built in a process of its own.

This module also runs in the environment of Flask-MonitoringDashboard, where nothing of ours is installed: all
but Flask is imported by the variant that needs it.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Variant(NamedTuple):
    """A monitored application, and how to know that the work is done."""

    app: Flask
    drain: Callable[[], object]
    """Returns once all work that the requests left behind is done."""
    recorded: Callable[[], int | None]
    """How many requests have been recorded: nothing would be won by measuring a monitor that is off."""


def build(name: str, *, folder: str, otlp_endpoint: str) -> Variant:
    """Build the variant called ``name``; it keeps its files in ``folder``."""
    app = Flask("bench")

    @app.get("/hello/<int:number>")
    def hello(number: int) -> str:
        return f"Hello {number}\n"

    if name in {"bare", "fmd-bare"}:
        return Variant(app, drain=lambda: None, recorded=lambda: None)
    if name == "otel":
        exporter = _discarding_exporter()
        return Variant(app, _instrument(app, exporter).force_flush, lambda: exporter.count)
    if name == "otlp":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return Variant(app, _instrument(app, OTLPSpanExporter(otlp_endpoint)).force_flush, lambda: None)
    if name.startswith("fmd-otel-"):
        return _fmd_otel(app, f"{folder}/{name}.db", **_FMD_OTEL[name])
    if name == "fmd":
        return _fmd(app, f"{folder}/fmd.db")
    raise SystemExit(f"unknown variant {name!r}")


def instrument_as_it_comes(app: Flask) -> None:
    """Let OpenTelemetry make spans of an application's requests, and discard them."""
    _instrument(app, _discarding_exporter())


def _discarding_exporter() -> Any:
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult  # noqa: PLC0415

    class DiscardingExporter(SpanExporter):
        count = 0

        def export(self, spans: Sequence[Any]) -> SpanExportResult:
            self.count += len(spans)
            return SpanExportResult.SUCCESS

    return DiscardingExporter()


def _instrument(app: Flask, exporter: Any) -> Any:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider()
    # The queue is as deep as a block of requests is long: what overflows would cost nothing to export.
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=20_000))
    trace.set_tracer_provider(provider)
    FlaskInstrumentor().instrument_app(app)  # type: ignore[no-untyped-call]  # upstream leaves it untyped
    return provider


_FMD_OTEL: dict[str, dict[str, Any]] = {
    "fmd-otel-0": {"monitor_level": 0},
    "fmd-otel-1": {"monitor_level": 1},
    "fmd-otel-memory": {"monitor_level": 1, "spool_mb": 0},
}


def _fmd_otel(app: Flask, database: str, **settings: Any) -> Variant:
    import fmd_otel  # noqa: PLC0415

    handle = fmd_otel.instrument(app, database=f"sqlite:///{database}", app_version="1.0", **settings)
    sql = (
        "SELECT sum(level0_n) FROM fmd_endpoint"
        if settings["monitor_level"] == 0
        else "SELECT count(*) FROM fmd_request"
    )
    return Variant(app, lambda: handle.force_flush(60_000), lambda: _ask(database, sql))


def _fmd(app: Flask, database: str) -> Variant:
    import flask_monitoringdashboard as dashboard  # noqa: PLC0415

    dashboard.config.database_name = f"sqlite:///{database}"
    dashboard.config.monitor_level = 1
    dashboard.bind(app)
    return Variant(app, _wait_for_request_threads, lambda: _ask(database, "SELECT count(*) FROM Request"))


def _wait_for_request_threads() -> None:
    """Wait for the thread that Flask-MonitoringDashboard starts for every request to write its row."""
    while any(
        type(thread).__module__.startswith("flask_monitoringdashboard") for thread in threading.enumerate()
    ):
        time.sleep(0.01)


def _ask(database: str, sql: str) -> int:
    if not Path(database).exists():  # a monitor that opens nothing before its first request
        return 0
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchone()[0] or 0
