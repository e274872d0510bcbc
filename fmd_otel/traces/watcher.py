"""Whose steps are kept: outliers, errors, profiled requests, and a few of every endpoint in every hour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel.allowance import Allowance
from fmd_otel.backstage import backstage
from fmd_otel.otel_internals import SPAN_KEY
from fmd_otel.provider import see_steps
from fmd_otel.traces.document import shape, trace_document
from fmd_otel.traces.entry import entry_attributes
from fmd_otel.traces.steps import in_flight
from fmd_otel_exporter.documents import encode_document
from fmd_otel_exporter.records import TraceRecord

if TYPE_CHECKING:
    from fmd_otel.monitor import Monitor
    from fmd_otel.request_state import RequestState

TRACE_LEVEL = 2
PROFILE_LEVEL = 3
ORDINARY_AT_ONCE = 1
ORDINARY_EVERY_S = 360.0
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
        self._unseen: Any = provider
        self._flying = in_flight()
        self._ordinary = Allowance(ORDINARY_AT_ONCE, ORDINARY_EVERY_S)
        self._special = Allowance(SPECIAL_AT_ONCE, SPECIAL_EVERY_S)

    def begin(self, state: RequestState, request: Any) -> None:
        """Gather from now on."""
        if self._unseen is not None:
            # Not before: each processor costs every span of the process a little.
            see_steps(self._unseen)
            self._unseen = None
        span = request.environ.get(SPAN_KEY)
        if span is not None and span.is_recording():
            state.span = span
            self._flying.open(state.span_id)

    def end(self, state: RequestState, now_ns: int) -> None:  # noqa: ARG002 # as all watchers
        """Keep the steps, or let them go."""
        span = state.span
        if span is None:
            return
        state.span = None
        steps = self._flying.close(state.span_id)
        spans = () if steps is None else steps.ended
        is_sample, is_trouble = self._is_sample(state), _is_outlier(state) or _has_failed(state)
        if not is_sample and not self._is_special(state, is_trouble=is_trouble, has_steps=bool(spans)):
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
                    getattr(span, "attributes", None) or {},
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

    def _is_sample(self, state: RequestState) -> bool:
        """Tell whether outliers are held against this one: taken whatever became of it."""
        return not _is_outlier(state) and self._ordinary.take(state.endpoint or "")

    def _is_special(self, state: RequestState, *, is_trouble: bool, has_steps: bool) -> bool:
        """Tell whether it is kept for its own sake: outliers and failures also without steps."""
        is_profiled = state.level >= PROFILE_LEVEL or state.profile is not None
        wanted = is_trouble or (is_profiled and has_steps)
        return wanted and self._special.take(state.endpoint or "")


def _is_outlier(state: RequestState) -> bool:
    return state.outlier is not None and bool(state.outlier.is_outlier)


def _has_failed(state: RequestState) -> bool:
    return bool(state.sightings) or state.status >= _SERVER_ERROR or not state.status
