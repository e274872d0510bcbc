"""The process that is measured, in its two forms: a gunicorn application and a plain loop of WSGI calls."""

from __future__ import annotations

import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.cpu.variants import Variant, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DRAIN_PATH = "/-/drain"
ANSWER = "answer:"
"""What the loop's own lines on standard output begin with."""


def application() -> Callable[..., Iterable[bytes]]:
    """Return what gunicorn serves: the variant, and a path beside it that answers once all work is done."""
    variant = _variant()

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != DRAIN_PATH:
            return variant.app(environ, start_response)
        variant.drain()
        body = json.dumps({"recorded": variant.recorded()}).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return serve


def _variant() -> Variant:
    return build(
        os.environ["BENCH_VARIANT"],
        folder=os.environ["BENCH_FOLDER"],
        otlp_endpoint=os.environ["BENCH_OTLP_ENDPOINT"],
    )


def loop() -> None:
    """Serve as many requests as each line of standard input says, and answer with what was recorded."""
    variant = _variant()
    print(ANSWER, "{}", flush=True)
    for line in sys.stdin:
        for number in range(int(line)):
            _call(variant, number)
        variant.drain()
        print(ANSWER, json.dumps({"recorded": variant.recorded()}), flush=True)


def _call(variant: Variant, number: int) -> None:
    path = f"/hello/{number}"
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "REMOTE_PORT": "50000",
        "HTTP_HOST": "localhost:8000",
        "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64)",
        "HTTP_ACCEPT": "text/html,application/xhtml+xml",
        "HTTP_ACCEPT_ENCODING": "gzip, deflate",
        "HTTP_COOKIE": "session=abc",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    body: Any = variant.app(environ, lambda _status, _headers, _error=None: lambda _data: None)
    for _chunk in body:
        pass
    if hasattr(body, "close"):
        body.close()


if __name__ == "__main__":
    loop()
