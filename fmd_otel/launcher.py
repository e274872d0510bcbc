"""Attaching to applications that do not know of us, under ``opentelemetry-instrument``."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from flask.app import Flask
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from fmd_otel.attach import EXTENSION, WATCHED
from fmd_otel.configuration import config
from fmd_otel.instrumentation import service_names, start_once
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

logger = logging.getLogger("fmd_otel")


def watch_flask() -> None:
    """Make every Flask application of this process be monitored from its first request on.

    The class's own ``__call__`` is patched rather than the name ``flask.Flask``: an application made by
    ``from flask.app import Flask``, or before we came, is found all the same, and middlewares added until the
    first request are inside of what is measured.
    """
    if hasattr(Flask.__call__, WATCHED):
        return
    _patch("__init__", _remembering)
    _patch("__call__", _attaching)


def unwatch_flask() -> None:
    """Give Flask its own functions back; applications that are monitored already stay so."""
    for name in ("__init__", "__call__"):
        original = getattr(getattr(Flask, name), WATCHED, None)
        if original is not None:
            setattr(Flask, name, original)


def _patch(name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(Flask, name)
    patched = functools.wraps(original)(around(original))
    setattr(patched, WATCHED, original)
    setattr(Flask, name, patched)


def _remembering(original: Callable[..., None]) -> Callable[..., None]:
    def __init__(self: Flask, *args: Any, **kwargs: Any) -> None:  # noqa: N807 # stands in for one
        original(self, *args, **kwargs)
        service_names.created(self.name)

    return __init__


def _attaching(original: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def __call__(self: Flask, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:  # noqa: N807 # the same
        # Asked on every request; the dashboard's own Flask application is called with instrumentation
        # suppressed.
        if EXTENSION not in self.extensions and is_instrumentation_enabled():
            attach_quietly(self)
        return original(self, environ, start_response)

    return __call__


def attach_quietly(app: Flask) -> None:
    """Monitor an application, or say once why that cannot be; its requests are served either way."""
    try:
        start_once(app, config.settings())
    except FmdOtelError as error:
        logger.error("%s is not monitored: %s", app.name, error)  # noqa: TRY400 # the message says all there is
        app.extensions[EXTENSION] = None
    except Exception:
        logger.exception("%s is not monitored", app.name)
        app.extensions[EXTENSION] = None
