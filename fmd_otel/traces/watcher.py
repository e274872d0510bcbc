"""Whose steps are kept: outliers, errors, profiled requests, and a few of every endpoint in every hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import ReadableSpan

from fmd_otel.allowance import Allowance
from fmd_otel.backstage import backstage
from fmd_otel.provider import see_steps
from fmd_otel.traces.document import shape, trace_document
from fmd_otel.traces.entry import entry_attributes
from fmd_otel.traces.steps import TRACE_LEVEL, in_flight
from fmd_otel.watch import NEVER_NS, Ordinary
from fmd_otel_exporter.documents import encode_document
from fmd_otel_exporter.records import TraceRecord

if TYPE_CHECKING:
    from fmd_otel.monitor import Monitor
    from fmd_otel.request_state import RequestState

PROFILE_LEVEL = 3
ORDINARY_EVERY_NS = 360_000_000_000
"""Of each endpoint and process, one ordinary request so often: ten an hour, spread over it."""
SPECIAL_AT_ONCE = 60
SPECIAL_EVERY_S = 2.0
"""Of each endpoint and process, outliers, errors and profiled requests: where all are so, some will do."""
_SERVER_ERROR = 500


class TraceWatcher:
    """Gathers the steps of an application's requests, and keeps some."""

    name = "traces"
    level = TRACE_LEVEL

    def __init__(self, monitor: Monitor, provider: Any) -> None:
        """Hand what is kept to the application's pipeline; its spans come from ``provider``."""
        self._monitor = monitor
        self._provider = provider
        self._flying = in_flight()
        # As many as there are endpoints.
        self._ordinary_ns: dict[str, int] = {}
        self._special = Allowance(SPECIAL_AT_ONCE, SPECIAL_EVERY_S)

    def prepare(self) -> None:
        """Gather from now on; not before, as each processor costs every span of the process a little."""
        see_steps(self._provider)

    def ordinary(self, state: RequestState) -> Ordinary:
        """Return what is neither kept for its own sake nor as one of the ordinary ones."""
        if not isinstance(state.span, ReadableSpan):
            return Ordinary(NEVER_NS, NEVER_NS)
        return Ordinary(NEVER_NS, self._ordinary_ns.get(state.endpoint or "", 0))

    def end(self, state: RequestState, now_ns: int) -> None:
        """Keep the steps, or let them go."""
        span, steps = state.span, self._flying.close(state)
        if not isinstance(span, ReadableSpan):
            return
        spans = () if steps is None else steps.ended
        outlier = state.outlier
        is_outlier = outlier is not None and bool(outlier.is_outlier)
        is_trouble = is_outlier or state.sightings is not None or not 0 < state.status < _SERVER_ERROR
        # Outliers are held against ordinary requests, whatever became of those.
        is_sample = not is_outlier and now_ns >= self._ordinary_ns.get(state.endpoint or "", 0)
        if is_sample:
            self._ordinary_ns[state.endpoint or ""] = now_ns + ORDINARY_EVERY_NS
        elif not (is_trouble or spans) or not self._is_special(state, is_trouble=is_trouble):
            return
        monitor, start_ns = self._monitor, state.ts_ns
        left_out = 0 if steps is None else steps.left_out
        environ, path_values = state.request.environ, state.request.view_args or {}
        query, payload = environ.get("QUERY_STRING", ""), environ.get("CONTENT_LENGTH", "")
        of_request = (
            monitor.service,
            state.endpoint or "",
            monitor.version,
            start_ns // 1000,
            state.span_id.to_bytes(8, "big"),
            state.trace_id.to_bytes(16, "big"),
        )

        def finish() -> None:
            try:
                found = trace_document(spans, start_ns, left_out, monitor.scrubber)
                if is_sample:
                    found["request"] = shape(query, payload)
                found["attributes"], found["scrubbed"] = entry_attributes(
                    span.attributes or {},
                    monitor.scrubber,
                    path_values=path_values,
                    is_trouble=is_trouble,
                    address=state.ip,
                    is_address_chosen=monitor.get_ip is not None,
                )
                document = encode_document(found)
                monitor.pipeline.offer_detail(TraceRecord(*of_request, document))
            except Exception as error:  # noqa: BLE001 # the request is over, and its record is written
                monitor.guard.failed("trace's document", error)

        if not backstage().submit(finish):
            monitor.guard.count("traces that were too many at once")

    def _is_special(self, state: RequestState, *, is_trouble: bool) -> bool:
        """Tell whether it is kept for its own sake: outliers and failures, and profiled ones with steps."""
        wanted = is_trouble or state.level >= PROFILE_LEVEL or state.profile is not None
        return wanted and self._special.take(state.endpoint or "")
