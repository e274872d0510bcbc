"""``fmd_otel.capture(error)``: exceptions that the application deals with by itself."""

from __future__ import annotations

import sys
import weakref
from typing import TYPE_CHECKING, Any

from fmd_otel_exporter.records import CAPTURED

if TYPE_CHECKING:
    from fmd_otel.monitor import Monitor

_monitors: list[weakref.ref[Monitor]] = []
"""Of the applications that are observed, the newest last."""


def capture(error: BaseException | None = None) -> bool:
    """Count an exception that the application has caught, and keep it as it would an unhandled one.

        try:
            charge(card)
        except PaymentError as error:
            fmd_otel.capture(error)

    Inside a request it belongs to that request's endpoint, user and trace; outside, say in a command or a
    worker thread, to the service. The same exception, raised again afterwards, counts once. It never raises,
    and where nothing is monitored it does nothing.

    Args:
        error: The exception; by default the one that is being handled.

    Returns:
        Whether it was taken.
    """
    try:
        error = sys.exc_info()[1] if error is None else error
        if not isinstance(error, BaseException):
            return False
        monitor, state, environ = _where()
        if monitor is None or (state is not None and state.level == 0):
            return False
    except Exception:  # noqa: BLE001 # the caller is handling an exception already
        return False
    try:
        monitor.exceptions.saw(error, CAPTURED, state, environ, sys._getframe(1))  # noqa: SLF001 # documented, underscore and all
    except Exception as failure:  # noqa: BLE001 # the same
        monitor.guard.failed("capture", failure)
        return False
    return True


def follow(monitor: Monitor) -> None:
    """Take captured exceptions for an application from now on."""
    _monitors.append(weakref.ref(monitor))


def forget(monitor: Monitor) -> None:
    """Take no more for it."""
    _monitors[:] = [each for each in _monitors if each() not in {monitor, None}]


def _where() -> tuple[Monitor | None, Any, Any]:
    """Return whose exception it is, and the request it was met in."""
    if not _monitors:
        return None, None, None
    # Not before somebody is monitored, and then both are imported already.
    from fmd_otel.otel_internals import current_request_context  # noqa: PLC0415
    from fmd_otel.request_state import STATE_KEY  # noqa: PLC0415

    context = current_request_context()
    if context is not None:
        environ = context.request.environ
        state = environ.get(STATE_KEY)
        if state is not None and _is_followed(state.monitor):
            return state.monitor, state, environ
    from flask import current_app, has_app_context  # noqa: PLC0415

    found = [monitor for each in _monitors if (monitor := each()) is not None]
    if has_app_context():
        app = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 # documented by Werkzeug
        for monitor in found:
            if monitor.app is app:
                return monitor, None, None
    return (found[-1] if found else None), None, None


def _is_followed(monitor: Monitor) -> bool:
    return any(each() is monitor for each in _monitors)
