"""Spans of real instrumentations and hand-made ones: what is read, and that each request counts once."""

from __future__ import annotations

import threading
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, abort
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from sqlalchemy import select

from fmd_otel_exporter import attributes as names
from fmd_otel_exporter.decode import record_from_span
from fmd_otel_exporter.span_exporter import FmdSpanExporter
from fmd_otel_exporter.span_processor import FmdSpanProcessor
from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmd_otel_exporter.pipeline import Pipeline
    from fmd_otel_exporter.records import RequestRecord

START_NS = 1_790_164_800_000_000_000
REMOTE = set_span_in_context(
    NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(1)))
)
OLD = {
    "http.method": "GET",
    "http.status_code": 200,
    "http.route": "/cart/<int:id>",
    "net.peer.ip": "10.0.0.1",
}
NEW = {
    "http.request.method": "GET",
    "http.response.status_code": 200,
    "http.route": "/cart/<int:id>",
    "client.address": "10.0.0.1",
}


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> Iterator[TracerProvider]:
    resource = Resource({"service.name": "shop", "service.version": "2.1"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


@pytest.fixture
def span(provider: TracerProvider, spans: InMemorySpanExporter) -> Callable[..., Any]:
    """Make and end one span; keyword arguments say what is special about it."""

    def make(  # each test names the one it is about
        attributes: dict[str, Any] = NEW,
        *,
        kind: SpanKind = SpanKind.SERVER,
        scope: str = "someone",
        context: Any = None,
        took_ns: int = 5_000_999,
        then: Callable[[Any], None] = lambda _: None,
    ) -> Any:
        one = provider.get_tracer(scope).start_span(
            "GET /", context, kind, attributes, start_time=START_NS + 1_999
        )
        then(one)
        one.end(START_NS + 1_999 + took_ns)
        return spans.get_finished_spans()[-1]

    return make


@pytest.mark.parametrize("attributes", [OLD, NEW], ids=["old spelling", "new spelling"])
def test_both_spellings_of_the_conventions_are_read(span, attributes: dict[str, Any]):
    one = span(attributes)
    assert record_from_span(one)._asdict() == {
        "service": "shop",
        "endpoint": "GET /cart/<int:id>",
        "ts_us": START_NS // 1000 + 1,
        "span_id": one.context.span_id.to_bytes(8, "big"),
        "trace_id": one.context.trace_id.to_bytes(16, "big"),
        "duration_us": 5_000,
        "status": 200,
        "method": "GET",
        "version": "2.1",
        "group_by": None,
        "ip": "10.0.0.1",
        "headers_us": None,
        "level": 1,
        "route": "/cart/<int:id>",
        "blueprint": None,
    }


def test_our_own_attributes_win(span):
    own = {
        names.ENDPOINT: "shop.cart",
        names.BLUEPRINT: "shop",
        names.VERSION: "3",
        names.GROUP_BY: "(User,3)",
    }
    record = record_from_span(span(NEW | own))
    assert (record.endpoint, record.blueprint, record.version, record.group_by) == (
        "shop.cart",
        "shop",
        "3",
        "(User,3)",
    )


@pytest.mark.parametrize(
    ("status", "name"), [(404, "unmatched:4xx"), (405, "unmatched:4xx"), (301, "unmatched:3xx")]
)
def test_paths_without_a_route_share_a_name_for_each_class_of_status(span, status: int, name: str):
    record = record_from_span(span({"http.method": "GET", "http.target": "/a/b", "http.status_code": status}))
    assert (record.endpoint, record.route) == (name, None)


@pytest.mark.parametrize("method", ["GET", "_OTHER", "HTTP", "BREW", "M-SEARCH" * 9])
def test_odd_methods_are_kept(span, method: str):
    assert record_from_span(span(NEW | {"http.request.method": method})).method == method


def test_an_exception_without_a_status_is_a_500(span):
    bare = {"http.method": "GET", "http.route": "/"}
    assert record_from_span(span(bare, then=lambda s: s.record_exception(ValueError("x")))).status == 500
    assert record_from_span(span(bare, then=lambda s: s.set_status(Status(StatusCode.ERROR)))).status == 500
    assert record_from_span(span(bare)).status == 0
    assert record_from_span(span(bare | {"http.status_code": "201"})).status == 201


@pytest.mark.parametrize("status", ["odd", float("inf"), float("nan"), -1, 1000, 2**31, 2**63])
def test_a_status_that_is_none_is_unknown_and_makes_no_name_of_its_own(span, status: object):
    odd = {"http.method": "GET", "http.target": "/a", "http.status_code": status}
    record = record_from_span(span(odd))
    assert (record.status, record.endpoint) == (0, "unmatched:0xx")
    failed = record_from_span(span(odd, then=lambda s: s.record_exception(ValueError("x"))))
    assert (failed.status, failed.endpoint) == (500, "unmatched:5xx")


def test_clocks_that_step_back_give_no_negative_duration(span):
    assert record_from_span(span(took_ns=-10_000_000)).duration_us == 0


def test_spans_that_are_no_requests_are_left_alone(span, provider: TracerProvider):
    parent = provider.get_tracer("x").start_span("local parent")
    local = set_span_in_context(parent)
    assert record_from_span(span(kind=SpanKind.CLIENT)) is None
    assert record_from_span(span(kind=SpanKind.INTERNAL)) is None
    assert record_from_span(span(context=local)) is None
    assert record_from_span(span({"rpc.system": "grpc"})) is None
    assert record_from_span(span({})) is None
    assert record_from_span(span(context=REMOTE)) is not None
    # Flask's own span is INTERNAL when something else is current.
    flask = span(kind=SpanKind.INTERNAL, context=local, scope="opentelemetry.instrumentation.flask")
    assert record_from_span(flask) is not None


def test_a_service_without_a_version_has_one_called_unknown(provider: TracerProvider):
    provider._resource = Resource({})
    one = provider.get_tracer("other scope").start_span("GET /", kind=SpanKind.SERVER, attributes=NEW)
    one.end()
    record = record_from_span(one)
    assert (record.service, record.version) == ("unknown_service", "unknown")


# Through processor and exporter


class Recording:
    """Stands in for nothing: it only keeps what a pipeline would be handed."""

    def __init__(self) -> None:
        self.records: list[RequestRecord] = []
        self.flushed = 0

    def offer(self, record: RequestRecord) -> None:
        self.records.append(record)

    def level_of(self, _service: str, endpoint: str) -> int:
        return 3 if endpoint == "GET /deep" else 1

    def force_flush(self, timeout_ms: int = 5000) -> bool:
        self.flushed = timeout_ms
        return True


@pytest.fixture
def recording(provider: TracerProvider) -> Recording:
    recording = Recording()
    provider.add_span_processor(FmdSpanProcessor(pipeline=recording))
    return recording


@pytest.fixture
def app() -> Flask:
    app = Flask("shop")

    @app.get("/")
    def index() -> str:
        return "hello"

    @app.get("/gone")
    def gone() -> str:
        abort(410)

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("broken")

    @app.get("/deep")
    def deep() -> str:
        return "deep"

    return app


@pytest.fixture
def instrumented(app: Flask, provider: TracerProvider) -> Iterator[Flask]:
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    yield app
    FlaskInstrumentor().uninstrument_app(app)


def test_requests_of_an_instrumented_app_are_counted(instrumented: Flask, recording: Recording):
    client = instrumented.test_client()
    for path in ("/", "/gone", "/broken", "/deep", "/no/such/page"):
        client.get(path)
    client.post("/")
    assert [(r.endpoint, r.status, r.method, r.level) for r in recording.records] == [
        ("GET /", 200, "GET", 1),
        ("GET /gone", 410, "GET", 1),
        ("GET /broken", 500, "GET", 1),
        ("GET /deep", 200, "GET", 3),
        ("unmatched:4xx", 404, "GET", 1),
        ("unmatched:4xx", 405, "POST", 1),
    ]


def test_an_exception_that_reaches_the_server_is_a_500(instrumented: Flask, recording: Recording):
    instrumented.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ValueError, match="broken"):
        instrumented.test_client().get("/broken")
    assert [(r.endpoint, r.status) for r in recording.records] == [("GET /broken", 500)]


def test_a_request_counted_by_the_app_side_is_not_counted_again(span, recording: Recording):
    span(NEW | {names.RECORDED: True})
    assert recording.records == []


def test_a_request_with_a_gateways_span_around_it_counts_once(
    instrumented: Flask, provider: TracerProvider, recording: Recording
):
    instrumented.wsgi_app = OpenTelemetryMiddleware(instrumented.wsgi_app, tracer_provider=provider)
    instrumented.test_client().get("/")
    assert [r.endpoint for r in recording.records] == ["GET /"]


@pytest.mark.parametrize("attributes", [NEW | {names.RECORDED: True}, NEW], ids=["recorded", "not recorded"])
def test_an_outer_entry_span_is_left_out_where_the_inner_one_was_counted(
    span, provider: TracerProvider, recording: Recording, attributes: dict[str, Any]
):
    outer = provider.get_tracer("asgi").start_span("GET", kind=SpanKind.SERVER, attributes=NEW)
    inside = {"kind": SpanKind.INTERNAL, "context": set_span_in_context(outer)}
    span(attributes, scope="opentelemetry.instrumentation.flask", **inside)
    outer.end()
    assert len(recording.records) == (attributes is NEW)
    span()
    assert len(recording.records) == 1 + (attributes is NEW)


def test_an_app_called_by_another_one_in_the_same_process_counts_for_itself(
    instrumented: Flask, recording: Recording
):
    @instrumented.get("/outer")
    def outer() -> str:
        return instrumented.test_client().get("/").text

    assert instrumented.test_client().get("/outer").text == "hello"
    assert [r.endpoint for r in recording.records] == ["GET /", "GET /outer"]


def test_the_memory_for_outer_spans_is_bounded(span, provider: TracerProvider, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.entry_spans._MOST_PARENTS", 10)
    processor = FmdSpanProcessor(pipeline=Recording())
    parent = provider.get_tracer("x").start_span("never ends")
    for _ in range(50):
        parent = provider.get_tracer("x").start_span("never ends")
        processor.on_end(
            span(scope="opentelemetry.instrumentation.flask", context=set_span_in_context(parent))
        )
    assert len(processor._entries._counted_inside) == 10


def test_no_exception_of_ours_reaches_the_app(span, recording: Recording, caplog):
    recording.offer = lambda _: 1 / 0
    for _ in range(5):
        span()
    assert sum("could not count a span" in entry.getMessage() for entry in caplog.records) == 1


def test_a_closed_processor_counts_no_more_and_has_flushed(span):
    recording = Recording()
    processor = FmdSpanProcessor(pipeline=recording)
    assert processor.force_flush(77)
    assert recording.flushed == 77
    processor.shutdown()
    processor.on_end(span())
    assert recording.records == []
    assert recording.flushed == 5000


def test_an_exporter_under_a_batch_processor_writes_every_request_once(
    instrumented: Flask, provider: TracerProvider, url: str
):
    exporter = FmdSpanExporter(url, "exp")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=20))
    threads = [
        threading.Thread(target=lambda: [instrumented.test_client().get("/") for _ in range(20)])
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.force_flush()
    assert exporter.force_flush()
    store = open_store(url, "exp")
    with store.read() as connection:
        assert len(connection.execute(select(store.tables.request)).all()) == 60
    store.dispose()


def test_processor_and_exporter_side_by_side_count_a_request_once(
    instrumented: Flask, provider: TracerProvider, pipeline: Pipeline, url: str, sums
):
    provider.add_span_processor(FmdSpanProcessor(pipeline=pipeline))
    exporter = FmdSpanExporter(url)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for _ in range(10):
        instrumented.test_client().get("/")
    assert pipeline.force_flush()
    assert exporter.force_flush()
    store = open_store(url)
    assert set(sums(store).values()) == {10}
    store.dispose()


def test_an_exporter_fails_only_when_closed(span, url: str):
    exporter = FmdSpanExporter(url)
    one = span()
    assert exporter.export([one, None, one]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert exporter.export([one]) is SpanExportResult.FAILURE


def test_an_exporter_reports_success_while_the_database_is_away(span, tmp_path):
    exporter = FmdSpanExporter(f"sqlite:///{tmp_path}/none/fmd.db")
    assert exporter.export([span()]) is SpanExportResult.SUCCESS
    assert not exporter.force_flush(200)


def test_the_exporter_takes_its_database_from_the_environment(monkeypatch, url: str):
    monkeypatch.setenv("FMD_OTEL_DATABASE", url)
    monkeypatch.setenv("FMD_OTEL_TABLE_PREFIX", "env")
    settings = FmdSpanExporter()._pipeline.settings
    assert (settings.database, settings.table_prefix) == (url, "env")


def test_the_exporter_is_found_by_its_name():
    (found,) = entry_points(group="opentelemetry_traces_exporter", name="fmd")
    assert found.load() is FmdSpanExporter
