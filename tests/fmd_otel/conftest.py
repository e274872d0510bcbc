"""An application under observation whose records end in a list."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from flask import Flask
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from fmd_otel import capturing, instrumentation
from fmd_otel.attach import attach
from fmd_otel.backstage import backstage
from fmd_otel.configuration import config
from fmd_otel.monitor import Monitor
from fmd_otel.services import ServiceNames
from fmd_otel.settings import Settings
from fmd_otel_exporter.counters import Failures
from fmd_otel_exporter.settings import ExporterSettings
from tests.ending import DEADLINE_S, end_all_pipelines


@dataclass
class ListSink:
    """Keeps what a pipeline would write."""

    records: list[Any] = field(default_factory=list)
    details: list[Any] = field(default_factory=list)
    infos: list[Any] = field(default_factory=list)
    levels: dict[tuple[str, str], int] = field(default_factory=dict)
    averages: dict[tuple[str, str], Any] = field(default_factory=dict)
    settings: ExporterSettings = field(default_factory=ExporterSettings)
    failures: Failures = field(default_factory=Failures)

    def offer(self, record):
        self.records.append(record)

    def offer_detail(self, record):
        self.details.append(record)

    def accompany(self, begin):
        """Nothing runs beside a list."""

    def announce(self, infos):
        self.infos.extend(infos)

    def average_of(self, service, endpoint):
        return self.averages.get((service, endpoint))

    def level_of(self, service, endpoint):
        return self.levels.get((service, endpoint), 1)

    def force_flush(self, timeout_ms=5000):  # noqa: ARG002 # a pipeline's signature
        return True

    @property
    def only(self):
        """The one record there is."""
        assert len(self.records) == 1, self.records
        return self.records[0]


@dataclass
class Watched:
    app: Flask
    sink: ListSink
    monitor: Monitor
    handle: Any
    spans: InMemorySpanExporter

    def span(self):
        """The request's span, the last one that ended."""
        return self.spans.get_finished_spans()[-1]


@pytest.fixture(autouse=True)
def clean_process(monkeypatch):
    """No variable, setting, provider or work in the background of one test reaches another."""
    for name in list(os.environ):
        if name.startswith(("FMD_OTEL_", "OTEL_")):
            monkeypatch.delenv(name)
    config.reset()
    monkeypatch.setattr(capturing, "_monitors", [])
    monkeypatch.setattr(instrumentation, "service_names", ServiceNames())
    monkeypatch.setattr(instrumentation, "_said", set())
    yield
    assert backstage().drain(DEADLINE_S)
    end_all_pipelines()
    config.reset()


@pytest.fixture
def no_provider(monkeypatch):
    """A process whose global TracerProvider nobody has set."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", Once())


@pytest.fixture
def app():
    application = Flask("shop")

    @application.route("/")
    def index():
        return "hello"

    return application


@pytest.fixture
def sink():
    return ListSink()


@pytest.fixture
def watch(sink):
    """Put an application under observation, with a provider of its own and without a database."""

    def put(  # what a test may want to choose
        app, *, provider=None, sampler=None, service="shop", version="1.0", settings=None, **described
    ):
        spans = InMemorySpanExporter()
        provider = provider or TracerProvider(sampler=sampler)
        provider.add_span_processor(SimpleSpanProcessor(spans))
        monitor = Monitor(app, service=service, version=version, pipeline=sink, **described)
        settings = replace(settings or Settings(), include_dashboard=False)
        handle = attach(app, settings, monitor, sink, None, tracer_provider=provider)
        return Watched(app, sink, monitor, handle, spans)

    return put


@dataclass
class Answer:
    status: str
    headers: list[tuple[str, str]]
    body: bytes


@pytest.fixture
def environ():
    """Make the environment of a request as a server would."""

    def make(path="/", method="GET", **more):
        return {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": "localhost",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            **more,
        }

    return make


@pytest.fixture
def serve(environ):
    """Serve one request as a WSGI server does: iterate to the end, then close."""

    def exchange(app, path="/", method="GET", **more):
        started = []

        def start_response(status, headers, exc_info=None):  # WSGI's signature
            started.append((status, headers))

        body = app(environ(path, method, **more), start_response)
        try:
            content = b"".join(body)
        finally:
            if hasattr(body, "close"):
                body.close()
        status, headers = started[-1]
        return Answer(status, headers, content)

    return exchange
