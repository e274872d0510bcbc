"""Spans in, without a second queue: ended entry spans go straight to the pipeline."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from fmd_otel_exporter.entry_spans import EntrySpans
from fmd_otel_exporter.pipeline import shared_pipeline
from fmd_otel_exporter.settings import ExporterSettings

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from fmd_otel_exporter.pipeline import Pipeline

_log = logging.getLogger("fmd_otel")


class FmdSpanProcessor(SpanProcessor):
    """Counts requests by their spans.

    Used instead of OpenTelemetry's batch processor, whose 5 s delay would make the dashboard lag and whose
    settings belong to the user's other exporters; the delay here is ``FMD_OTEL_DELAY_MS``, 500 ms unless set.
    """

    def __init__(self, settings: ExporterSettings | None = None, *, pipeline: Pipeline | None = None) -> None:
        """Count into a pipeline, by default the one of the settings; they default to the environment's."""
        self._pipeline = pipeline or shared_pipeline(settings or ExporterSettings.from_env())
        self._entries = EntrySpans(self._pipeline)
        self._closed = False
        self._warned = False

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing: what counts is known at the end."""

    def on_end(self, span: ReadableSpan) -> None:
        """Count the span if it is a request; an error of ours must not reach the app, which calls this."""
        if self._closed:
            return
        try:
            self._entries.offer(span)
        except Exception:  # noqa: BLE001 # an exception here would reach the WSGI server
            if not self._warned:
                self._warned = True
                _log.warning(
                    "fmd-otel could not count a span; further failures are not reported", exc_info=True
                )

    def shutdown(self) -> None:
        """Stop counting and flush; the pipeline may serve others and stays open."""
        self._closed = True
        self._pipeline.force_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until all requests counted so far are in the database."""
        return self._pipeline.force_flush(timeout_millis)
