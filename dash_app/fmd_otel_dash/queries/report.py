"""Reporting: two periods, or two versions, endpoint by endpoint, and what differs beyond chance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fmd_otel_dash.queries.counts import NOTHING, Counts
from fmd_otel_dash.queries.latency import by_endpoint, latency_of_each
from fmd_otel_dash.queries.look import Endpoint, Look, look
from fmd_otel_dash.queries.scope import US_PER_S, Pair
from fmd_otel_dash.queries.series import Steps, series_of_each
from fmd_otel_dash.stats.findings import Finding, Measure, Threshold, judged
from fmd_otel_dash.stats.percentiles import percentiles
from fmd_otel_dash.stats.significance import (
    latency_shift,
    percentile_shift,
    presence,
    rate_change,
    share_change,
)
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_dash.queries.latency import Grouped
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.series import Series
    from fmd_otel_dash.stats.significance import Effect
    from fmd_otel_exporter.store import Store

_HOUR_S = 3600
_HOURS_UP_TO_S = 8 * DAY_S
"""Traffic is compared hour by hour in periods up to this long, day by day in longer ones."""


@dataclass(frozen=True)
class Side:
    """One endpoint in one of the two periods."""

    counts: Counts
    latency: dict[int, int] = field(hash=False)
    """Bucket and requests."""
    p50_us: float | None
    p95_us: float | None


@dataclass(frozen=True)
class EndpointReport:
    """What became of one endpoint."""

    endpoint: Endpoint
    before: Side
    after: Side
    findings: dict[Measure, Finding] = field(hash=False)
    """By measure; what could not be tested, for want of requests, is not there."""

    @property
    def lost_us(self) -> float:
        """Time that people spent waiting which they would not have spent before; negative: time won.

        Requests of the later period times the change of their mean. 0 where there is nothing to compare.
        """
        old, new = self.before.counts.mean_us, self.after.counts.mean_us
        return 0.0 if old is None or new is None else self.after.counts.n * (new - old)

    @property
    def matters(self) -> bool:
        """Whether anything about it is worth reporting; an endpoint that came or went is."""
        return any(each.matters for each in self.findings.values())

    @property
    def worse(self) -> bool:
        """Whether it got slower or fails more often."""
        return any(each.worse for each in self.findings.values())

    @property
    def came(self) -> bool:
        """Whether it is requested since, and was not before; not one that just happened not to be."""
        return not self.before.counts.n and self.matters

    @property
    def went(self) -> bool:
        """Whether it is no longer requested, likewise by more than chance."""
        return not self.after.counts.n and self.matters


@dataclass(frozen=True)
class Report:
    """All endpoints that were requested on either side."""

    pairs: tuple[Pair, ...]
    """What was compared with what: one pair, or one for each service."""
    threshold: Threshold
    endpoints: tuple[EndpointReport, ...]
    """Most time lost first."""
    last_recorded_us: int | None = None
    """Newest recorded request, sought only where neither side has any."""

    @property
    def regressions(self) -> tuple[EndpointReport, ...]:
        """Those that got slower or fail more often."""
        return tuple(each for each in self.endpoints if each.worse)

    def pair_of(self, endpoint: Endpoint) -> Pair:
        """Return what of an endpoint was compared with what."""
        return next(pair for pair in self.pairs if pair.of_service(endpoint.service))

    @property
    def n_before(self) -> int:
        """Requests to compare with; without any, nothing has been compared."""
        return sum(each.before.counts.n for each in self.endpoints)

    @property
    def n_after(self) -> int:
        """Requests that were compared."""
        return sum(each.after.counts.n for each in self.endpoints)


def report(
    store: Store, before: Scope, after: Scope, threshold: Threshold | None = None, *, traffic: bool = True
) -> Report:
    """Compare two scopes.

    Args:
        store: where the requests are.
        before: the earlier period, or the version to compare with.
        after: the later period, or the version in question.
        threshold: when a difference is a finding.
        traffic: whether the numbers of requests are comparable; those of two versions are not.
    """
    return report_of(store, (Pair(after, before),), threshold, traffic=traffic)


def report_of(
    store: Store, pairs: tuple[Pair, ...], threshold: Threshold | None = None, *, traffic: bool = True
) -> Report:
    """Compare services, each with something of its own; the tests of all are corrected together."""
    threshold = threshold or Threshold()
    gathered: list[_Gathered] = []
    last_us: int | None = None
    for pair in pairs:
        with look(store, pair.after) as view:
            gathered += _gather(view, pair, traffic=traffic)
            if not gathered:
                newest = view.last_recorded_us()
                last_us = newest if last_us is None else max(last_us, newest or 0)
    findings = judged([each.tests for each in gathered], threshold)
    found = [
        EndpointReport(each.endpoint, each.before, each.after, own)
        for each, own in zip(gathered, findings, strict=True)
    ]
    compared = tuple(pair for pair in pairs if pair.before)
    return Report(compared, threshold, ordered(found), None if found else last_us)


def ordered(endpoints: Iterable[EndpointReport]) -> tuple[EndpointReport, ...]:
    """Return what people lost most time by on top."""
    return tuple(sorted(endpoints, key=lambda one: (-one.lost_us, one.endpoint.name)))


_NOBODY = Side(NOTHING, {}, None, None)


@dataclass(frozen=True)
class _Gathered:
    endpoint: Endpoint
    before: Side
    after: Side
    tests: dict[Measure, Effect | None]


def _gather(view: Look, pair: Pair, *, traffic: bool) -> list[_Gathered]:
    if pair.before is None:
        return []
    cut = _cut(pair.before, pair.after) if traffic else None
    latencies = latency_of_each(view, (pair.before, pair.after), by_endpoint)
    old_series, new_series = series_of_each(view, [_steps(scope, cut) for scope in (pair.before, pair.after)])
    old, new = _sides(old_series, latencies[0]), _sides(new_series, latencies[1])
    rates = _traffic(old_series, new_series, cut.n) if cut else {}
    share = _share_after(pair.before, pair.after, old, new, traffic=traffic)
    return [
        _Gathered(each, a, b, _tests(a, b, rates.get(each.id), share))
        for each in view.endpoints
        if each.id in old or each.id in new
        for a, b in [(old.get(each.id, _NOBODY), new.get(each.id, _NOBODY))]
    ]


def _share_after(
    before: Scope, after: Scope, old: dict[int, Side], new: dict[int, Side], *, traffic: bool
) -> float:
    """Return how much of all there was lies on the later side: of time, or, of versions, of all requests."""
    if traffic:
        sizes = before.length_us, after.length_us
    else:
        sizes = sum(each.counts.n for each in old.values()), sum(each.counts.n for each in new.values())
    return sizes[1] / (sum(sizes) or 1)


def _tests(
    before: Side, after: Side, slots: tuple[list[int], list[int]] | None, share_after: float
) -> dict[Measure, Effect | None]:
    a, b = before.counts, after.counts
    return {
        "latency": latency_shift(before.latency, after.latency),
        "p95": percentile_shift(before.latency, after.latency, 0.95),
        "errors": share_change(a.errors, a.n, b.errors, b.n),
        "traffic": rate_change(*slots) if slots else None,
        "presence": presence(a.n, b.n, share=share_after),
    }


def _sides(series: Series, samples: Grouped) -> dict[int, Side]:
    found = {}
    for endpoint_id, counts in series.wholes.items():
        sample = samples.get(endpoint_id, {})
        found[endpoint_id] = Side(counts, sample, *percentiles(sample, (0.5, 0.95)))
    return found


@dataclass(frozen=True)
class _Cut:
    """How both periods are cut into slots that stand for one another: the same hours, say."""

    width_s: int
    n: int


def _cut(before: Scope, after: Scope) -> _Cut | None:
    """Return how to cut; None where one slot, which shows no variance, is all there is."""
    shorter_s = min(before.length_us, after.length_us) // US_PER_S
    width_s = _HOUR_S if shorter_s <= _HOURS_UP_TO_S else DAY_S
    n = shorter_s // width_s
    return _Cut(width_s, n) if n >= 2 else None  # noqa: PLR2004


def _steps(scope: Scope, cut: _Cut | None) -> Steps:
    start_s = scope.start_us // US_PER_S
    return Steps(scope, start_s, cut.width_s) if cut else Steps(scope, start_s, DAY_S, whole=True)


def _traffic(before: Series, after: Series, n: int) -> dict[int, tuple[list[int], list[int]]]:
    """Return the requests of each endpoint in slots of both periods.

    Of periods that are not equally long, the end of the longer one has no counterpart and is left out; and so
    is a slot that either period has only a part of.
    """
    return {
        each: (_slots(before, each, n), _slots(after, each, n))
        for each in before.by_step.keys() | after.by_step.keys()
    }


def _slots(series: Series, endpoint_id: int, n: int) -> list[int]:
    found = [0] * n
    for number, sums in series.by_step.get(endpoint_id, {}).items():
        if number < n:
            found[number] = sums[0]
    return found
