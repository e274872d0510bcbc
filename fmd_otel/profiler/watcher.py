"""Level 3: requests are profiled."""

from __future__ import annotations

import inspect
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, Protocol

from fmd_otel.profiler.admission import Admission
from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.bytecode import Loops
from fmd_otel.profiler.exact import ExactProfile, event_profiler, say_once
from fmd_otel.profiler.follow import follow_functions, place_here, profile_of, shared_follower
from fmd_otel.profiler.place import Place, origin_here
from fmd_otel.profiler.record import Identity, profile_record
from fmd_otel.profiler.request_profile import RequestProfile
from fmd_otel.profiler.sampler import shared_sampler
from fmd_otel.watch import NEVER_NS
from fmd_otel_exporter import attributes
from fmd_otel_exporter.native import allocate_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from fmd_otel.profiler.follow import ContextFollower
    from fmd_otel.profiler.lines import LineResolver
    from fmd_otel.profiler.sampler import Profile, Sampler
    from fmd_otel.request_state import RequestState
    from fmd_otel.watch import Frames
    from fmd_otel_exporter.records import DetailRecord

PROFILE_LEVEL = 3
ORDERED_PERIOD_NS = 1_000_000
ORDERED_DUTY = 0.2
"""Share of a core that looking at one ordered request may take where there is nothing better."""
_RECENT = 0.1
"""Weight of a request in how long its endpoint's requests usually last."""


class DetailSink(Protocol):
    """The part of the pipeline that takes profiles."""

    def offer_detail(self, record: DetailRecord) -> None:
        """Take a record; never blocks, never raises."""


class ProfileWatcher:
    """Has the requests of an application looked at."""

    name = "profiler"
    level = PROFILE_LEVEL
    takes_orders = True

    def __init__(
        self,
        pipeline: DetailSink,
        resolver: LineResolver,
        *,
        period_ms: float,
        rate: float = 0.0,
        sampler: Sampler | None = None,
    ) -> None:
        """Look every so many milliseconds, and hand profiles to a pipeline.

        Args:
            pipeline: Takes them.
            resolver: Names their lines.
            period_ms: Time between two looks.
            rate: Profiles a second of one endpoint at the most; 0: all.
            sampler: Instead of the process's own.
        """
        self._pipeline = pipeline
        self._resolver = resolver
        self._period_ns = int(period_ms * 1e6)
        self.sampler = sampler or shared_sampler()
        self._growing = allocate_lock()
        self._loops = Loops()
        self._rate = rate
        self._admissions: dict[str, Admission] = {}
        # As many as there are endpoints.
        self._usual_ns: dict[str, float] = {}
        self._follower: ContextFollower | None = None
        self._undo: Callable[[], None] | None = None

    def begin(self, state: RequestState, request: Any) -> None:
        """Have a request looked at from now on, or from when it will have grown older than a period.

        The latter where requests usually are over by then: note is taken of where it runs, and no more.
        """
        follower = self._follower or self._follow(state.monitor.app)
        if state.is_ordered:
            begun_ns = perf_counter_ns()
            self._begin(state, self._ordered(state, request), begun_ns)
        elif state.greenlet is not None or self._is_long(state):
            if not self._admission(state.endpoint or "").take():
                return
            begun_ns = perf_counter_ns()
            self._begin(state, self._sampled(state, place_here(BASES)), begun_ns)
        else:
            state.origin = origin_here()
            state.profiler = self
        follower.begin(state)

    def _begin(self, state: RequestState, profile: Profile, since_ns: int) -> None:
        state.profile = profile
        self.sampler.begin(profile)
        profile.price_ns += perf_counter_ns() - since_ns

    def look_after(self, state: RequestState, now_ns: int, frames: Frames) -> int:  # noqa: ARG002 # the next look
        """Begin with a request that has grown older than a period."""
        due_ns = state.start_ns + self._period_ns
        if state.profiler is not self:
            return NEVER_NS
        if now_ns < due_ns:
            return due_ns
        self.grow(state)
        return NEVER_NS

    def grow(self, state: RequestState) -> Any:
        """Begin with a request that note was taken of; from any thread.

        Returns:
            Its profile; None if it is not to have one.
        """
        # Whoever comes meanwhile, from a signal handler maybe, does without.
        if not self._growing.acquire(blocking=False):
            return state.profile
        try:
            if state.profiler is self:
                state.profiler = None
                if self._admission(state.endpoint or "").take():
                    self._begin_late(state)
        finally:
            self._growing.release()
        return state.profile

    def _begin_late(self, state: RequestState) -> None:
        begun_ns = perf_counter_ns()
        profile = self._sampled(state, Place(BASES, origin=state.origin))
        self._begin(state, profile, begun_ns)
        # Only now: what its own thread does meanwhile, it does first for us and then by the profile.
        if state.is_sending:
            profile.main.is_sending = True
        if state.done:
            self.sampler.drop(profile, perf_counter_ns())

    def _is_long(self, state: RequestState) -> bool:
        return self._usual_ns.get(state.endpoint or "", 0.0) >= self._period_ns

    def _admission(self, endpoint: str) -> Admission:
        found = self._admissions.get(endpoint)
        # As many as there are endpoints.
        return found or self._admissions.setdefault(endpoint, Admission(self._rate))

    def _sampled(self, state: RequestState, place: Place) -> RequestProfile:
        return RequestProfile(
            place, start_ns=state.start_ns, period_ns=self._period_ns, is_long=self._is_long(state)
        )

    def _ordered(self, state: RequestState, request: Any) -> RequestProfile | ExactProfile:
        """Profile by events, or look as often as is bearable where that cannot be done."""
        view = state.monitor.app.view_functions.get(request.endpoint)
        is_async = inspect.iscoroutinefunction(view)
        set_profile = None if is_async else event_profiler()
        if set_profile is not None:
            return ExactProfile(place_here(BASES), set_profile, start_ns=state.start_ns)
        if not is_async:
            say_once(
                "a request was to be profiled by events, which needs pyinstrument and no other profiler at "
                "work: it is looked at every millisecond instead; pip install 'fmd-otel[profiler]' helps"
            )
        profile = RequestProfile(
            place_here(BASES),
            start_ns=state.start_ns,
            period_ns=ORDERED_PERIOD_NS,
            is_long=True,
        )
        profile.exact = True
        profile.duty = ORDERED_DUTY
        return profile

    def _follow(self, app: Flask) -> ContextFollower:
        """Follow requests to other threads: not before the first one, as it costs all of them a little."""
        self._follower = follower = shared_follower()
        self._undo = follow_functions(app, follower)
        return follower

    def describe(self, state: RequestState, request: Any, span: Any) -> None:  # noqa: ARG002 # the same
        """Say on the span that there is a profile, once there is one."""
        # A body that is made while it is sent will be on and off its thread: that has to be seen from here.
        profile = profile_of(state) if state.streamed else state.profile
        if span is not None and profile is not None and profile.samples:
            how = attributes.PROFILE_EXACT if profile.exact else attributes.PROFILE_SAMPLED
            span.set_attribute(attributes.PROFILE, how)
            span.set_attribute(attributes.PROFILE_PERIOD, profile.period_ns / 1e6)

    def end(self, state: RequestState, now_ns: int) -> None:
        """Have it put together what was seen, off the request's thread."""
        follower, endpoint = self._follower, state.endpoint or ""
        if follower is not None:
            follower.end(state)
        duration_ns = now_ns - state.start_ns
        if not state.is_ordered:
            usual_ns = self._usual_ns.get(endpoint, float(duration_ns))
            self._usual_ns[endpoint] = usual_ns + (duration_ns - usual_ns) * _RECENT
        state.profiler = None
        profile, state.profile = state.profile, None
        if profile is None:
            return  # as most are, before anybody has looked at them
        begun_ns = perf_counter_ns()
        if follower is not None and isinstance(profile, RequestProfile):
            follower.leave(profile)
        if not profile.exact:
            if duration_ns < self._period_ns:
                profile.samples = 0
            if not profile.samples:
                # Most requests of most applications: over before anybody looked.
                self._admission(endpoint).give_back()
                self.sampler.drop(profile, now_ns)
                return
        identity = Identity(
            state.monitor.service,
            endpoint,
            state.monitor.version,
            state.ts_ns // 1000,
            state.span_id.to_bytes(8, "big"),
            state.trace_id.to_bytes(16, "big"),
            duration_ns // 1000,
        )

        profile.price_ns += perf_counter_ns() - begun_ns

        def deliver(profile: Profile) -> None:
            begun_ns = thread_time_ns()
            record = profile_record(identity, profile, self._resolver, self._loops)
            if record is not None:
                price_ns = profile.price_ns + thread_time_ns() - begun_ns
                self._pipeline.offer_detail(record._replace(price_us=price_ns // 1000))

        self.sampler.end(profile, now_ns, deliver)

    def flush(self) -> None:
        """Hand over the profiles of requests that have ended."""
        self.sampler.flush()

    def close(self) -> None:
        """Give the application its own way back of calling functions."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()
