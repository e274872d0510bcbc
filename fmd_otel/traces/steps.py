"""Spans that begin and end inside of watched requests, gathered until it is known whether they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

if TYPE_CHECKING:
    from opentelemetry.context import Context

MOST_STEPS = 500
"""Of one request."""
MOST_IN_FLIGHT = 50_000
"""Of all requests together: spans that have begun, or have ended in a request that has not."""


class Steps:
    """The steps of one request."""

    __slots__ = ("ended", "left_out", "root_id", "seen")

    def __init__(self, root_id: int) -> None:
        """Gather what belongs to a root span."""
        self.root_id = root_id
        self.ended: list[ReadableSpan] = []
        self.seen: list[int] = [root_id]
        """Ids under which others may still look for this."""
        self.left_out = 0


class InFlight:
    """Which running spans belong to a request whose steps are gathered; empty as a rule.

    Plain operations on sets and dictionaries, each a single step of the interpreter: no lock.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.roots: set[int] = set()
        """The requests' own spans, added by these. Most have no steps, and get nothing to gather them in."""
        self.by_span: dict[int, Steps] = {}

    def close(self, root_id: int) -> Steps | None:
        """Gather no more, and return what there is; spans that are still running are forgotten."""
        self.roots.discard(root_id)
        by_span = self.by_span
        steps = by_span.get(root_id) if by_span else None
        if steps is not None:
            for span_id in steps.seen:
                by_span.pop(span_id, None)
        return steps

    def has(self, span_id: int) -> bool:
        """Tell whether what happens below a span is gathered."""
        return span_id in self.roots or span_id in self.by_span

    def begin(self, span_id: int, parent_id: int) -> None:
        """Note a span that begins below another."""
        steps = self.by_span.get(parent_id)
        if steps is None:
            if parent_id not in self.roots:
                return
            steps = self.by_span.setdefault(parent_id, Steps(parent_id))
            if parent_id not in self.roots:  # the request has just ended
                self.by_span.pop(parent_id, None)
                return
        if len(steps.seen) > MOST_STEPS or len(self.by_span) >= MOST_IN_FLIGHT:
            steps.left_out += 1
            return
        steps.seen.append(span_id)
        self.by_span[span_id] = steps

    def end(self, span: ReadableSpan) -> None:
        """Keep a span that has ended; its own steps may go on."""
        context = span.context
        steps = None if context is None else self.by_span.get(context.span_id)
        if steps is not None and context is not None and context.span_id != steps.root_id:
            steps.ended.append(span)


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

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 # the interface
        """Note a span below a watched request's."""
        if not self._flying.roots:
            return
        parent, context = span.parent, span.context
        if parent is not None and context is not None:
            self._flying.begin(context.span_id, parent.span_id)

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it, once it has ended."""
        if self._flying.by_span:
            self._flying.end(span)

    def shutdown(self) -> None:
        """Do nothing: requests close what they have opened."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 # the interface
        """Do nothing: nothing waits here."""
        return True
