"""The one thread of a process that looks at the stacks of all its requests.

It comes with the first request that is to be looked at, sleeps while there is none, and is made anew in a
forked worker. Everything but taking note of a request happens here, and not on the request's thread.
"""

from __future__ import annotations

import atexit
import os
import random
import time
from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from fmd_otel.guard import Guard
from fmd_otel.profiler.credit import Pace
from fmd_otel.profiler.request_profile import DUTY, Moment
from fmd_otel.profiler.sites import WaitingSites
from fmd_otel.profiler.walker import collector_at_rest, current_frames
from fmd_otel.watch import NEVER_NS
from fmd_otel_exporter.forks import Forks
from fmd_otel_exporter.native import Signal, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import FrameType

    from fmd_otel.profiler.exact import ExactProfile
    from fmd_otel.profiler.request_profile import RequestProfile
    from fmd_otel.watch import Frames

    Profile: TypeAlias = RequestProfile | ExactProfile
    Deliver: TypeAlias = Callable[[Any], None]

NOT_BEFORE_NS = 1_000_000
"""A request is let alone for so long after it came: before, one would see but ourselves at work."""
LINGER_NS = 1_000_000_000
"""The thread stays awake so long after the last request began: waking it would cost each of them more."""
MOST_LOOKS = 128
"""Requests that are looked at in one go; the others come next."""
MOST_COMPLETE = 512
"""Ended requests that may wait to be put together; beyond it, the oldest are dropped and counted."""
LATE_NS = 100_000_000
"""A thread so late for its turn may not be there: servers written in C fork without Python's hooks."""
WATCH_PERIODS = 2
"""So many periods between turns while there is no request that is looked at by now: most are over before they
would be, and waking for them in vain costs more than all else that is done for them."""
OLD_PERIODS = 0.5
"""A request that has been running for so many periods may be worth a look."""
CHECK_PERIODS = WATCH_PERIODS - OLD_PERIODS
"""So often whoever begins a request looks whether another is worth a look, and has the thread take it."""
MOST_STRETCH = 5
"""As long as requests come often enough to do so, there are turns so many times less often."""
PROMPT_NS = 2_000_000
"""Woken later than this, some thread had to be interrupted first."""
MOST_QUICK_TURNS = 5
"""So many turns with nobody to look at may pass before it is told that requests come."""
SAVINGS_NS = 5_000_000
"""CPU time that may be saved up for a turn that costs more than others."""
_LATEST = WATCH_PERIODS + 1
_LONGEST_SLEEP_NS = 1_000_000_000
_USUAL_PERIOD_NS = 10_000_000
_FOLDS_A_TURN = 32
_JITTER = 0.15
_PARKED_S = 3600.0
_RESTART_AFTER_S = 1.0
_FLUSH_POLL_S = 0.002


class Noted(Protocol):
    """A request that somebody will look at if it lasts long enough."""

    start_ns: int
    due_ns: int
    """When that is, by ``perf_counter_ns``; 0: soon; ``NEVER_NS``: it is looked at no more."""
    profiler: Any
    """Who is going to profile it; None: nobody, or somebody does so already."""

    def look_after(self, now_ns: int, frames: Frames) -> None:
        """Look at it, and set ``due_ns`` anew."""


class Sampler:
    """Looks at the stacks of requests in flight."""

    def __init__(self) -> None:
        """Prepare; nothing is started before it is needed."""
        self.guard = Guard()
        self.on_requests: Callable[[int], None] | None = None
        """Told at most once a turn when the last request came (``perf_counter_ns``), as long as some come."""
        self.notes: set[Noted] = set()
        """Requests that are looked after, as long as they are in here: added on their own threads by whoever
        wants it, see ``look_round``, and taken out again at their end."""
        self._exit_registered = False
        self._forks = Forks()
        self._reset()

    def _reset(self) -> None:
        """Begin anew in this process: requests of the parent are the parent's, and so is its thread."""
        self._profiles: dict[int, Profile] = {}
        self.notes.clear()
        self._complete: deque[Profile] = deque(maxlen=MOST_COMPLETE)
        self._signal = Signal()
        self._sites = WaitingSites()
        self._pace = Pace()
        self._running = False
        self._starting: list[None] = [None]
        self._start_after = 0.0
        self._parked = False
        self._period_ns = self._sampled_period_ns = _USUAL_PERIOD_NS
        self._wake_ns = 0
        # Whoever comes between these, by perf_counter_ns, has nothing to do: a turn or a check is near.
        self.calm_from_ns = self.calm_until_ns = 0
        self._quick_turns = MOST_QUICK_TURNS
        self._checks = 0
        self._stretch = 1
        self._last_begin_ns = self._told_ns = 0
        self._account_ns = SAVINGS_NS
        self._account_at_ns = perf_counter_ns()
        self._is_busy = False
        self.dropped = 0
        self.looks = 0
        self._pid = os.getpid()  # last: whoever reads it goes on with the rest

    def _notice_fork(self) -> None:
        self._forks.notice(lambda: self._pid, self._reset)

    # From request threads

    def begin(self, profile: Profile) -> None:
        """Look at a request from now on."""
        if self._pid != os.getpid():  # servers written in C fork without Python's hooks
            self._notice_fork()
        profile.pid = self._pid
        self._profiles[id(profile)] = profile
        self._last_begin_ns = profile.start_ns
        period_ns = profile.period_ns
        if not profile.exact:
            self._sampled_period_ns = period_ns
        if self._parked or not self._running or self._wake_ns - profile.start_ns > period_ns * _LATEST:
            self._wake()

    def end(self, profile: Profile, now_ns: int, deliver: Deliver) -> bool:
        """Look at a request no more; ``deliver`` is called from the sampler's thread.

        Returns:
            Whether anything was learnt of it; otherwise ``deliver`` is not called.
        """
        profile.end(now_ns)
        kept = profile.samples > 0 and profile.pid == self._pid
        if kept:
            profile.deliver = deliver
            if len(self._complete) >= MOST_COMPLETE:
                self.dropped += 1
            self._complete.append(profile)
        self._profiles.pop(id(profile), None)
        return kept

    def drop(self, profile: Profile, now_ns: int) -> None:
        """Look at a request no more, of which nothing is to be kept."""
        profile.end(now_ns)
        self._profiles.pop(id(profile), None)

    def look_round(self, request: Noted) -> None:
        """Wake the thread if it is not about to take a turn, or if there is somebody to look at.

        For whoever adds a request to ``notes``, unless it has begun between ``calm_from_ns`` and
        ``calm_until_ns``. It is looked at once it is old, or later by ``WATCH_PERIODS`` of the finest period.
        """
        self._last_begin_ns = now_ns = request.start_ns
        until_turn_ns = self._wake_ns - now_ns
        is_near = -LATE_NS < until_turn_ns < _LATEST * self._period_ns * self._stretch
        if not is_near or self._parked or not self._running:
            if self._pid != os.getpid():  # not asked of every request: some systems take long to answer
                self._notice_fork()
                self.notes.add(request)
                self._last_begin_ns = now_ns
            self._wake()
            return
        self.calm_until_ns = now_ns + int(self._period_ns * CHECK_PERIODS)
        self._checks += 1
        if self._is_one_old(now_ns):
            self._signal.set()

    def _is_one_old(self, now_ns: int) -> bool:
        """Tell whether anybody should have a look at one of the requests that are looked after."""
        old_ns = now_ns - int(self._period_ns * OLD_PERIODS)
        return any(each.due_ns <= now_ns and each.start_ns <= old_ns for each in list(self.notes))

    @property
    def in_flight(self) -> int:
        """Return how many requests are being looked at, or after."""
        return len(self._profiles) + len(self.notes)

    # From whoever ends the app

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Wait until every ended request has been put together and handed over.

        Returns:
            Whether that has happened.
        """
        deadline = time.monotonic() + timeout_s
        while self._pid == os.getpid() and self._running and (self._complete or self._is_busy):
            if time.monotonic() > deadline:
                return False
            self._signal.set()
            time.sleep(_FLUSH_POLL_S)
        return True

    # The thread

    def _wake(self) -> None:
        """Wake the thread, starting it if there is none; never at the expense of the request."""
        if self._running:
            self._signal.set()
            return
        if time.monotonic() < self._start_after:
            return
        try:
            self._starting.pop()  # one thread gets it
        except IndexError:
            return
        try:
            start_thread(self._run, "fmd-otel-profiler")
        except Exception as error:  # noqa: BLE001 # out of threads, or the interpreter is exiting
            self.guard.failed("the profiler's thread", error)
            self._start_after = time.monotonic() + _RESTART_AFTER_S
            self._starting.append(None)
        else:
            self._running = True

    def _run(self) -> None:
        wake_ns = perf_counter_ns()
        while True:
            try:
                wake_ns = self._turn(wake_ns)
            except Exception as error:  # noqa: BLE001 # one request that cannot be read is not the end of all
                self.guard.failed("a look at the stacks", error)
                wake_ns = perf_counter_ns() + _LONGEST_SLEEP_NS
            wake_ns = self._sleep(wake_ns)

    def _turn(self, wake_ns: int) -> int:
        """Do what is due.

        Args:
            wake_ns: When it was meant to begin.

        Returns:
            When the next turn is to begin.
        """
        now_ns = perf_counter_ns()
        if not (self._profiles or self._complete or self._is_one_old(now_ns)):
            return now_ns + self._watch_ns()
        self._stretch = 1
        cpu_before_ns = time.thread_time_ns()
        looked_at = self._look(now_ns, wake_ns)
        looked_ns = time.thread_time_ns() - cpu_before_ns
        for profile in looked_at:
            profile.price_ns += looked_ns // len(looked_at)
        self._deliver()
        self._tell()
        return self._next_turn_ns(perf_counter_ns(), looked_ns)

    def _watch_ns(self) -> int:
        """Return how long to wait while there is nobody to look at, by doing as little as possible.

        Requests that come often look round for old ones by themselves, at a hundredth of what a turn costs.
        """
        self._quick_turns += 1
        if self._quick_turns > MOST_QUICK_TURNS:
            self._quick_turns = 0
            self._tell()
        self._period_ns = self._sampled_period_ns
        self._stretch = min(self._stretch * 2, MOST_STRETCH) if self._checks >= self._stretch else 1
        self._checks = 0
        # Never in step with what the application does in periods of its own.
        share = 1 - _JITTER + 2 * _JITTER * random.random()  # noqa: S311 # no secret
        return int(self._period_ns * WATCH_PERIODS * self._stretch * share)

    def _tell(self) -> None:
        # Where turns are frequent, nobody looks round.
        last_ns = max((each.start_ns for each in list(self.notes)), default=0)
        last_ns = self._last_begin_ns = max(last_ns, self._last_begin_ns)
        told = self.on_requests
        if told is not None and last_ns != self._told_ns:
            self._told_ns = last_ns
            try:
                told(last_ns)
            except Exception as error:  # noqa: BLE001 # whatever it is for, looking goes on
                self.guard.failed("news of requests", error)

    def _next_turn_ns(self, now_ns: int, looked_ns: int) -> int:
        if self._complete:
            return now_ns
        profiles, notes = list(self._profiles.values()), list(self.notes)
        # Those that tell by themselves need no looks.
        periods_ns = [each.period_ns for each in profiles if each.due_ns < NEVER_NS]
        self._period_ns = min(periods_ns, default=self._sampled_period_ns)
        # Never in step with what the application does in periods of its own.
        wait_ns = int(self._period_ns * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 # no secret
        if not self._will_find_one(profiles, notes, now_ns):
            wait_ns *= WATCH_PERIODS
        first_due_ns = min((each.due_ns for each in (*profiles, *notes)), default=now_ns)
        duty = max((each.duty for each in profiles), default=0.0) or DUTY
        wait_ns = max(wait_ns, first_due_ns - now_ns, self._spend(now_ns, looked_ns, duty))
        return now_ns + min(wait_ns, _LONGEST_SLEEP_NS)

    def _will_find_one(self, profiles: Sequence[Profile], notes: Sequence[Noted], now_ns: int) -> bool:
        """Tell whether there is one to look at in a period's time that is not over by then, as most are."""
        soon_ns, old_ns = now_ns + self._period_ns // 2, now_ns - self._period_ns // 2
        return any(each.samples or each.due_ns <= soon_ns for each in profiles) or any(
            each.due_ns <= soon_ns and each.start_ns <= old_ns and each.profiler is not None for each in notes
        )

    def _spend(self, now_ns: int, looked_ns: int, duty: float) -> int:
        """Keep account of what looking costs.

        Returns:
            How long to do without, where more was spent than there was.
        """
        earned_ns = int((now_ns - self._account_at_ns) * duty)
        self._account_at_ns = now_ns
        self._account_ns = min(self._account_ns + earned_ns, SAVINGS_NS) - looked_ns
        return int(-self._account_ns / duty) if self._account_ns < 0 else 0

    def _look(self, now_ns: int, wake_ns: int) -> Sequence[Profile]:
        """Look at all that are due, and return those that are profiled."""
        young_ns = now_ns - NOT_BEFORE_NS
        grown = [each for each in list(self.notes) if each.due_ns <= now_ns and each.start_ns <= young_ns]
        if not grown and not self._profiles:
            return ()
        frames = _Frames()
        is_prompt = 0 <= now_ns - wake_ns < PROMPT_NS
        moment = Moment(now_ns, is_prompt, frames.get, self._sites, self._pace)
        with collector_at_rest:
            try:
                for request in grown:
                    request.look_after(now_ns, frames.get)
                    if request.due_ns >= NEVER_NS:
                        self.notes.discard(request)
                due = self._due(now_ns)
                for profile in due:
                    if not profile.ended:
                        profile.look(moment)
                        self.looks += 1
            finally:
                frames.clear()
        return due

    def _due(self, now_ns: int) -> list[Profile]:
        soon_ns = now_ns + self._period_ns // 4
        due = [each for each in list(self._profiles.values()) if each.due_ns <= soon_ns]
        if len(due) > MOST_LOOKS:
            due.sort(key=lambda each: each.due_ns)
            del due[MOST_LOOKS:]
        return due

    def _deliver(self) -> None:
        """Put ended requests together, a few at a time: looking must not wait for it."""
        self._is_busy = True
        try:
            for _ in range(_FOLDS_A_TURN):
                try:
                    profile = self._complete.popleft()
                except IndexError:
                    return
                self._deliver_one(profile)
        finally:
            self._is_busy = False

    def _deliver_one(self, profile: Profile) -> None:
        if not self._exit_registered:
            # Only now: what runs at exit runs in reverse order, and this has to come before the pipeline's.
            self._exit_registered = True
            atexit.register(self.flush)
        deliver = profile.deliver
        cpu_before_ns = time.thread_time_ns()
        try:
            if deliver is not None:
                end = Moment(
                    profile.end_ns,
                    is_prompt=False,
                    frames=current_frames,
                    sites=self._sites,
                    pace=self._pace,
                )
                profile.look(end)
                profile.price_ns += time.thread_time_ns() - cpu_before_ns
                deliver(profile)
        except Exception as error:  # noqa: BLE001 # one profile that fails is not the end of all
            self.guard.failed("a profile", error)

    def _sleep(self, wake_ns: int) -> int:
        """Sleep until a time, or until somebody comes.

        Returns:
            When it was to end.
        """
        now_ns = perf_counter_ns()
        if not self.in_flight and not self._complete and now_ns - self._last_begin_ns > LINGER_NS:
            self._parked = True
            self.calm_until_ns = 0
            self._quick_turns, self._stretch = MOST_QUICK_TURNS, 1
            if not self.in_flight and not self._complete:
                self._signal.wait(_PARKED_S)
            self._parked = False
            return 0
        self._wake_ns = wake_ns
        self.calm_from_ns = wake_ns - _LATEST * self._period_ns * self._stretch
        self.calm_until_ns = now_ns + int(self._period_ns * CHECK_PERIODS)
        self._signal.wait((wake_ns - now_ns) / 1e9)
        return wake_ns


class _Frames:
    """The frames of all threads, asked for at most once a turn, and never kept beyond it."""

    def __init__(self) -> None:
        self._found: Mapping[int, FrameType] | None = None

    def get(self) -> Mapping[int, FrameType]:
        if self._found is None:
            self._found = current_frames()
        return self._found

    def clear(self) -> None:
        self._found = None


_shared: list[Sampler] = []


def shared_sampler() -> Sampler:
    """Return this process's sampler, the same one for all its applications."""
    if not _shared:
        _shared.append(Sampler())
    return _shared[0]
