"""Where an application's exceptions are met: Flask's signal for unhandled ones, and its error handling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import got_request_exception
from werkzeug.exceptions import HTTPException

from fmd_otel import otel_internals
from fmd_otel.request_state import STATE_KEY
from fmd_otel_exporter.records import HANDLED, UNHANDLED

if TYPE_CHECKING:
    from types import CodeType

    from flask import Flask

    from fmd_otel.monitor import Monitor

_HANDLE = "handle_user_exception"
_SERVER_ERROR = 500
_OUTERMOST = 10
"""Calls among which ours is to be found; the application's own come after it."""


class ExceptionHooks:
    """What is put on an application so that its exceptions are seen."""

    def __init__(self, app: Flask, monitor: Monitor) -> None:
        """Prepare; nothing is touched yet."""
        self._app = app
        self._monitor = monitor
        self._is_active = False
        self._own: Any = None
        self._handle: Any = None

    def put(self) -> None:
        """Listen."""
        app = self._app
        self._is_active = True
        got_request_exception.connect(self._unhandled, app)
        self._own = app.__dict__.get(_HANDLE)
        original = getattr(app, _HANDLE)

        def handle_user_exception(*args: Any, **kwargs: Any) -> Any:
            # Raises where no error handler takes the exception, which is then told by the signal.
            answer = original(*args, **kwargs)
            if self._is_active and args:
                self._saw(args[-1], HANDLED)
            return answer

        self._handle = handle_user_exception
        setattr(app, _HANDLE, handle_user_exception)

    def remove(self) -> None:
        """Listen no more; where somebody has wrapped our function since, it stays and does nothing."""
        self._is_active = False
        got_request_exception.disconnect(self._unhandled, self._app)
        if self._app.__dict__.get(_HANDLE) is self._handle:
            if self._own is None:
                delattr(self._app, _HANDLE)
            else:
                setattr(self._app, _HANDLE, self._own)

    def _unhandled(self, _app: Any, exception: BaseException, **_more: Any) -> None:
        try:
            _take_out(exception, self._handle.__code__)
        except Exception as failure:  # noqa: BLE001 # nothing of ours may reach the request
            self._monitor.guard.failed("exception", failure)
        self._saw(exception, UNHANDLED)

    def _saw(self, error: Any, kind: int) -> None:
        try:
            if not is_failure(error):
                return
            context = otel_internals.current_request_context()
            environ = None if context is None else context.request.environ
            state = None if environ is None else environ.get(STATE_KEY)
            if state is not None and state.monitor is not self._monitor:
                state = None
            self._monitor.exceptions.saw(error, kind, state, environ)
            if kind == UNHANDLED and environ is not None:
                _spare_traceback(environ.get(otel_internals.SPAN_KEY))
        except Exception as failure:  # noqa: BLE001 # nothing of ours may reach the request
            self._monitor.guard.failed("exception", failure)


def _spare_traceback(span: Any) -> None:
    """Keep OpenTelemetry from writing the traceback on a span where nobody would read it there.

    We have kept it already, or have as many of its kind as anybody wants.
    """
    if span is not None and span.is_recording() and otel_internals.is_read_by_us_alone(span):
        otel_internals.leave_tracebacks_out(span)


def _take_out(error: BaseException, code: CodeType) -> None:
    """Take the calls of a function out of a traceback, before anybody logs it.

    Nobody should have to wonder what we have to do with a failure. And OpenTelemetry writes every unhandled
    exception into the span, which takes it longer for each call.
    """
    entry = error.__traceback__
    for _ in range(_OUTERMOST):
        if entry is None or entry.tb_next is None:
            return
        if entry.tb_next.tb_frame.f_code is code:
            entry.tb_next = entry.tb_next.tb_next
        else:
            entry = entry.tb_next


def is_failure(error: Any) -> bool:
    """Tell failures from answers: ``abort(404)`` and redirects are exceptions only in form."""
    if not isinstance(error, BaseException):
        return False
    if isinstance(error, HTTPException):
        return (error.code or 0) >= _SERVER_ERROR
    return (
        not isinstance(error, (KeyboardInterrupt, GeneratorExit)) and type(error).__name__ != "GreenletExit"
    )
