"""Requests that no recorder of ours sees are profiled by their spans."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

from fmd_otel.otel_internals import has_exporter
from fmd_otel.profiler.span_processor import StackSamplingSpanProcessor
from fmd_otel_exporter.records import ProfileRecord
from tests.fmd_otel.profiler.conftest import FLUSH_S

if TYPE_CHECKING:
    from fmd_otel.profiler.sampler import Sampler


@dataclass
class Pipeline:
    level: int
    highest: int
    records: list[Any] = field(default_factory=list)

    def offer(self, record):
        self.records.append(record)

    offer_detail = offer

    def level_of(self, *_names):
        return self.level

    def highest_level(self):
        return self.highest

    def force_flush(self, *_arguments):
        return True


@dataclass
class Traced:
    pipeline: Pipeline
    sampler: Sampler
    provider: TracerProvider

    @property
    def profiles(self):
        assert self.sampler.flush(FLUSH_S)
        return [record for record in self.pipeline.records if isinstance(record, ProfileRecord)]

    @property
    def requests(self):
        return [record for record in self.pipeline.records if not isinstance(record, ProfileRecord)]


@pytest.fixture
def traced(sampler):
    def make(level=3, highest=3):
        pipeline = Pipeline(level, highest)
        provider = TracerProvider()
        provider.add_span_processor(
            StackSamplingSpanProcessor(pipeline=pipeline, period_ms=2, sampler=sampler)
        )
        return Traced(pipeline, sampler, provider)

    return make


def a_request(provider):
    tracer = provider.get_tracer("some.framework")
    with tracer.start_as_current_span(
        "GET /x", kind=SpanKind.SERVER, attributes={"http.method": "GET", "http.route": "/x"}
    ):
        served_by_some_framework()


def served_by_some_framework():
    time.sleep(0.1)


def test_a_request_of_another_framework_is_profiled(traced, tree):
    found = traced()
    a_request(found.provider)
    [record], [request] = found.profiles, found.requests
    for name in ("service", "endpoint", "version", "ts_us", "span_id", "trace_id", "duration_us"):
        assert getattr(record, name) == getattr(request, name)
    assert record.endpoint == "GET /x"
    path = tree(record).paths("served_by_some_framework")[0]
    assert path[0].endswith("a_request"), "the frames outside of who made the span are not the request's"
    assert tree(record).share("served_by_some_framework") > 0.1


@pytest.mark.parametrize(("level", "highest"), [(1, 1), (2, 2), (1, 3)])
def test_one_that_nobody_wants_profiled_is_counted_only(traced, level, highest):
    found = traced(level, highest)
    a_request(found.provider)
    assert (found.profiles, len(found.requests), found.sampler.in_flight) == ([], 1, 0)


def test_flask_without_a_recorder_of_ours_is_profiled(traced, app, serve, tree):
    found = traced()
    app.add_url_rule("/slow", "slow", lambda: served_by_some_framework() or "x")
    FlaskInstrumentor.instrument_app(app, tracer_provider=found.provider)
    serve(app, "/slow")
    [record] = found.profiles
    assert record.endpoint == "GET /slow"
    path = tree(record).paths("served_by_some_framework")[0]
    assert path[0] == "Flask.dispatch_request"


def test_flask_with_one_is_not_profiled_twice(traced, app, watch, serve):
    found = traced()
    app.add_url_rule("/slow", "slow", lambda: served_by_some_framework() or "x")
    watch(app, provider=found.provider)
    serve(app, "/slow")
    assert found.profiles == []
    assert found.sampler.in_flight == 0


def test_spans_that_never_end_fill_no_memory(traced, monkeypatch):
    monkeypatch.setattr("fmd_otel.profiler.span_processor._MOST_SPANS", 3)
    found = traced()
    tracer = found.provider.get_tracer("some.framework")
    spans = [tracer.start_span("x", kind=SpanKind.SERVER) for _ in range(10)]
    assert found.sampler.in_flight == 3
    for span in spans:
        span.end()
    assert found.sampler.in_flight == 0


def test_a_failure_of_ours_does_not_reach_whoever_makes_spans(traced, monkeypatch):
    found = traced()

    def explode(*_arguments):
        raise RuntimeError("ours")

    monkeypatch.setattr(found.sampler, "begin", explode)
    monkeypatch.setattr(found.sampler, "end", explode)
    a_request(found.provider)
    assert len(found.requests) == 1
    assert set(found.sampler.guard.counts) == {"the start of a span", "the end of a span"}


def test_a_provider_that_has_it_has_an_exporter_of_ours(traced):
    assert has_exporter(traced().provider)
