"""The WSGI wrapper that makes one record of each request.

It stands outside of OpenTelemetry's wrapper, so that what a request costs its user is measured from the door
to the last byte of the body, and so that a request is counted whether or not a span was made for it.
Everything that runs here runs on the request's own thread: it is short, it takes no lock, and nothing it does
can raise into the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmd_otel.request_state import STATE_KEY, RequestState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from fmd_otel.monitor import Monitor


class Recorder:
    """The WSGI wrapper."""

    def __init__(self, wsgi_app: WSGIApplication, monitor: Monitor) -> None:
        """Wrap ``wsgi_app``, recording what ``monitor`` says."""
        self.wsgi_app = wsgi_app
        self.monitor = monitor
        self.active = True
        """False once the application is not monitored any more but others still hold this wrapper."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if not self.active:
            return self.wsgi_app(environ, start_response)
        try:
            outer = environ.get(STATE_KEY)
            if outer is not None and not outer.done:
                return self._serve_inner(environ, start_response, outer)
            state = environ[STATE_KEY] = RequestState(self.monitor, environ, start_response)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self.monitor.guard.failed("recorder", error)
            return self.wsgi_app(environ, start_response)
        try:
            body = self.wsgi_app(environ, state.start_response)
        except BaseException as error:
            state.fail(error)
            raise
        return state.until_sent(body, environ)

    def _serve_inner(
        self, environ: WSGIEnvironment, start_response: StartResponse, outer: RequestState
    ) -> Iterable[bytes]:
        """Serve a request that another recorder, further out, is looking at already."""
        if outer.monitor is self.monitor:
            return self.wsgi_app(environ, start_response)
        # An application mounted inside another: the one that answers is the one that counts.
        outer.inner = state = environ[STATE_KEY] = RequestState(self.monitor, environ, start_response)
        try:
            body = self.wsgi_app(environ, state.start_response)
        except BaseException as error:
            state.fail(error)
            raise
        finally:
            environ[STATE_KEY] = outer
        return state.until_sent(body, environ)
