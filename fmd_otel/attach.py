"""Putting a recorder on an application, and taking it off again."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fmd_otel import metrics, otel_internals
from fmd_otel.capturing import follow, forget
from fmd_otel.configuration import config
from fmd_otel.exceptions.hooks import ExceptionHooks
from fmd_otel.handle import Handle
from fmd_otel.recorder import Recorder
from fmd_otel.request_state import STATE_KEY, mark_counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from flask import Flask

    from fmd_otel.monitor import Monitor
    from fmd_otel.provider import Link
    from fmd_otel.settings import Settings

logger = logging.getLogger("fmd_otel")

EXTENSION = "fmd_otel"
"""Where the handle lives in ``app.extensions``."""
WATCHED = "_fmd_otel_original"
"""What marks Flask's own functions while every application is attached at its first request."""
_DASHBOARD_PACKAGES = ("dash", "dash_mantine_components", "dash_ag_grid", "plotly")


class Outermost:
    """What ``app.wsgi_app`` is while the dashboard is mounted.

    Others may have wrapped it by the time the application is no longer monitored, and can then not be made to
    let go: this lets them call the application as it was.
    """

    def __init__(self, target: WSGIApplication) -> None:
        """Stand before ``target``."""
        self.target = target

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        return self.target(environ, start_response)


class Attachment:
    """What was done to one application, and how it is undone."""

    def __init__(self, app: Flask, monitor: Monitor, linked: Link | None) -> None:
        """Note what is about to be observed.

        Args:
            app: The application; nobody observes it yet.
            monitor: Describes its requests.
            linked: Our span processor's place on the provider, given up with the application, or None.
        """
        self._app = app
        self._monitor = monitor
        self._linked = linked
        self._original: WSGIApplication = app.wsgi_app
        self._instrumented_by_us = not otel_internals.is_instrumented(app)
        self._begin = _begin_function(monitor)
        self._tear_down = _teardown_function(monitor)
        self._exceptions = ExceptionHooks(app, monitor)

    def put(self, settings: Settings, **otel_options: Any) -> None:
        """Observe the application."""
        app, monitor = self._app, self._monitor
        if self._instrumented_by_us:
            otel_internals.instrument_app(app, enable_commenter=False, **otel_options)
        otel_internals.move_before_request_first(app)
        otel_internals.insert_before_request(app, self._begin)
        monitor.excluded = otel_internals.excluded_urls(app)
        app.teardown_request_funcs.setdefault(None, []).append(self._tear_down)
        self._exceptions.put()
        follow(monitor)
        self._recorder = Recorder(app.wsgi_app, monitor)
        self._outermost: Recorder | Outermost = self._recorder
        mounted = _with_dashboard(app, self._recorder, settings) if settings.include_dashboard else None
        if mounted is not None:
            self._outermost = Outermost(mounted)
        app.wsgi_app = self._outermost  # type: ignore[method-assign]  # the place Flask documents for middlewares

    def remove(self) -> None:
        """Give the application back as it was, as far as others have not built on it."""
        app, recorder, outermost = self._app, self._recorder, self._outermost
        recorder.active = False
        self._monitor.watch.close()
        self._remove_functions()
        self._exceptions.remove()
        forget(self._monitor)
        metrics.forget(self._monitor)
        if self._instrumented_by_us:
            recorder.wsgi_app = self._original
        if isinstance(outermost, Outermost):
            outermost.target = recorder.wsgi_app
        if app.wsgi_app is outermost:
            app.wsgi_app = recorder.wsgi_app  # type: ignore[assignment,method-assign]  # as above
        if hasattr(type(app).__call__, WATCHED):
            app.extensions[EXTENSION] = None  # or the next request would attach it again
        else:
            app.extensions.pop(EXTENSION, None)

    def _remove_functions(self) -> None:
        beginnings = self._app.before_request_funcs.get(None, [])
        if self._begin in beginnings:
            beginnings.remove(self._begin)
        functions = self._app.teardown_request_funcs.get(None, [])
        if self._tear_down in functions:
            functions.remove(self._tear_down)
        if self._instrumented_by_us:
            otel_internals.remove_instrumentation(self._app)
        elif self._linked is None:
            # Its spans go on, and a span processor of ours that is not ours to stop would count them.
            functions.append(_mark_counted_at_teardown)
        if self._linked is not None:
            self._linked.close()


def attach(
    app: Flask,
    settings: Settings,
    monitor: Monitor,
    pipeline: Any,
    linked: Link | None,
    **otel_options: Any,
) -> Handle:
    """Observe an application, and announce its endpoints.

    Args:
        app: The application; nobody observes it yet.
        settings: The settings in force.
        monitor: Describes its requests.
        pipeline: Takes their records.
        linked: See ``Attachment``.
        otel_options: For OpenTelemetry's Flask instrumentation, if it is not active already.
    """
    attachment = Attachment(app, monitor, linked)
    attachment.put(settings, **otel_options)
    handle = Handle(settings, monitor=monitor, pipeline=pipeline, detach=attachment.remove)
    app.extensions[EXTENSION] = handle
    config.follow(monitor)
    monitor.announce()
    return handle


def _begin_function(monitor: Monitor) -> Callable[[], None]:
    """Make the function that runs at the beginning of each request, right after its span was started."""
    current = otel_internals.current_request_context

    def fmd_otel_begin() -> None:
        try:
            request = current().request
            environ = request.environ
            state = environ.get(STATE_KEY)
            if state is not None and state.monitor is monitor:
                monitor.begin(state, request, environ)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            monitor.guard.failed("beginning", error)

    return fmd_otel_begin


def _teardown_function(monitor: Monitor) -> Callable[[BaseException | None], None]:
    """Make the function that runs at the end of each request context, before OpenTelemetry ends the span."""
    current = otel_internals.current_request_context

    def fmd_otel_teardown(_error: BaseException | None) -> None:
        try:
            context = current()
            state = context.request.environ.get(STATE_KEY)
            # As a rule all was said when the status line passed by, and this is the end of it.
            if state is not None and not state.described and not state.done and state.monitor is monitor:
                state.tear_down(context)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            monitor.guard.failed("teardown", error)

    return fmd_otel_teardown


def _mark_counted_at_teardown(_error: BaseException | None) -> None:
    context = otel_internals.current_request_context()
    if context is not None:
        mark_counted(context.request.environ)


def _with_dashboard(app: Flask, recorder: Recorder, settings: Settings) -> WSGIApplication | None:
    """Mount the dashboard in front of the recorder, if it is installed: its own requests are not recorded."""
    if any(find_spec(package) is None for package in _DASHBOARD_PACKAGES):
        logger.info("the dashboard is not installed here; pip install 'fmd-otel[dashboard]' mounts it")
        return None
    try:
        from fmd_otel_dash.mount import LazyMount  # noqa: PLC0415 # only where it is wanted

        prefix = f"/{settings.custom_link}"
        _warn_of_hidden_routes(app, prefix)

        def factory() -> Any:
            from fmd_otel_dash import create_wsgi  # noqa: PLC0415 # heavy; this is the first visit

            _warn_of_hidden_routes(app, prefix)
            with otel_internals.plain_flask():
                return create_wsgi(settings.dashboard())

        return LazyMount(recorder, prefix, factory)
    except Exception:
        logger.exception("the dashboard could not be mounted; requests are recorded all the same")
        return None


def _warn_of_hidden_routes(app: Flask, prefix: str) -> None:
    hidden = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule == prefix or rule.rule.startswith(f"{prefix}/")
    ]
    if hidden:
        logger.warning(
            "the dashboard at %s hides the application's own %s; set CUSTOM_LINK to another path",
            prefix,
            ", ".join(hidden[:3]),
        )
