"""The dashboard inside the monitored app: one more path of its WSGI callable, built when first asked for.

At the WSGI level, because a Dash app registered on the host's Flask adds its error handlers, hooks and routes
to the host, and breaks under the host's own CSRF protection. Light: nothing here imports Dash.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from opentelemetry.instrumentation.utils import suppress_instrumentation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

RETRY_AFTER_S = 10
_LONGEST_WAIT_S = 15.0
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light
dark"> <meta name="viewport" content="width=device-width, initial-scale=1"><title>Dashboard
unavailable</title> <body style="font-family:system-ui,sans-serif;max-width:36rem;margin:12vh auto;padding:0
1.5rem;line-height:1.5"> <h1 style="font-size:1.25rem">The dashboard is not available</h1><p>%s</p> <p>The
monitored application itself is not affected.</p></body></html>"""
_NOT_INSTALLED = (
    "It is not installed here. Install it with <code>pip install 'fmd-otel[dashboard]'</code> and restart."
)
_FAILED = "It could not be started; the log of this application says why. Reload this page to try again."
_STARTING = "It is still starting. Reload this page in a few seconds."


class LazyMount:
    """Sends requests below one prefix to the dashboard, and all others to the app that it wraps."""

    def __init__(
        self,
        app_wsgi: WSGIApplication,
        prefix: str,
        factory: Callable[[], WSGIApplication],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wrap an app.

        Args:
            app_wsgi: the monitored app.
            prefix: ``/dashboard``; the bare prefix is redirected to ``/dashboard/``.
            factory: builds the dashboard; called on the first visit, and again some time after it failed.
            clock: tells when that is.

        A process that has imported Dash already gets its dashboard at once: Dash keeps what apps are made of
        in globals, and building a second app beside one that is serving would mix the two up.
        """
        self._app_wsgi = app_wsgi
        self._prefix = "/" + prefix.strip("/")
        if self._prefix == "/":
            raise ValueError(
                "a mounted dashboard needs a prefix, such as /dashboard; the root belongs to the app"
            )
        self._factory = factory
        self._clock = clock
        self._lock = threading.Lock()
        self._dashboard: WSGIApplication | None = None
        self._problem = _FAILED
        self._retry_at = float("-inf")
        if "dash" in sys.modules:
            self._build()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        path = environ.get("PATH_INFO", "")
        if not path.startswith(self._prefix) or path[len(self._prefix) :][:1] not in {"", "/"}:
            return self._app_wsgi(environ, start_response)
        if path == self._prefix:
            target = environ.get("SCRIPT_NAME", "") + self._prefix + "/"
            return _redirect("308 Permanent Redirect", environ, target, start_response)
        with suppress_instrumentation():
            dashboard = self._dashboard or self._first_visit()
            if dashboard is None:
                return self._unavailable(environ, start_response)
            inner = dict(environ)
            inner["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + self._prefix
            inner["PATH_INFO"] = path[len(self._prefix) :]
            return dashboard(inner, start_response)

    def _first_visit(self) -> WSGIApplication | None:
        # Visitors who come while it is being built wait, but not for ever: they occupy the app's own threads.
        if not self._lock.acquire(timeout=_LONGEST_WAIT_S):
            self._problem = _STARTING
            return None
        try:
            if self._dashboard is None and self._clock() >= self._retry_at:
                self._build()
            return self._dashboard
        finally:
            self._lock.release()

    def _build(self) -> None:
        try:
            with suppress_instrumentation():
                self._dashboard = self._factory()
        except Exception as error:  # whatever it is, it must not reach the monitored app
            missing = isinstance(error, ModuleNotFoundError)
            self._problem = _NOT_INSTALLED if missing else _FAILED
            self._retry_at = self._clock() + RETRY_AFTER_S
            log.error("The dashboard could not be started", exc_info=error)  # noqa: TRY400 # exc_info is there

    def _unavailable(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = (_PAGE % self._problem).encode()
        status = HTTPStatus.SERVICE_UNAVAILABLE
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Retry-After", str(RETRY_AFTER_S)),
        ]
        start_response(f"{status.value} {status.phrase}", headers)
        return [b""] if environ.get("REQUEST_METHOD") == "HEAD" else [body]


class Standalone:
    """The dashboard as all that its server serves: answers below its prefix, and points there from ``/``."""

    def __init__(self, dashboard: WSGIApplication, prefix: str) -> None:
        """Wrap a dashboard that expects its prefix in ``SCRIPT_NAME``; an empty prefix means the root."""
        self._dashboard = dashboard
        self._prefix = prefix

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        path, script = environ.get("PATH_INFO", ""), environ.get("SCRIPT_NAME", "")
        inner = dict(environ)
        if self._prefix and path == self._prefix:
            return _redirect("308 Permanent Redirect", environ, f"{script}{path}/", start_response)
        if self._prefix and path.startswith(self._prefix + "/"):
            inner["SCRIPT_NAME"] = script + self._prefix
            inner["PATH_INFO"] = path[len(self._prefix) :]
        elif path in {"", "/"} and self._prefix and not self._behind_prefix(environ):
            return _redirect("302 Found", environ, f"{script}{self._prefix}/", start_response)
        inner["PATH_INFO"] = inner["PATH_INFO"] or "/"
        with suppress_instrumentation():
            return self._dashboard(inner, start_response)

    def _behind_prefix(self, environ: WSGIEnvironment) -> bool:
        """Tell whether a mount, the server or a proxy has cut the prefix off before us."""
        return bool(
            environ.get("HTTP_X_FORWARDED_PREFIX") or environ.get("SCRIPT_NAME", "").endswith(self._prefix)
        )


def _redirect(
    status: str, environ: WSGIEnvironment, target: str, start_response: StartResponse
) -> Iterable[bytes]:
    query = environ.get("QUERY_STRING", "")
    location = quote(target.encode("latin-1")) + (f"?{query}" if query else "")
    start_response(status, [("Location", location), ("Content-Length", "0")])
    return [b""]
