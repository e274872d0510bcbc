"""Spans that begin and end inside of watched requests, gathered until it is known whether they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from fmd_otel.request_state import RequestState

TRACE_LEVEL = 2
MOST_STEPS = 500
"""Of one request."""
MOST_IN_FLIGHT = 50_000
"""Of all requests together: spans that have begun, or have ended in a request that has not."""


class Steps:
    """The steps of one request."""

    __slots__ = ("ended", "left_out", "seen", "state")

    def __init__(self, state: RequestState) -> None:
        """Gather what belongs to a request."""
        self.state = state
        self.ended: list[ReadableSpan] = []
        self.seen: list[int] = []
        """Ids under which others may still look for this."""
        self.left_out = 0


class InFlight:
    """Which running spans belong to a request whose steps are gathered; empty as a rule.

    A request's own span says which request that is; most have no steps, and get nothing to gather them in.
    Plain operations on attributes and dictionaries, each a single step of the interpreter: no lock.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.by_span: dict[int, Steps] = {}
        """Of each step that is gathered, so that those below it are found, and its end."""

    def close(self, state: RequestState) -> Steps | None:
        """Gather no more, and return what there is; spans that are still running are forgotten.

        The request is done: none of its steps begins any more.
        """
        steps, state.steps = state.steps, None
        if steps is not None:
            for span_id in steps.seen:
                self.by_span.pop(span_id, None)
        return steps

    def has(self, span: Any) -> bool:
        """Tell whether what happens below a span is gathered."""
        return _request_of(span) is not None or span.get_span_context().span_id in self.by_span

    def begin(self, span_id: int, parent_id: int, parent: Any) -> None:
        """Note a span that begins below another.

        Args:
            span_id: Its own id.
            parent_id: That of the other,
            parent: and that one itself, as far as it is known.
        """
        steps = self.by_span.get(parent_id)
        if steps is None:
            state = _request_of(parent)
            if state is None:
                return
            steps = state.steps
            if steps is None:
                steps = state.steps = Steps(state)
        if len(steps.seen) >= MOST_STEPS or len(self.by_span) >= MOST_IN_FLIGHT:
            steps.left_out += 1
            return
        steps.seen.append(span_id)
        self.by_span[span_id] = steps
        if steps.state.done:  # the request has just ended
            self.by_span.pop(span_id, None)

    def end(self, span: ReadableSpan) -> None:
        """Keep a span that has ended; its own steps may go on."""
        context = span.context
        steps = None if context is None else self.by_span.get(context.span_id)
        if steps is not None:
            steps.ended.append(span)


def _request_of(span: Any) -> RequestState | None:
    """Return the request whose own span this is, if its steps are gathered."""
    state: RequestState | None = getattr(span, "fmd_otel_request", None)
    if state is None or state.done or state.level < TRACE_LEVEL or not isinstance(span, ReadableSpan):
        return None
    return state


_shared: list[InFlight] = []


def in_flight() -> InFlight:
    """Return what is in flight in this process."""
    if not _shared:
        _shared.append(InFlight())
    return _shared[0]


class StepProcessor(SpanProcessor):
    """Sees every span of a provider, and looks at those of watched requests only."""

    def __init__(self, flying: InFlight | None = None) -> None:
        """Gather into the steps of this process."""
        self._flying = flying or in_flight()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note a span below a watched request's."""
        parent, context = span.parent, span.context
        if parent is not None and context is not None:
            self._flying.begin(context.span_id, parent.span_id, trace.get_current_span(parent_context))

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it, once it has ended."""
        if self._flying.by_span:
            self._flying.end(span)

    def shutdown(self) -> None:
        """Do nothing: requests close what they have opened."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 # the interface
        """Do nothing: nothing waits here."""
        return True
