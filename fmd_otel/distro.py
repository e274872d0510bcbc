"""The distribution that ``opentelemetry-instrument`` finds by its entry points.

Environment variables are only given defaults: whatever the user has set stays as it is. Nothing that is
wrong with our settings stops the application, or the rest of OpenTelemetry: it is logged, and the application
runs unmonitored.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]  # upstream says: ignore
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import SpanProcessor

from fmd_otel.configuration import config
from fmd_otel.otel_internals import drop_empty_exclusions, root_sampler, sdk_configurator
from fmd_otel.provider import EXPORTER, exporter_names, link, sdk_disabled
from fmd_otel.sampler import KeepEntrySpans
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.util._importlib_metadata import EntryPoint

    from fmd_otel.settings import Settings

logger = logging.getLogger("fmd_otel")

DEFAULTS = {
    # Ours: another distribution's configurator in the same environment would otherwise win by chance.
    "OTEL_PYTHON_CONFIGURATOR": "fmd",
    "OTEL_TRACES_EXPORTER": EXPORTER,
    # Without a collector these would only log that there is none.
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    # gRPC must not be started before a server forks.
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
}
_CONFIG_FILE = "OTEL_CONFIG_FILE"


class FmdDistro(BaseDistro):  # type: ignore[misc]  # untyped upstream
    """Sets defaults, and watches for Flask applications."""

    def _configure(self, **_kwargs: Any) -> None:
        for name, value in DEFAULTS.items():
            if not os.environ.get(name):  # OpenTelemetry takes an empty variable for an unset one
                os.environ[name] = value

    def load_instrumentor(self, entry_point: EntryPoint, **kwargs: Any) -> None:
        """Activate one instrumentation; the one for Flask without what nobody reads."""
        if entry_point.name != "flask":
            super().load_instrumentor(entry_point, **kwargs)
            return
        kwargs.setdefault("enable_commenter", False)
        if os.environ.get("OTEL_METRICS_EXPORTER", "").strip().lower() == "none":
            # A meter without a reader still does all of the work.
            kwargs.setdefault("meter_provider", NoOpMeterProvider())
        super().load_instrumentor(entry_point, **kwargs)
        if _is_wanted() and _settings_or_none() is not None:
            from fmd_otel.launcher import watch_flask  # noqa: PLC0415 # only where there is Flask to watch

            drop_empty_exclusions()
            watch_flask()


_SDKConfigurator: Any = sdk_configurator()


class FmdConfigurator(_SDKConfigurator):  # type: ignore[misc]  # found at run time
    """OpenTelemetry's own configuration, with our span processor for our exporter."""

    def _configure(self, **kwargs: Any) -> None:
        settings = _settings_or_none(log=True) if _is_wanted() else None
        if os.environ.get(_CONFIG_FILE):
            super()._configure(**kwargs)
            if settings is not None:
                _add_to_global_provider(settings)
            return
        if settings is not None:
            kwargs.setdefault("sampler", KeepEntrySpans(root_sampler()))
        kwargs.setdefault("export_span_processor", lambda exporter: _processor_for(exporter, settings))
        super()._configure(**kwargs)


class _Inert(SpanProcessor):
    """Stands where our span processor would, when our settings are wrong."""


def _processor_for(exporter: SpanExporter, settings: Settings | None) -> SpanProcessor:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 # not where monitoring is off

    from fmd_otel_exporter.span_exporter import FmdSpanExporter  # noqa: PLC0415 # the same

    if not isinstance(exporter, FmdSpanExporter):
        return BatchSpanProcessor(exporter)
    return _Inert() if settings is None else _our_processor(settings)


def _our_processor(settings: Settings) -> SpanProcessor:
    from fmd_otel.profiler.span_processor import StackSamplingSpanProcessor  # noqa: PLC0415 # the same

    return StackSamplingSpanProcessor(settings.exporter(), period_ms=settings.sampling_period)


def _add_to_global_provider(settings: Settings) -> None:
    from opentelemetry import trace  # noqa: PLC0415 # only with a declarative configuration

    link(trace.get_tracer_provider(), lambda: _our_processor(settings))


def _is_wanted() -> bool:
    """Tell whether requests are to be recorded; a declarative configuration does not use the variables."""
    return not sdk_disabled() and (EXPORTER in exporter_names() or bool(os.environ.get(_CONFIG_FILE)))


def _settings_or_none(*, log: bool = False) -> Settings | None:
    try:
        return config.settings()
    except FmdOtelError as error:
        if log:
            logger.error("fmd-otel is not active: %s", error)  # noqa: TRY400 # the message says all there is
        return None
