"""The question behind each view, asked as its page asks it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from fmd_otel_dash.queries import latency, series, subject_ranks
from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.performance import performance
from fmd_otel_dash.queries.report import report
from fmd_otel_dash.queries.requestfilter import RequestFilter
from fmd_otel_dash.queries.requests import request_detail, requests
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.status import status_codes
from fmd_otel_dash.queries.subjects import busiest, latency_by_subject, subject_by_version
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_dash.queries.versions import deployments, utilization
from fmd_otel_exporter.schema import SUBJECT_IP, SUBJECT_USER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmd_otel_exporter.store import Store

_DAY_US = 86_400_000_000
_MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Took:
    """How long a question takes, in milliseconds."""

    wall_ms: float
    cpu_ms: float
    """Of this process; a server's own is not in it."""
    first_ms: float
    """Wall time of the first run, for which nothing was remembered."""


def ask(store: Store, runs: int) -> dict[str, Took]:
    """Ask everything; of each question the median of so many times, after one that is not counted."""
    return {name: _time(question, runs) for name, question in questions(store).items()}


def questions(store: Store) -> Mapping[str, Callable[[], Any]]:
    """Return each view's question, of the last 30 days if its name says nothing else."""
    end_us, busy = _newest_and_busiest(store)
    month = Scope(end_us - 30 * _DAY_US, end_us, "Europe/Amsterdam")
    week = Scope(end_us - 7 * _DAY_US, end_us, "Europe/Amsterdam")
    one = month.only(busy)
    failed = RequestFilter(min_status=400)
    newest = requests(store, one).rows[0].key
    return {
        "Overview": lambda: overview(store, month, None, end_us),
        "Overview, 7 days against the 7 before": lambda: overview(store, week, week.previous(), end_us),
        "Requests over time": lambda: timeline(store, month, durations=False),
        "Durations over time": lambda: timeline(store, month),
        "Hourly API Utilization": lambda: hourly(store, month),
        "Multi Version API Utilization": lambda: utilization(store, month),
        "Deployments": lambda: deployments(store, month),
        "Daily API Utilization": lambda: daily(store, month),
        "API Performance": lambda: performance(store, month, None),
        "Reporting, 7 days against the 7 before": lambda: report(store, week, week.previous()),
        "Requests, newest": lambda: requests(store, month),
        "Requests, those that failed": lambda: requests(store, month, failed),
        "Endpoint: durations over time": lambda: timeline(store, one),
        "Endpoint: Hourly API Utilization": lambda: hourly(store, one),
        "Endpoint: Per-Version Performance": lambda: deployments(store, one),
        "Endpoint: Per-User Performance": lambda: latency_by_subject(store, one, SUBJECT_USER),
        "Endpoint: users, searched": lambda: busiest(store, one, SUBJECT_USER, search="77"),
        "Endpoint: User-Focused Multi-Version": lambda: subject_by_version(store, one, SUBJECT_USER),
        "Endpoint: Per-IP Performance": lambda: latency_by_subject(store, one, SUBJECT_IP),
        "Endpoint: IP-Focused Multi-Version": lambda: subject_by_version(store, one, SUBJECT_IP),
        "Endpoint: status codes": lambda: status_codes(store, one),
        "Endpoint: requests that failed": lambda: requests(store, one, failed),
        "One request": lambda: request_detail(store, newest),
    }


def _newest_and_busiest(store: Store) -> tuple[int, int]:
    """Return the minute after the newest request, and the busiest endpoint."""
    request, hits = store.tables.request.c, store.tables.hits_day.c
    n = func.sum(hits.n)
    with store.read() as connection:
        newest = connection.scalar(select(func.max(request.ts))) or 0
        per_endpoint = select(hits.endpoint_id).group_by(hits.endpoint_id).order_by(n.desc()).limit(1)
        return (newest // _MINUTE_US + 1) * _MINUTE_US, connection.scalar(per_endpoint) or 0


def _time(question: Callable[[], Any], runs: int) -> Took:
    for remembered in (latency._REMEMBERED, series._REMEMBERED, subject_ranks._REMEMBERED):  # noqa: SLF001 # nobody else forgets
        remembered.clear()
    began_ns = time.perf_counter_ns()
    question()
    first_ns = time.perf_counter_ns() - began_ns
    took = []
    for _ in range(runs):
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        question()
        took.append((time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns))
    wall, cpu = zip(*took, strict=True)
    return Took(median(wall) / 1e6, median(cpu) / 1e6, first_ns / 1e6)
