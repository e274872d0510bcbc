"""What an exception costs the application that has it: in a storm, when almost none is kept any more.

Twelve applications in one process, served in blocks of random order: a view that answers, one whose
exception an error handler takes, and one whose exception nobody takes; each bare, with OpenTelemetry and an
exporter that discards, with ours beside that exporter, and with ours alone. What we add to a failing request,
less what we add to any request, is our price of an exception. OpenTelemetry has a price of its own: it writes
the traceback of each unhandled one into the span, which we keep it from where nobody else would read it.

    python -m benchmarks.exceptions
"""

from __future__ import annotations

import argparse
import io
import random
import statistics
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import fmd_otel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DEPTH = 10
_KINDS = ("answers", "handled", "unhandled")
_MONITORS = ("bare", "otel", "beside", "alone")


class OutOfStockError(Exception):
    """What the shop's views raise."""


class Times(NamedTuple):
    """Microseconds of one block, by request."""

    wall_us: float
    """On the request's thread."""
    cpu_us: float
    """Of the whole process, background threads included."""


def main() -> None:
    """Measure, and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="fmd-otel-bench-") as folder:
        apps = {(kind, monitor): _app(kind) for kind in _KINDS for monitor in _MONITORS}
        handles = [
            fmd_otel.instrument(
                apps[kind, monitor],
                tracer_provider=_provider() if monitor == "beside" else TracerProvider(),
                database=f"sqlite:///{folder}/bench.db",
                app_version="1.0",
                include_dashboard=False,
                exception_locals=options.locals,
            )
            for kind in _KINDS
            for monitor in ("beside", "alone")
        ]
        for kind in _KINDS:
            FlaskInstrumentor.instrument_app(apps[kind, "otel"], tracer_provider=_provider())  # type: ignore[no-untyped-call]  # upstream
        results: dict[tuple[str, str], list[Times]] = {name: [] for name in apps}
        for number in range(options.rounds + 1):
            for name in random.sample(list(apps), len(apps)):
                times = _block(apps[name], options.requests, handles)
                if number:  # the first one warms up
                    results[name].append(times)
        _report(results, options.requests)
        _report_capture(handles[0], options.requests)
        for handle in handles:
            handle.uninstrument()
            handle.monitor.pipeline.shutdown()  # type: ignore[union-attr]  # it is monitored


def _provider() -> TracerProvider:
    class Discards(SpanExporter):
        def export(self, spans: Sequence[Any]) -> SpanExportResult:  # noqa: ARG002 # discarded
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Discards()))
    return provider


def _block(app: Flask, requests: int, handles: list[fmd_otel.Handle]) -> Times:
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(requests):
        _serve(app)
    wall = time.perf_counter_ns() - wall
    for handle in handles:
        handle.force_flush(60_000)
    return Times(wall / requests / 1000, (time.process_time_ns() - cpu) / requests / 1000)


def _report(results: dict[tuple[str, str], list[Times]], requests: int) -> None:
    medians = {name: _median(times) for name, times in results.items()}
    print("µs of wall time on the request's thread (of CPU time in the whole process), medians of "
          f"{len(results['answers', 'bare'])} rounds of {requests} requests")  # fmt: skip
    print(f"{'request':<12}" + "".join(f"{monitor:>18}" for monitor in _MONITORS))
    for kind in _KINDS:
        columns = [medians[kind, monitor] for monitor in _MONITORS]
        print(f"{kind:<12}" + "".join(f"{c.wall_us:>11.0f} ({c.cpu_us:>4.0f})" for c in columns))
    for kind in _KINDS[1:]:
        for below, above in (("bare", "otel"), ("otel", "beside"), ("bare", "alone")):
            price = _price(results, kind, below, above)
            print(f"an exception, {kind}, {above} over {below}: {price.wall_us:.0f} µs ({price.cpu_us:.0f}); "
                  f"1,000 a second: {price.cpu_us / 1000:.0%} of a core")  # fmt: skip


def _price(results: dict[tuple[str, str], list[Times]], kind: str, below: str, above: str) -> Times:
    """Return the difference of differences, round by round."""
    blocks = [
        results[kind, above],
        results[kind, below],
        results["answers", above],
        results["answers", below],
    ]
    return _median(
        [
            Times(a.wall_us - b.wall_us - c.wall_us + d.wall_us, a.cpu_us - b.cpu_us - c.cpu_us + d.cpu_us)
            for a, b, c, d in zip(*blocks, strict=True)
        ]
    )


def _report_capture(handle: fmd_otel.Handle, times: int) -> None:
    """Print what a call of ``capture()`` takes, with nothing else going on."""
    monitor = handle.monitor
    if monitor is None:
        return
    with monitor.app.test_request_context("/"):
        try:
            _deeper(_DEPTH, OutOfStockError("3 left"))
        except OutOfStockError as caught:
            took: list[float] = []
            for _ in range(times):
                began = time.perf_counter_ns()
                fmd_otel.capture(caught)
                took.append((time.perf_counter_ns() - began) / 1000)
    print(f"capture(): {statistics.median(took):.1f} µs, {_DEPTH} frames deep, median of {times}")


def _median(times: list[Times]) -> Times:
    return Times(
        statistics.median(each.wall_us for each in times), statistics.median(each.cpu_us for each in times)
    )


def _app(kind: str) -> Flask:
    app = Flask(f"bench_{kind}")
    app.logger.disabled = True  # printing a traceback costs ten times of all this

    @app.get("/")
    def view() -> str:
        if kind != "answers":
            _deeper(_DEPTH, OutOfStockError("3 left"))
        return "hello"

    if kind == "handled":
        app.register_error_handler(OutOfStockError, lambda _error: ("sold out", 409))
    return app


def _deeper(depth: int, error: Exception) -> None:
    if depth:
        _deeper(depth - 1, error)
    raise error


def _serve(app: Callable[..., Any]) -> None:
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.version": (1, 0),
        "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    body = app(environ, lambda *_args: None)
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.exceptions", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="blocks of each kind (default: %(default)s)")
    parser.add_argument(
        "--requests", type=int, default=300, help="requests of a block (default: %(default)s)"
    )
    parser.add_argument("--locals", action="store_true", help="keep local variables too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
