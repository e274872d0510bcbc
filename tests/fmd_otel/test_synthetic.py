"""Made-up traffic has to be repeatable, exact in number, and shaped like traffic."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel.synthetic import (
    US_PER_S,
    Client,
    Endpoint,
    Incident,
    Release,
    Workload,
    requests,
    zipf_workload,
)

DAY_US = 86_400 * US_PER_S
MONDAY_US = 1_794_787_200 * US_PER_S  # 2026-11-16 00:00 UTC

SMALL = Workload(
    service="small",
    endpoints=[
        Endpoint("often", weight=9, median_us=2_000, spread=0.1, slow_share=0),
        Endpoint("rare", weight=1, median_us=50_000, spread=0.1, slow_share=0, other_statuses={404: 0.5}),
    ],
    releases=[
        Release("1", since=0),
        Release("2", since=0.5, slowdown={"often": 10}, failures={"often": 1.0}),
    ],
    clients=[Client("ann", 1, ["192.0.2.1"]), Client("bob", 1, ["192.0.2.2", "192.0.2.3"])],
)


@given(
    start_us=st.integers(0, 4 * 10**15),
    length_us=st.integers(1, 3 * DAY_US),
    count=st.integers(0, 300),
    seed=st.integers(),
)
def test_exactly_as_many_requests_as_asked_lie_in_the_period(
    start_us: int, length_us: int, count: int, seed: int
) -> None:
    made = list(requests(SMALL, start_us=start_us, end_us=start_us + length_us, count=count, seed=seed))
    assert len(made) == count
    assert all(start_us <= each.ts_us < start_us + length_us for each in made)
    assert all(before.ts_us <= after.ts_us for before, after in pairwise(made))


def test_the_seed_decides_every_request() -> None:
    period = {"start_us": MONDAY_US, "end_us": MONDAY_US + DAY_US, "count": 2_000}
    first = list(requests(SMALL, **period, seed=1))
    assert first == list(requests(SMALL, **period, seed=1))
    assert first != list(requests(SMALL, **period, seed=2))
    assert len({each.span_id for each in first}) == len(first)


def test_newest_first_yields_the_same_requests() -> None:
    period = {"start_us": MONDAY_US, "end_us": MONDAY_US + DAY_US, "count": 2_000}
    backwards = list(requests(SMALL, **period, newest_first=True))
    assert backwards[0].ts_us > backwards[-1].ts_us
    assert sorted(backwards) == sorted(requests(SMALL, **period))


def test_releases_change_speed_and_failures_from_their_time_on() -> None:
    made = list(requests(SMALL, start_us=MONDAY_US, end_us=MONDAY_US + 2 * DAY_US, count=4_000))
    often = {version: [r for r in made if r.endpoint == "often" and r.version == version] for version in "12"}
    assert max(r.ts_us for r in often["1"]) < MONDAY_US + DAY_US <= min(r.ts_us for r in often["2"])
    assert 8 < median(r.duration_us for r in often["2"]) / median(r.duration_us for r in often["1"]) < 12
    assert {r.status for r in often["1"]} == {200}
    assert {r.status for r in often["2"]} == {500}


def test_an_incident_is_slow_and_fails_while_it_lasts() -> None:
    troubled = Workload(
        SMALL.service,
        SMALL.endpoints[:1],
        SMALL.releases[:1],
        SMALL.clients,
        [Incident(since=0.5, length_s=3600, slowdown=50, failures=1.0)],
    )
    noon_us = MONDAY_US + DAY_US // 2
    made = list(requests(troubled, start_us=MONDAY_US, end_us=MONDAY_US + DAY_US, count=5_000))
    during = [r for r in made if noon_us <= r.ts_us < noon_us + 3600 * US_PER_S]
    assert during
    assert {r.status for r in during} == {500}
    assert {r.status for r in made if r not in during} == {200}


def test_days_are_busier_than_nights_and_weekdays_than_weekends() -> None:
    made = list(requests(SMALL, start_us=MONDAY_US, end_us=MONDAY_US + 7 * DAY_US, count=20_000))
    hours = Counter(r.ts_us // US_PER_S % 86_400 // 3600 for r in made)
    days = Counter((r.ts_us - MONDAY_US) // DAY_US for r in made)
    assert hours[19] > 10 * hours[3]
    assert days[5] < 0.8 * days[1]


def test_the_large_workload_has_the_size_it_was_asked_for() -> None:
    workload = zipf_workload(endpoints=7, releases=3, users=11, ips=33)
    assert [len(workload.endpoints), len(workload.releases), len(workload.clients)] == [7, 3, 11]
    assert len({ip for client in workload.clients for ip in client.ips}) == 33
