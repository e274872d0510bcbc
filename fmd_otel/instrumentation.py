"""``fmd_otel.instrument(app)``: the two lines."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from flask import Flask

from fmd_otel import metrics
from fmd_otel.attach import EXTENSION, attach
from fmd_otel.configuration import config
from fmd_otel.graphs import Graphs, follow
from fmd_otel.handle import Handle
from fmd_otel.monitor import Monitor
from fmd_otel.provider import exporter_names, find_tracing, install, link, sdk_disabled
from fmd_otel.scrubbing import Scrubber
from fmd_otel.services import ServiceNames
from fmd_otel.version import app_version
from fmd_otel_exporter.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from fmd_otel.settings import Settings

logger = logging.getLogger("fmd_otel")

service_names = ServiceNames()
"""Those of this process."""
_lock = threading.RLock()
_said: set[str] = set()


def instrument(
    app: Flask,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    excluded_urls: str | None = None,
    **settings: Any,
) -> Handle:
    """Record the requests of a Flask application, and mount the dashboard in it.

    Before or after its routes are added, once or again: the second call returns the first one's handle.

    Args:
        app: The application.
        tracer_provider: Where its spans come from; without it the process's own, made if there is none.
        meter_provider: For OpenTelemetry's HTTP metrics; without it the process's own, if there is one.
        excluded_urls: Comma-separated regular expressions of URLs that are neither traced nor recorded;
            without it ``OTEL_PYTHON_FLASK_EXCLUDED_URLS``.
        settings: Any setting, lower case (``monitor_level=0``, ``group_by=current_user_id``); ``config``
            names a configuration file.

    Returns:
        A handle to flush and to undo with.

    Raises:
        SettingsError: A setting cannot be used; the message names it and the remedy.
    """
    if not isinstance(app, Flask):
        raise SettingsError(
            f"instrument() takes a Flask application, and got {type(app).__name__}; pass the app itself"
        )
    with _lock:
        existing = app.extensions.get(EXTENSION)
        if isinstance(existing, Handle):
            if settings:
                logger.warning(
                    "%s is monitored already: instrument(%s) changes nothing; "
                    "give settings to the first call",
                    app.name,
                    ", ".join(f"{name}=..." for name in settings),
                )
            return existing
        return _start(app, config.settings(settings), tracer_provider, meter_provider, excluded_urls)


def start_once(app: Flask, settings: Settings) -> None:
    """Monitor an application that did not ask for it, unless somebody was faster."""
    with _lock:
        if app.extensions.get(EXTENSION) is None:
            _start(app, settings)


def _start(
    app: Flask,
    settings: Settings,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    excluded_urls: str | None = None,
) -> Handle:
    """Monitor an application with settings that are composed already; both doors come through here."""
    _say(settings)
    if sdk_disabled() or not exporter_names():
        reason = "OTEL_SDK_DISABLED=true" if sdk_disabled() else "OTEL_TRACES_EXPORTER=none"
        logger.info("%s: %s is not monitored", reason, app.name)
        return Handle(settings)
    settings.check_callables()
    from fmd_otel.outliers.watcher import OutlierRule, OutlierWatcher  # noqa: PLC0415 # not where monitoring is off
    from fmd_otel.profiler.lines import LineResolver, project_root  # noqa: PLC0415 # the same
    from fmd_otel.profiler.span_processor import StackSamplingSpanProcessor  # noqa: PLC0415 # the same
    from fmd_otel.profiler.watcher import ProfileWatcher  # noqa: PLC0415 # the same
    from fmd_otel.traces.watcher import TraceWatcher  # noqa: PLC0415 # the same
    from fmd_otel_exporter.pipeline import shared_pipeline  # noqa: PLC0415 # the same

    pipeline = shared_pipeline(settings.exporter())
    tracing = find_tracing(tracer_provider)
    service = service_names.name_for(tracing.service_name, app.name)
    version = app_version(settings.app_version, settings.git, tracing.service_version, app.import_name)
    provider = install(tracing, service, version)
    resolver = LineResolver(project_root(app.root_path, app.import_name))
    linked = link(
        provider,
        lambda: StackSamplingSpanProcessor(
            pipeline=pipeline, resolver=resolver, period_ms=settings.sampling_period
        ),
    )
    monitor = Monitor(
        app,
        service=service,
        version=version,
        pipeline=pipeline,
        group_by=settings.group_by,
        get_ip=settings.get_ip,
        scrubber=Scrubber(settings.scrub_keys, settings.scrub),
        exception_locals=settings.exception_locals,
    )
    # In this order: whether the steps of a request are kept depends on whether it is an outlier.
    monitor.watch.add(OutlierWatcher(monitor, pipeline, resolver, OutlierRule.of(settings)))
    monitor.watch.add(TraceWatcher(monitor, provider))
    monitor.watch.add(
        ProfileWatcher(pipeline, resolver, period_ms=settings.sampling_period, rate=settings.profile_rate)
    )
    options: dict[str, Any] = {"tracer_provider": provider}
    if meter_provider is not None:
        options["meter_provider"] = meter_provider
    if excluded_urls:
        options["excluded_urls"] = excluded_urls
    handle = attach(app, settings, monitor, pipeline, linked, **options)
    metrics.observe(monitor, pipeline, meter_provider)
    handle.graphs = Graphs(app, service, pipeline.settings)
    pipeline.accompany(handle.graphs.start)
    follow(handle.graphs)
    logger.info("%s is monitored as %s, version %s (pid %d)", app.name, service, version, os.getpid())
    return handle


def _say(settings: Settings) -> None:
    """Log what is odd about the settings, once a process; and everything else if that is wanted."""
    if settings.enable_logging:
        _log_to_console()
    for warning in settings.warnings:
        if warning not in _said:
            _said.add(warning)
            logger.warning("%s", warning)


def _log_to_console() -> None:
    for name in ("fmd_otel", "fmd_otel_exporter", "fmd_otel_dash"):
        log = logging.getLogger(name)
        if log.level == logging.NOTSET:
            log.setLevel(logging.INFO)
        if not log.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
            log.addHandler(handler)
