"""Level 3: requests are profiled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.bytecode import Loops
from fmd_otel.profiler.follow import follow_functions, place_here, shared_follower
from fmd_otel.profiler.record import Identity, profile_record
from fmd_otel.profiler.request_profile import RequestProfile
from fmd_otel.profiler.sampler import shared_sampler
from fmd_otel_exporter import attributes

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from fmd_otel.profiler.follow import ContextFollower
    from fmd_otel.profiler.lines import LineResolver
    from fmd_otel.profiler.sampler import Sampler
    from fmd_otel.request_state import RequestState
    from fmd_otel_exporter.records import DetailRecord

PROFILE_LEVEL = 3
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

    def __init__(
        self,
        pipeline: DetailSink,
        resolver: LineResolver,
        *,
        period_ms: float,
        sampler: Sampler | None = None,
    ) -> None:
        """Look every so many milliseconds, and hand profiles to a pipeline."""
        self._pipeline = pipeline
        self._resolver = resolver
        self._period_ns = int(period_ms * 1e6)
        self._sampler = sampler or shared_sampler()
        self._loops = Loops()
        # As many as there are endpoints.
        self._usual_ns: dict[str, float] = {}
        self._follower: ContextFollower | None = None
        self._undo: Callable[[], None] | None = None

    def begin(self, state: RequestState, request: Any) -> None:  # noqa: ARG002 # as all watchers
        """Have a request looked at from now on."""
        is_long = self._usual_ns.get(state.endpoint or "", 0.0) >= self._period_ns
        if self._follower is None:
            self._follow(state.monitor.app)
        state.profile = profile = RequestProfile(
            place_here(BASES),
            start_ns=state.start_ns,
            period_ns=self._period_ns,
            is_long=is_long,
            pid=os.getpid(),
        )
        self._sampler.begin(profile)
        follower = self._follower
        if follower is not None:
            follower.begin(profile)

    def _follow(self, app: Flask) -> None:
        """Follow requests to other threads: not before the first one, as it costs all of them a little."""
        self._follower = shared_follower()
        self._undo = follow_functions(app)

    def describe(self, state: RequestState, request: Any, span: Any) -> None:  # noqa: ARG002 # the same
        """Say on the span that there is a profile, once there is one."""
        profile = state.profile
        if span is not None and profile is not None and profile.samples:
            span.set_attribute(attributes.PROFILE, attributes.PROFILE_SAMPLED)
            span.set_attribute(attributes.PROFILE_PERIOD, profile.period_ns / 1e6)

    def end(self, state: RequestState, now_ns: int) -> None:
        """Have it put together what was seen, off the request's thread."""
        profile, state.profile = state.profile, None
        if profile is None:
            return
        if self._follower is not None:
            self._follower.end(profile)
        endpoint = state.endpoint or ""
        duration_ns = now_ns - state.start_ns
        usual_ns = self._usual_ns.get(endpoint, float(duration_ns))
        self._usual_ns[endpoint] = usual_ns + (duration_ns - usual_ns) * _RECENT
        if duration_ns < self._period_ns:
            profile.samples = 0
        identity = Identity(
            state.monitor.service,
            endpoint,
            state.monitor.version,
            state.ts_ns // 1000,
            state.span_id.to_bytes(8, "big"),
            state.trace_id.to_bytes(16, "big"),
            duration_ns // 1000,
        )

        def deliver(profile: RequestProfile) -> None:
            record = profile_record(identity, profile, self._resolver, self._loops)
            if record is not None:
                self._pipeline.offer_detail(record)

        self._sampler.end(profile, now_ns, deliver)
