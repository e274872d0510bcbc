"""Profiles by spans: of requests that no recorder of ours sees, and of work in other threads."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context

from fmd_otel.otel_internals import current_request_context
from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.bytecode import Loops
from fmd_otel.profiler.follow import place_here, shared_follower
from fmd_otel.profiler.lines import LineResolver
from fmd_otel.profiler.place import depth_of_caller
from fmd_otel.profiler.record import Identity, profile_record
from fmd_otel.profiler.request_profile import RequestProfile
from fmd_otel.profiler.sampler import shared_sampler
from fmd_otel.request_state import STATE_KEY
from fmd_otel_exporter.decode import is_entry, record_from_span
from fmd_otel_exporter.level_rule import MAX_LEVEL
from fmd_otel_exporter.span_processor import FmdSpanProcessor

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from fmd_otel.profiler.place import Place
    from fmd_otel.profiler.sampler import Sampler
    from fmd_otel_exporter.pipeline import Pipeline
    from fmd_otel_exporter.settings import ExporterSettings

PROFILE_LEVEL = MAX_LEVEL
_PERIOD_MS = 10.0
_MOST_SPANS = 4096


class StackSamplingSpanProcessor(FmdSpanProcessor):
    """Counts requests by their spans, as its base does, and looks at the stacks of those at level 3.

    Requests of a Flask application that is instrumented by ``fmd_otel`` are looked at from their recorder,
    which knows more of them; this one takes care of all others in the process, whatever made their spans.
    """

    def __init__(
        self,
        settings: ExporterSettings | None = None,
        *,
        pipeline: Pipeline | None = None,
        resolver: LineResolver | None = None,
        period_ms: float = _PERIOD_MS,
        sampler: Sampler | None = None,
    ) -> None:
        """Count and profile into a pipeline, by default the one of the settings or the environment."""
        super().__init__(settings, pipeline=pipeline)
        self._resolver = resolver or LineResolver()
        self._period_ns = int(period_ms * 1e6)
        self._sampler = sampler or shared_sampler()
        self._loops = Loops()
        self._profiles: dict[int, RequestProfile] = {}
        self._helpers: dict[int, Place] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Begin to look at a request, or at a further thread of one."""
        try:
            self._begin(span, parent_context)
        except Exception as error:  # noqa: BLE001 # an exception here would reach whoever makes the span
            self._sampler.guard.failed("the start of a span", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Put together what was seen, and count the span."""
        try:
            if self._profiles or self._helpers:
                self._end(span)
        except Exception as error:  # noqa: BLE001 # the same
            self._sampler.guard.failed("the end of a span", error)
        super().on_end(span)

    def _begin(self, span: Span, parent_context: Context | None) -> None:
        if self._sampler.in_flight:
            context = parent_context if parent_context is not None else otel_context.get_current()
            profile = shared_follower().profile_in(context)
            if isinstance(profile, RequestProfile):
                self._follow(span, profile)
                return
        if is_entry(span) and not _has_recorder() and self._is_wanted():
            profile = RequestProfile(
                place_here(BASES, outer=depth_of_caller()),
                start_ns=perf_counter_ns(),
                period_ns=self._period_ns,
                is_long=True,
            )
            if len(self._profiles) < _MOST_SPANS:  # spans that never end
                self._profiles[span.get_span_context().span_id] = profile
                self._sampler.begin(profile)

    def _follow(self, span: Span, profile: RequestProfile) -> None:
        """Look at this thread as long as the span lasts, if it is none of those of its request yet."""
        if profile.main.is_here() or not profile.can_be_helped() or len(self._helpers) >= _MOST_SPANS:
            return
        if not any(each.is_here() for each in profile.followed):
            helper = place_here(frozenset(), outer=depth_of_caller())
            profile.add_helper(helper)
            self._helpers[span.get_span_context().span_id] = helper

    def _is_wanted(self) -> bool:
        """Tell whether any request at all is to be profiled: which one this is shows when it ends."""
        return self._pipeline.highest_level() >= PROFILE_LEVEL

    def _end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None:
            return
        helper = self._helpers.pop(context.span_id, None)
        if helper is not None:
            helper.end()
        profile = self._profiles.pop(context.span_id, None)
        if profile is None:
            return
        record = record_from_span(span)
        if record is None or self._pipeline.level_of(record.service, record.endpoint) < PROFILE_LEVEL:
            profile.samples = 0  # nobody wants it
            self._sampler.end(profile, perf_counter_ns(), lambda _: None)
            return
        identity = Identity(
            record.service,
            record.endpoint,
            record.version,
            record.ts_us,
            record.span_id,
            record.trace_id,
            record.duration_us,
        )

        def deliver(profile: RequestProfile) -> None:
            made = profile_record(identity, profile, self._resolver, self._loops)
            if made is not None:
                self._pipeline.offer_detail(made)

        self._sampler.end(profile, perf_counter_ns(), deliver)


def _has_recorder() -> bool:
    """Tell whether this is a Flask request that a recorder of ours sees."""
    context = current_request_context()
    return context is not None and STATE_KEY in context.request.environ
