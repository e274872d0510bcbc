"""Which TracerProvider an application's spans come from: the user's own if there is one."""

from __future__ import annotations

import logging
import os
import weakref
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider

from fmd_otel.otel_internals import has_exporter, root_sampler
from fmd_otel.sampler import KeepEntrySpans
from fmd_otel.services import is_unnamed
from fmd_otel.traces.steps import StepProcessor
from fmd_otel_exporter.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter

logger = logging.getLogger("fmd_otel")

EXPORTER = "fmd"
"""Our name in ``OTEL_TRACES_EXPORTER``."""
_NONE = "none"
_OTLP_BY_PROTOCOL = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}

_as_found: weakref.WeakKeyDictionary[Any, Resource] = weakref.WeakKeyDictionary()
"""What the user said of the process, for providers of ours: we name them after the first application."""
_processors: weakref.WeakKeyDictionary[Any, _Used] = weakref.WeakKeyDictionary()
"""Providers that carry our span processor."""
_seen: weakref.WeakSet[Any] = weakref.WeakSet()
"""Providers that let us see the steps of requests."""


class Tracing(NamedTuple):
    """A provider, and what it says about the process."""

    provider: Any
    """None: the process has none yet, and ``install`` makes one."""
    resource: Resource | None

    @property
    def service_name(self) -> str | None:
        """The resource's ``service.name``."""
        return self._attribute(SERVICE_NAME)

    @property
    def service_version(self) -> str | None:
        """The resource's ``service.version``."""
        return self._attribute(SERVICE_VERSION)

    def _attribute(self, name: str) -> str | None:
        value = self.resource.attributes.get(name) if self.resource is not None else None
        return str(value) if value else None


def exporter_names(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return what ``OTEL_TRACES_EXPORTER`` names; ours where it is unset, nothing where it says ``none``."""
    environ = os.environ if environ is None else environ
    listed = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not listed:
        return (EXPORTER,)
    names = [name.strip() for name in listed.split(",") if name.strip()]
    return () if names == [_NONE] else tuple(names)


def sdk_disabled(environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether ``OTEL_SDK_DISABLED`` switches everything off."""
    environ = os.environ if environ is None else environ
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def find_tracing(tracer_provider: Any = None) -> Tracing:
    """Find the provider to use: the one given, or the process's own."""
    provider = tracer_provider if tracer_provider is not None else trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return Tracing(None, Resource.create())
    if not hasattr(provider, "add_span_processor"):
        logger.info(
            "%s.%s takes no span processors: requests are recorded, spans of other kinds are not",
            type(provider).__module__,
            type(provider).__qualname__,
        )
    return Tracing(provider, _as_found.get(provider) or getattr(provider, "resource", None))


def install(tracing: Tracing, service: str, version: str) -> Any:
    """Make the process's provider where it has none, with the exporters that are to work beside us.

    Returns:
        The provider in force.
    """
    if tracing.provider is not None:
        return tracing.provider
    resource = tracing.resource or Resource.create()
    known = {}
    if is_unnamed(tracing.service_name):
        known[SERVICE_NAME] = service
    if not tracing.service_version:
        known[SERVICE_VERSION] = version
    provider = TracerProvider(
        sampler=KeepEntrySpans(root_sampler()), resource=resource.merge(Resource(known))
    )
    for name in exporter_names():
        if name != EXPORTER:
            _add_exporter(provider, name)
    trace.set_tracer_provider(provider)
    _as_found[provider] = resource
    return provider


class Link:
    """One application's use of our span processor on its provider."""

    def __init__(self, provider: Any) -> None:
        """Remember the provider."""
        self._provider = provider
        self._is_open = True

    def close(self) -> None:
        """Stop the processor when the last application has gone; a provider has no way of giving it back."""
        if not self._is_open:
            return
        self._is_open = False
        used = _processors.get(self._provider)
        if used is not None:
            used.links -= 1
            if used.links == 0:
                del _processors[self._provider]
                used.processor.shutdown()


class _Used:
    def __init__(self, processor: SpanProcessor) -> None:
        self.processor = processor
        self.links = 0


def link(provider: Any, make_processor: Callable[[], SpanProcessor]) -> Link | None:
    """Give a provider our span processor, once.

    Returns:
        What to close when it is no longer needed; None for a provider that takes none, or that exports to us
        by itself and goes on doing so.
    """
    used = _processors.get(provider)
    if used is None:
        if not hasattr(provider, "add_span_processor") or has_exporter(provider):
            return None
        used = _processors[provider] = _Used(make_processor())
        provider.add_span_processor(used.processor)
    used.links += 1
    return Link(provider)


def see_steps(provider: Any) -> None:
    """Let the steps of requests be seen; once for each provider, which has no way of giving it back."""
    if provider not in _seen and hasattr(provider, "add_span_processor"):
        _seen.add(provider)
        provider.add_span_processor(StepProcessor())


def _add_exporter(provider: TracerProvider, name: str) -> None:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 # only with a second exporter

    entry_name = name
    if name == "otlp":
        protocol = (
            os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
            or "http/protobuf"
        ).strip()
        entry_name = _OTLP_BY_PROTOCOL.get(protocol, "")
        if not entry_name:
            raise SettingsError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r}: expected one of {', '.join(_OTLP_BY_PROTOCOL)}"
            )
    found = next(iter(entry_points(group="opentelemetry_traces_exporter", name=entry_name)), None)
    if found is None:
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER names {name!r}, for which no exporter {entry_name!r} is installed; "
            "install its package, or take the name out"
        )
    exporter: SpanExporter = found.load()()
    provider.add_span_processor(BatchSpanProcessor(exporter))
