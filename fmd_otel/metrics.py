"""What the monitoring says of itself as OpenTelemetry metrics, where the user has somewhere to send them.

Instruments are observable: nothing is counted twice, and a request pays nothing. They are made once for each
meter provider. Where the process has none yet, those of the API's own stand-in become real with the one that
is set later, and until then say nothing.
"""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry import metrics
from opentelemetry.metrics import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fmd_otel.monitor import Monitor
    from fmd_otel_exporter.counters import PipelineCounters
    from fmd_otel_exporter.pipeline import Pipeline

logger = logging.getLogger("fmd_otel")

METER = "fmd_otel"
Values = dict[tuple[str, str], float]
"""By the name and value of an attribute; both are empty for a number that has none of its own."""

_pipelines: list[Pipeline] = []
"""Those whose numbers are told; one for each database that an application of this process writes to."""
_failures: weakref.WeakKeyDictionary[Monitor, tuple[Pipeline, Mapping[str, int]]] = (
    weakref.WeakKeyDictionary()
)
_metered: weakref.WeakSet[Any] = weakref.WeakSet()
"""Meter providers that have our instruments."""
_globally: list[bool] = []
"""Whether the process's own has, whichever that turns out to be."""


class Instrument(NamedTuple):
    """One metric."""

    name: str
    kind: str
    """``counter``, ``up_down_counter`` or ``gauge``."""
    unit: str
    description: str
    read: Callable[[PipelineCounters], Values]
    merge: Callable[[Iterable[float]], float] = sum
    """Puts the numbers of several pipelines together."""


def _plain(value: float) -> Values:
    return {("", ""): value}


def _by(attribute: str, counts: Mapping[str, int]) -> Values:
    return {(attribute, name): n for name, n in counts.items()}


INSTRUMENTS = (
    Instrument(
        "fmd_otel.requests.accepted", "counter", "{request}",
        "Requests handed over by the application, and those taken over from processes that died",
        lambda c: _plain(c.accepted),
    ),
    Instrument(
        "fmd_otel.requests.written", "counter", "{request}",
        "Requests that are in the database through this process", lambda c: _plain(c.written),
    ),
    Instrument(
        "fmd_otel.requests.replayed", "counter", "{request}",
        "Of these, the ones of processes that died", lambda c: _plain(c.replayed),
    ),
    Instrument(
        "fmd_otel.requests.duplicate", "counter", "{request}",
        "Requests that the database had already", lambda c: _plain(c.duplicate),
    ),
    Instrument(
        "fmd_otel.requests.dropped", "counter", "{request}",
        "Requests that are lost, by reason: spool_full, memory_full, file_lost, unwritable, refused",
        lambda c: _by("reason", c.dropped),
    ),
    Instrument(
        "fmd_otel.details.written", "counter", "{detail}",
        "Profiles, outliers, exceptions, traces in the database", lambda c: _plain(c.details_written),
    ),
    Instrument(
        "fmd_otel.details.dropped", "counter", "{detail}",
        "Profiles, outliers, exceptions and traces that had to give way", lambda c: _plain(c.details_dropped),
    ),
    Instrument(
        "fmd_otel.queue.depth", "up_down_counter", "{request}",
        "Requests that wait for the database", lambda c: _plain(c.queue_depth),
    ),
    Instrument(
        "fmd_otel.spool.size", "up_down_counter", "By",
        "What waits on disk", lambda c: _plain(c.spool_bytes),
    ),
    Instrument(
        "fmd_otel.batches", "counter", "{batch}",
        "Batches written", lambda c: _plain(c.batches),
    ),
    Instrument(
        "fmd_otel.batch.time", "counter", "s",
        "Time spent on writing them", lambda c: _plain(c.batch_us / 1e6),
    ),
    Instrument(
        "fmd_otel.batch.duration.last", "gauge", "s",
        "How long the newest batch took", lambda c: _plain(c.batch_last_us / 1e6), max,
    ),
    Instrument(
        "fmd_otel.batch.duration.max", "gauge", "s",
        "How long the slowest batch took so far", lambda c: _plain(c.batch_max_us / 1e6), max,
    ),
    Instrument(
        "fmd_otel.retries", "counter", "{retry}",
        "How often the database could not be used", lambda c: _plain(c.retries),
    ),
    Instrument(
        "fmd_otel.failures", "counter", "{failure}",
        "How often something of fmd-otel, or group_by or get_ip, failed in a request, by place",
        lambda c: _by("place", c.failures),
    ),
)  # fmt: skip


def observe(monitor: Monitor, pipeline: Pipeline, meter_provider: Any = None) -> None:
    """Tell of an application's pipeline from now on, and tell the pipeline of the application's failures.

    Args:
        monitor: The application.
        pipeline: Where its requests go.
        meter_provider: The one given by the user; without it the process's own.
    """
    counts = monitor.guard.counts
    pipeline.failures.watch(counts)
    _failures[monitor] = (pipeline, counts)
    if not any(each is pipeline for each in _pipelines):
        _pipelines.append(pipeline)
    try:
        _make_instruments(meter_provider)
    except Exception as error:  # noqa: BLE001 # a provider of any make; the application must start all the same
        logger.warning("fmd-otel cannot tell of itself by metrics: %s", error)


def forget(monitor: Monitor) -> None:
    """Leave an application's failures out from now on; what its pipeline has counted stays so."""
    found = _failures.pop(monitor, None)
    if found is not None:
        pipeline, counts = found
        pipeline.failures.unwatch(counts)


def _make_instruments(given: Any) -> None:
    own = metrics.get_meter_provider()
    provider = own if given is None else given
    is_own = provider is own
    known = provider in _metered or (is_own and bool(_globally))
    if is_own and not _globally:
        _globally.append(True)
    if known:
        return
    _metered.add(provider)
    meter = provider.get_meter(METER)
    for instrument in INSTRUMENTS:
        make = getattr(meter, f"create_observable_{instrument.kind}")
        make(
            instrument.name,
            callbacks=[_callback(instrument)],
            unit=instrument.unit,
            description=instrument.description,
        )


def _callback(instrument: Instrument) -> Callable[[Any], list[Observation]]:
    def read(_options: Any) -> list[Observation]:
        return observations(instrument, [pipeline.counters() for pipeline in _pipelines])

    return read


def observations(instrument: Instrument, counters: Iterable[PipelineCounters]) -> list[Observation]:
    """Return what a metric says of some pipelines of this process.

    The process is named by an attribute: the SDK does not name it by itself, and processes of one application
    would take each other's numbers for their own.
    """
    merged: dict[tuple[str, str], list[float]] = {}
    for each in counters:
        for key, value in instrument.read(each).items():
            merged.setdefault(key, []).append(value)
    process = {"process.pid": os.getpid()}
    return [
        Observation(instrument.merge(values), process | ({name: value} if name else {}))
        for (name, value), values in merged.items()
    ]
