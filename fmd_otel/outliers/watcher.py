"""Which requests are outliers, and what is kept of them."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fmd_otel.allowance import Allowance
from fmd_otel.backstage import backstage
from fmd_otel.outliers.machine import shared_machine
from fmd_otel.outliers.values import describe_values, take_values
from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.clocks import real_thread_id
from fmd_otel.profiler.frames import frame_dicts
from fmd_otel.profiler.greenlets import current_greenlet, frame_of
from fmd_otel.profiler.sampler import shared_sampler
from fmd_otel.profiler.threshold import Watched
from fmd_otel.profiler.walker import walk
from fmd_otel_exporter.documents import OutlierDocument, encode_document
from fmd_otel_exporter.records import OutlierRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from fmd_otel.monitor import Monitor
    from fmd_otel.outliers.machine import Machine
    from fmd_otel.outliers.values import Values
    from fmd_otel.profiler.lines import LineResolver
    from fmd_otel.profiler.walker import Stack
    from fmd_otel.request_state import RequestState
    from fmd_otel.settings import Settings
    from fmd_otel_exporter.averages import Average
    from fmd_otel_exporter.records import DetailRecord

OUTLIER_LEVEL = 2
KEPT_AT_ONCE = 60
"""Outliers of one endpoint and process that are kept with all there is; then one in every ``KEPT_EVERY_S``.
The others are recorded with their times alone: where everything is slow, one more tells nothing new."""
KEPT_EVERY_S = 2.0
_ONLY_TIMES = encode_document({"truncated": ["everything"]})
_AT_LEAST_NS = 1_000_000
_NO_STATUS = 500


class OutlierSink(Protocol):
    """The part of the pipeline that knows averages and takes outliers."""

    def average_of(self, service: str, endpoint: str) -> Average | None:
        """Return how long requests of an endpoint take of late, if that is known."""

    def offer_detail(self, record: DetailRecord) -> None:
        """Take a record; never blocks, never raises."""


class OutlierRule(NamedTuple):
    """When a request is an outlier."""

    constant: float
    """It takes so many times its endpoint's average,"""
    min_requests: int
    """which is known of so many requests at least."""

    @classmethod
    def of(cls, settings: Settings) -> OutlierRule:
        """Return the one that is configured."""
        return cls(settings.outlier_detection_constant, settings.outlier_min_requests)


class RunningRequest(Watched):
    """A request that may become an outlier.

    Made for every watched request: no more than a note of which thread it runs on, and no cycle of references
    for the garbage collector to find.
    """

    __slots__ = (
        "average_us",
        "greenlet",
        "has_passed",
        "is_outlier",
        "machine",
        "request",
        "stack",
        "stack_ns",
        "thread_id",
        "threshold_ns",
    )

    def __init__(
        self, request: Any, start_ns: int, average_us: int, threshold_ns: int, machine: Machine
    ) -> None:
        """Note on its own thread what is to be looked at when it has run for too long."""
        # Where too much time has gone before the application's own code, a look right now would see ours.
        self.wake_at_ns = max(start_ns + threshold_ns, perf_counter_ns() + _AT_LEAST_NS)
        self.is_over = False
        self.request = request
        self.average_us = average_us
        self.threshold_ns = threshold_ns
        self.machine = machine
        self.stack: Stack | None = None
        self.stack_ns = 0
        self.has_passed = False
        self.is_outlier = False
        self.thread_id = real_thread_id()
        # All greenlets share one thread: what runs on it then may be another request.
        self.greenlet = current_greenlet()

    def take(self, frames: Callable[[], Mapping[int, FrameType]]) -> None:
        """Take the stack, unless the request has ended in the meantime; on the sampler's thread."""
        if self.is_over:
            return
        greenlet = self.greenlet
        if greenlet is not None:
            frame = frame_of(greenlet, frames(), self.thread_id)
        else:
            frame = frames().get(self.thread_id)
        stack = walk(frame, BASES)
        if not stack.codes or self.is_over:
            return
        self.stack_ns = perf_counter_ns()
        self.stack = stack
        self.has_passed = True
        self.machine.outliers_running += 1
        backstage().wake()  # to look at the machine now, and not only when the next look is due


class OutlierWatcher:
    """Finds the outliers of an application."""

    name = "outliers"
    level = OUTLIER_LEVEL

    def __init__(
        self, monitor: Monitor, pipeline: OutlierSink, resolver: LineResolver, rule: OutlierRule
    ) -> None:
        """Find them by a rule, and hand them to a pipeline."""
        self._monitor = monitor
        self._pipeline = pipeline
        self._resolver = resolver
        self._rule = rule
        self._sampler = shared_sampler()
        self._machine = shared_machine()
        self._backstage = backstage()
        self._backstage.ticker = self._machine.tick
        self._allowance = Allowance(KEPT_AT_ONCE, KEPT_EVERY_S)

    def begin(self, state: RequestState, request: Any) -> None:
        """Have a request watched, if it is known how long it should take."""
        average = self._pipeline.average_of(state.monitor.service, state.endpoint or "")
        if average is None or average.n < self._rule.min_requests:
            return
        machine = self._machine
        machine.requested_ns = state.start_ns
        if machine.is_asleep:
            machine.is_asleep = False
            self._backstage.wake()
        threshold_ns = max(int(average.us * 1000 * self._rule.constant), 1)
        state.outlier = running = RunningRequest(request, state.start_ns, average.us, threshold_ns, machine)
        self._sampler.watch(running)

    def end(self, state: RequestState, now_ns: int) -> None:
        """Keep what an outlier can tell, and leave it to the background thread to put it into words."""
        running: RunningRequest | None = state.outlier
        if running is None:
            return
        self._sampler.forget(running)
        request, running.request = running.request, None
        running.greenlet = None
        if running.has_passed:
            self._machine.outliers_running -= 1
        if now_ns - state.start_ns <= running.threshold_ns or (
            state.inner is not None and not state.described
        ):
            return
        running.is_outlier = True
        record = self._record(state, running, now_ns)
        if not self._allowance.take(record.endpoint):
            self._pipeline.offer_detail(record)
            return
        values = take_values(request)
        route, start_ns = state.route, state.start_ns

        def finish() -> None:
            kept = record
            try:
                found = self._described({"route": route}, running, values, (start_ns, now_ns))
                kept = record._replace(**found)
            except Exception as error:  # noqa: BLE001 # recorded all the same
                self._monitor.guard.failed("outlier's document", error)
            self._pipeline.offer_detail(kept)

        if not self._backstage.submit(finish):
            self._pipeline.offer_detail(record)

    def _record(self, state: RequestState, running: RunningRequest, now_ns: int) -> OutlierRecord:
        monitor = state.monitor
        return OutlierRecord(
            monitor.service,
            state.endpoint or "",
            monitor.version,
            state.ts_ns // 1000,
            state.span_id.to_bytes(8, "big"),
            state.trace_id.to_bytes(16, "big"),
            (now_ns - state.start_ns) // 1000,
            running.average_us,
            running.threshold_ns // 1000,
            state.status or _NO_STATUS,
            state.group_by,
            state.ip,
            None,
            None,
            _ONLY_TIMES,
        )

    def _described(
        self, document: OutlierDocument, running: RunningRequest, values: Values, span_ns: tuple[int, int]
    ) -> dict[str, Any]:
        """Return the fields of the record that take time to find out."""
        start_ns, end_ns = span_ns
        document["truncated"] = []
        stack = running.stack
        if stack is not None:
            document["stack"] = frame_dicts(stack, self._resolver)
            document["stack_at_us"] = (running.stack_ns - start_ns) // 1000
            if stack.is_cut:
                document["truncated"].append("stack")
        describe_values(document, values, self._monitor.scrubber)
        self._machine.describe(document, start_ns, running.stack_ns or end_ns, end_ns)
        return {
            "cpu_percent": document.get("cpu_percent"),
            "process_memory_bytes": document.get("memory_process_rss"),
            "document": encode_document(document),
        }
