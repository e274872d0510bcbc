"""A sampler that keeps counting what the user's sampler drops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from fmd_otel.traces.steps import in_flight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, SpanKind, TraceState
    from opentelemetry.util.types import Attributes


class KeepEntrySpans(Sampler):
    """Wraps the sampler the user chose; its decisions about what is exported stay as they are.

    A span that enters this process (a request, a message) and that the user's sampler drops is recorded all
    the same, without the sampled flag: our span processor sees it, exporters do not. Spans below it stay
    dropped, as nobody reads them and each would cost the application its microseconds; unless it is a request
    at level 2 or 3, whose steps may be wanted.

    The SDK's ``AlwaysRecordSampler`` does nearly this, but loses the attributes a span was started with.
    """

    def __init__(self, root: Sampler) -> None:
        """Wrap ``root``."""
        self._root = root
        self._flying = in_flight()

    @property
    def root(self) -> Sampler:
        """The sampler that decides what is exported."""
        return self._root

    def should_sample(  # noqa: PLR0913, PLR0917 # the interface it implements
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide as the user's sampler does, but keep entry spans."""
        result = self._root.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )
        if result.decision is not Decision.DROP:
            return result
        span = trace.get_current_span(parent_context)
        parent = span.get_span_context()
        if parent.is_valid and not parent.is_remote and not self._flying.has(span):
            return result
        return SamplingResult(Decision.RECORD_ONLY, attributes, result.trace_state)

    def get_description(self) -> str:
        """Name the sampler and the one it wraps."""
        return f"KeepEntrySpans{{{self._root.get_description()}}}"
