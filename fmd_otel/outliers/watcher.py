"""Which requests are outliers, and what is kept of them."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fmd_otel.allowance import Allowance
from fmd_otel.backstage import backstage
from fmd_otel.outliers.machine import shared_machine
from fmd_otel.outliers.values import describe_values, take_values
from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.frames import frame_dicts
from fmd_otel.profiler.greenlets import frame_of
from fmd_otel.profiler.sampler import shared_sampler
from fmd_otel.profiler.walker import walk
from fmd_otel.watch import NEVER_NS, Ordinary
from fmd_otel_exporter.documents import OutlierDocument, encode_document
from fmd_otel_exporter.records import OutlierRecord

if TYPE_CHECKING:
    from fmd_otel.monitor import Monitor
    from fmd_otel.outliers.values import Values
    from fmd_otel.profiler.lines import LineResolver
    from fmd_otel.profiler.walker import Stack
    from fmd_otel.request_state import RequestState
    from fmd_otel.settings import Settings
    from fmd_otel.watch import Frames
    from fmd_otel_exporter.averages import Average
    from fmd_otel_exporter.records import DetailRecord

OUTLIER_LEVEL = 2
KEPT_AT_ONCE = 60
"""Outliers of one endpoint and process that are kept with all there is; then one in every ``KEPT_EVERY_S``.
The others are recorded with their times alone: where everything is slow, one more tells nothing new."""
KEPT_EVERY_S = 2.0
_ONLY_TIMES = encode_document({"truncated": ["everything"]})
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

    def threshold_ns(self, average: Average) -> int:
        """Return how long a request may take."""
        return max(int(average.us * 1000 * self.constant), 1)


class RunningRequest:
    """A request that may become an outlier: whose stack is wanted if it runs for too long.

    It holds code objects, no frames, and makes no cycle of references for the garbage collector to find.
    """

    __slots__ = (
        "average_us",
        "greenlet",
        "has_passed",
        "is_outlier",
        "stack",
        "stack_ns",
        "thread_id",
        "threshold_ns",
    )

    def __init__(self, average_us: int, threshold_ns: int, thread_id: int, greenlet: Any) -> None:
        """Note what is to be looked at.

        Args:
            average_us: How long requests of its endpoint take.
            threshold_ns: How long is too long.
            thread_id: Identity of the thread it runs on.
            greenlet: The greenlet, where all of them share one thread: what runs on it then may be another
                request.
        """
        self.average_us = average_us
        self.threshold_ns = threshold_ns
        self.thread_id = thread_id
        self.greenlet = greenlet
        self.stack: Stack | None = None
        self.stack_ns = 0
        self.has_passed = False
        self.is_outlier = False

    def take(self, frames: Frames) -> bool:
        """Take the stack; tell whether there was one."""
        greenlet = self.greenlet
        if greenlet is not None:
            frame = frame_of(greenlet, frames(), self.thread_id)
        else:
            frame = frames().get(self.thread_id)
        stack = walk(frame, BASES)
        if not stack.codes:
            return False
        self.stack_ns = perf_counter_ns()
        self.stack = stack
        return True


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
        self.sampler = shared_sampler()
        self._machine = shared_machine()
        self._backstage = backstage()
        self._backstage.ticker = self._machine.tick
        self._allowance = Allowance(KEPT_AT_ONCE, KEPT_EVERY_S)
        self.sampler.on_requests = self._requests_come

    def _requests_come(self, last_ns: int) -> None:
        """Have the machine watched as long as they do; on the sampler's thread."""
        self._machine.keep_awake(last_ns, self._backstage.wake)

    def _running(self, state: RequestState) -> RunningRequest | None:
        """Return how long a request should take, if that is known."""
        average = self._pipeline.average_of(state.monitor.service, state.endpoint or "")
        if average is None or average.n < self._rule.min_requests:
            return None
        greenlet, thread_id = state.greenlet or (None, state.thread_id)
        return RunningRequest(average.us, self._rule.threshold_ns(average), thread_id, greenlet)

    def ordinary(self, state: RequestState) -> Ordinary:
        """Return how long is not too long."""
        running = self._running(state)
        return Ordinary(NEVER_NS if running is None else running.threshold_ns, NEVER_NS)

    def look_after(self, state: RequestState, now_ns: int, frames: Frames) -> int:
        """Take the stack of a request that takes too long, while it still does."""
        running = self._running(state)
        if running is None or state.done:
            return NEVER_NS
        threshold_ns = state.start_ns + running.threshold_ns
        if now_ns < threshold_ns:
            return threshold_ns  # most will be over by then
        state.outlier = running
        if running.take(frames) and not state.done:
            running.has_passed = True
            self._machine.outliers_running += 1
            self._backstage.wake()  # to look at the machine now, and not only when the next look is due
        return NEVER_NS

    def end(self, state: RequestState, now_ns: int) -> None:
        """Keep what an outlier can tell, and leave it to the background thread to put it into words."""
        running: RunningRequest | None = state.outlier
        duration_ns = now_ns - state.start_ns
        if running is None:
            average = self._pipeline.average_of(state.monitor.service, state.endpoint or "")
            if average is None or duration_ns < average.us * 1000 * self._rule.constant:
                return  # as most are, before anybody has looked at them
            running = state.outlier = self._running(state)
            if running is None:
                return
        running.greenlet = None
        if running.has_passed:
            self._machine.outliers_running -= 1
        if duration_ns <= running.threshold_ns or (state.inner is not None and not state.described):
            return
        running.is_outlier = True
        record = self._record(state, running, now_ns)
        if not self._allowance.take(record.endpoint):
            self._pipeline.offer_detail(record)
            return
        values = take_values(state.request)
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
