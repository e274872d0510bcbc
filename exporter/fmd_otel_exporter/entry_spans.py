"""Which of the spans that end in this process are requests still to be counted."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from fmd_otel_exporter import attributes as names
from fmd_otel_exporter.decode import is_flask, record_from_span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from fmd_otel_exporter.pipeline import Pipeline

_MOST_PARENTS = 4096


class EntrySpans:
    """Hands the entry spans among ended spans to a pipeline, each request once.

    A request may have two entry spans: that of a WSGI or ASGI middleware and, inside it, Flask's. The inner
    one ends first and knows more, so it is counted, and the outer one is remembered to be left out.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        """Count into a pipeline."""
        self._pipeline = pipeline
        self._counted_inside: OrderedDict[tuple[int, int], None] = OrderedDict()

    def offer(self, span: ReadableSpan) -> None:
        """Count a span if it is a request that nobody has counted."""
        recorded = bool(span.attributes and span.attributes.get(names.RECORDED))
        inner = recorded or is_flask(span)
        if inner and span.parent is not None and not span.parent.is_remote:
            self._counted_inside[span.parent.trace_id, span.parent.span_id] = None
            if len(self._counted_inside) > _MOST_PARENTS:
                self._counted_inside.popitem(last=False)
        if recorded:
            return
        context = span.context
        if not inner and context is not None and (context.trace_id, context.span_id) in self._counted_inside:
            self._counted_inside.pop((context.trace_id, context.span_id), None)
            return
        record = record_from_span(span)
        if record is not None:
            level = self._pipeline.level_of(record.service, record.endpoint)
            self._pipeline.offer(record._replace(level=level))
