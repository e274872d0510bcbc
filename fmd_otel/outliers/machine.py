"""How the host and the process fared, around the time when a request took too long.

Readings are taken on the background thread, once a second while requests are watched and more often while
one takes too long: what the processors did can only be told as the difference of two.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmd_otel_exporter.documents import OutlierDocument

USUAL_S = 1.0
"""Between two readings."""
CLOSE_S = 0.25
"""While an outlier runs."""
LINGER_NS = 5_000_000_000
"""How long readings go on after the last request came."""
MOST_READINGS = 300
MOST_SAMPLES = 120
"""Memory readings that are stored of one request."""
_LEAST_NS = 150_000_000
"""The system counts in hundredths of a second: over a shorter time, shares mean nothing."""
_FRESH_NS = 50_000_000
"""A reading so shortly before the moment is one of the moment."""


class Reading(NamedTuple):
    """What was seen at one moment; None where the system does not tell."""

    at_ns: int
    """By ``perf_counter_ns``."""
    cores: tuple[tuple[float, float], ...]
    """Seconds that each core was busy, and that there were."""
    process_s: float | None
    """CPU time of the process."""
    rss: int | None
    threads: int | None
    host_used: int | None
    host_total: int | None


class Machine:
    """What is known of the host and the process; one for the process."""

    def __init__(self) -> None:
        """Begin with no readings."""
        self.readings: deque[Reading] = deque(maxlen=MOST_READINGS)
        self.is_asleep = True
        self.requested_ns = 0
        """When the last request came that may become an outlier."""
        self.outliers_running = 0
        self._pid = self._awake_in = 0
        self._process: Any = None

    def keep_awake(self, requested_ns: int, wake: Callable[[], Any]) -> None:
        """Have readings taken, as requests come that may become outliers.

        Args:
            requested_ns: When the last one came, by ``perf_counter_ns``.
            wake: Begins to call ``tick``.
        """
        self.requested_ns = requested_ns
        if self.is_asleep or self._awake_in != os.getpid():
            self.is_asleep = False
            self._awake_in = os.getpid()
            wake()

    def tick(self) -> float | None:
        """Take a reading; tell in how many seconds the next one is due, if at all."""
        if perf_counter_ns() - self.requested_ns > LINGER_NS:
            self.is_asleep = True
            self.outliers_running = 0
            return None
        self.is_asleep = False
        self.look()
        return CLOSE_S if self.outliers_running > 0 else USUAL_S

    def look(self) -> Reading:
        """Take a reading."""
        import psutil  # noqa: PLC0415 # not before somebody is watched

        if self._pid != os.getpid():
            self._pid, self._process = os.getpid(), psutil.Process()
            self.readings.clear()
        cores: tuple[tuple[float, float], ...] = ()
        process_s = rss = threads = used = total = None
        # Each for itself: what a container hides must not hide the rest.
        with contextlib.suppress(Exception):
            cores = tuple(_busy(times) for times in psutil.cpu_times(percpu=True))
        with contextlib.suppress(Exception), self._process.oneshot():
            times = self._process.cpu_times()
            process_s = times.user + times.system
            rss, threads = self._process.memory_info().rss, self._process.num_threads()
        with contextlib.suppress(Exception):
            memory = psutil.virtual_memory()
            used, total = memory.total - memory.available, memory.total
        reading = Reading(perf_counter_ns(), cores, process_s, rss, threads, used, total)
        self.readings.append(reading)
        return reading

    def describe(self, document: OutlierDocument, start_ns: int, at_ns: int, end_ns: int) -> None:
        """Write into a document how things were.

        Args:
            document: An outlier's.
            start_ns: When the request came.
            at_ns: The moment that matters: when it had taken too long.
            end_ns: When it was over.
        """
        readings = list(self.readings)
        moment_ns = at_ns - _FRESH_NS
        if not readings or readings[-1].at_ns < moment_ns:
            readings.append(self.look())
        then = next((reading for reading in readings if reading.at_ns >= moment_ns), readings[-1])
        pair = _around(readings, moment_ns)
        if pair is not None:
            _describe_load(document, *pair)
        if then.host_used is not None and then.host_total is not None:
            document["memory_host_used"], document["memory_host_total"] = then.host_used, then.host_total
        if then.rss is not None:
            document["memory_process_rss"] = then.rss
        if then.threads is not None:
            document["thread_count"] = then.threads
        document["memory_samples"] = _memory(readings, start_ns, end_ns)
        document["worker_pid"] = os.getpid()
        with contextlib.suppress(OSError):
            document["hostname"] = socket.gethostname()
        with contextlib.suppress(OSError, AttributeError):
            document["load_average"] = [round(load, 2) for load in os.getloadavg()]


def _busy(times: Any) -> tuple[float, float]:
    fields = times._asdict()
    # The time of guests is in that of users already.
    total = sum(fields.values()) - fields.get("guest", 0.0) - fields.get("guest_nice", 0.0)
    return total - fields.get("idle", 0.0) - fields.get("iowait", 0.0), total


def _around(readings: Sequence[Reading], at_ns: int) -> tuple[Reading, Reading] | None:
    """Return the two readings to compare: the closest ones around a moment that are far enough apart.

    Where the machine was not looked at before, that is later in the request; for a short one, there are none.
    """
    for then in readings:
        if then.at_ns < at_ns:
            continue
        for before in reversed(readings):
            if then.at_ns - before.at_ns >= _LEAST_NS:
                return before, then
    return None


def _describe_load(document: OutlierDocument, before: Reading, then: Reading) -> None:
    shares = [
        _percent(now[0] - past[0], now[1] - past[1])
        for past, now in zip(before.cores, then.cores, strict=False)
    ]
    if shares:
        document["cpu_percent_per_core"] = shares
        document["cpu_percent"] = round(sum(shares) / len(shares), 1)
    if before.process_s is not None and then.process_s is not None:
        seconds = (then.at_ns - before.at_ns) / 1e9
        document["process_cpu_percent"] = round(100 * (then.process_s - before.process_s) / seconds, 1)


def _percent(busy: float, total: float) -> float:
    return round(min(max(100 * busy / total, 0.0), 100.0), 1) if total > 0 else 0.0


def _memory(readings: Sequence[Reading], start_ns: int, end_ns: int) -> list[list[int]]:
    """Return the process's memory while the request ran, with one reading before it where there is one."""
    samples = [
        [(reading.at_ns - start_ns) // 1000, reading.rss]
        for reading in readings
        if reading.rss is not None and reading.at_ns <= end_ns
    ]
    first = next((index for index, sample in enumerate(samples) if sample[0] >= 0), len(samples))
    samples = samples[max(first - 1, 0) :]
    step = -(-len(samples) // MOST_SAMPLES) or 1
    return samples[::step]


_shared: list[Machine] = []


def shared_machine() -> Machine:
    """Return the one of this process."""
    if not _shared:
        _shared.append(Machine())
    return _shared[0]
