"""What the user's sampler drops is still seen by us, with all of its attributes."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from fmd_otel.sampler import KeepEntrySpans

REMOTE = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(0))


class Seen(SpanProcessor):
    def __init__(self):
        self.started, self.ended = [], []

    def on_start(self, span, parent_context=None):  # noqa: ARG002 # the interface
        self.started.append(dict(span.attributes))

    def on_end(self, span):
        self.ended.append(span)


def tracer(root):
    seen = Seen()
    provider = TracerProvider(sampler=KeepEntrySpans(root))
    provider.add_span_processor(seen)
    return provider.get_tracer("test"), seen


@pytest.mark.parametrize("root", [ALWAYS_OFF, ParentBased(ALWAYS_OFF), TraceIdRatioBased(0)])
def test_a_dropped_entry_span_is_recorded_without_being_sampled(root):
    t, seen = tracer(root)
    with t.start_as_current_span("entry", attributes={"http.route": "/x"}) as span:
        assert span.is_recording()
        assert not span.get_span_context().trace_flags.sampled
    assert seen.started == [{"http.route": "/x"}]
    assert seen.ended[0].attributes["http.route"] == "/x"


def test_spans_below_a_dropped_one_that_nobody_watches_stay_dropped():
    t, seen = tracer(ParentBased(ALWAYS_OFF))
    with t.start_as_current_span("entry"), t.start_as_current_span("child") as child:
        assert not child.is_recording()
    assert [span.name for span in seen.ended] == ["entry"]


def test_an_entry_span_with_a_remote_parent_is_kept():
    t, seen = tracer(ParentBased(ALWAYS_OFF))
    with t.start_as_current_span(
        "entry", context=trace.set_span_in_context(NonRecordingSpan(REMOTE))
    ) as span:
        assert span.get_span_context().trace_id == 0xABC
        assert not span.get_span_context().trace_flags.sampled
    assert len(seen.ended) == 1


def test_what_the_user_samples_stays_sampled():
    t, seen = tracer(ALWAYS_ON)
    with t.start_as_current_span("entry"), t.start_as_current_span("child"):
        pass
    assert [span.context.trace_flags.sampled for span in seen.ended] == [True, True]


def test_the_ratio_of_what_is_exported_is_the_users():
    root = TraceIdRatioBased(0.3)
    kept = KeepEntrySpans(root)
    for number in range(200):
        trace_id = number << 56
        theirs = root.should_sample(None, trace_id, "x").decision
        ours = kept.should_sample(None, trace_id, "x").decision
        assert (ours is Decision.RECORD_AND_SAMPLE) == (theirs is Decision.RECORD_AND_SAMPLE)


def test_the_description_names_both():
    assert KeepEntrySpans(ALWAYS_ON).get_description() == "KeepEntrySpans{AlwaysOnSampler}"
    assert KeepEntrySpans(ALWAYS_ON).root is ALWAYS_ON
