"""The tests of reports: figures from the literature, and what must hold of any sample."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from math import isclose, sin, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.stats.significance import (
    _Differences,
    adjusted,
    latency_shift,
    percentile_shift,
    presence,
    rate_change,
    share_change,
    two_sided,
    wilson,
)
from fmd_otel_exporter.buckets import bucket_of

samples = st.dictionaries(st.integers(700, 1200), st.integers(1, 1000), min_size=1, max_size=40)
ROUNDS = 200
seeded = random.Random
"""Chance that is the same in every run."""


def drawn(chance: random.Random, n: int, factor: float = 1.0) -> Counter[int]:
    return Counter(bucket_of(round(20_000 * factor * chance.lognormvariate(0, 0.5))) for _ in range(n))


def test_equal_distributions_are_told_apart_no_more_often_than_the_level_says():
    chance = seeded(7)
    alarms: Counter[str] = Counter()
    for _ in range(ROUNDS):
        before, after = drawn(chance, 300), drawn(chance, 200)
        alarms["shift"] += latency_shift(before, after).p < 0.05
        alarms["p95"] += percentile_shift(before, after, 0.95).p < 0.05
        alarms["share"] += (
            share_change(
                sum(chance.random() < 0.02 for _ in range(300)),
                300,
                sum(chance.random() < 0.02 for _ in range(200)),
                200,
            ).p
            < 0.05
        )
    # Of 200 rounds at 5 %, more than 20 happen less than once in 900 times.
    assert all(n <= 20 for n in alarms.values()), alarms


def test_ten_percent_slower_at_2000_requests_is_found():
    chance = seeded(8)
    found = covered = 0
    for _ in range(60):
        effect = latency_shift(drawn(chance, 2000), drawn(chance, 2000, 1.1))
        found += effect.p < 0.01
        covered += effect.low <= 0.1 <= effect.high
    assert found >= 57
    assert covered >= 53


def test_a_shift_is_the_factor_of_durations():
    before = drawn(seeded(1), 5000)
    effect = latency_shift(before, {bkt + 16: n for bkt, n in before.items()})
    assert effect.value == pytest.approx(2**0.5 - 1, abs=0.01)
    assert effect.low < 2**0.5 - 1 < effect.high


def test_mann_whitney_is_right_where_buckets_are_shared():
    before = Counter([10, 11, 11, 12, 14, 15, 15, 18, 20, 22])
    after = Counter([11, 13, 15, 16, 18, 21, 23, 25, 25, 30])
    # U = 24.5 of 100 pairs; four buckets are shared by 3, 3, 2 and 2 requests: t^3 - t adds up to 60.
    z = (50 - 24.5 - 0.5) / sqrt(100 / 12 * (21 - 60 / 380))
    assert latency_shift(before, after).p == pytest.approx(two_sided(z))


@given(samples, samples)
def test_comparing_the_other_way_round_turns_the_effect_round(before, after):
    one, other = latency_shift(before, after), latency_shift(after, before)
    if one is None:
        assert other is None
        return
    assert isclose(one.p, other.p, rel_tol=1e-9)
    assert isclose((1 + one.value) * (1 + other.value), 1, rel_tol=1e-6)
    assert one.low <= one.value + 1e-9
    assert one.value <= one.high + 1e-9


@given(samples)
def test_a_sample_has_not_shifted_from_itself(sample):
    effect = latency_shift(sample, sample)
    assert effect is None or effect.p == 1.0


def test_a_handful_of_requests_is_not_tested():
    assert latency_shift({900: 7}, {900: 1000}) is None
    assert percentile_shift({900: 7}, {900: 1000}, 0.95) is None
    assert share_change(0, 0, 1, 10) is None
    assert rate_change([5], [7]) is None
    assert rate_change([0, 0], [7, 1]) is None


@pytest.mark.parametrize(
    ("k", "n", "j", "m", "p"),
    [
        (3, 100, 9, 80, 0.0356182775750874),
        (0, 50, 4, 60, 0.12435683249367553),
        (1, 9, 11, 14, 0.00275945618522),
    ],
)
def test_fishers_test_agrees_with_published_values(k, n, j, m, p):
    assert share_change(k, n, j, m).p == pytest.approx(p, rel=1e-6)


def test_many_errors_are_compared_by_the_normal_approximation():
    exact, approximate = share_change(900, 10**6, 1000, 10**6), share_change(9000, 10**7, 10_000, 10**7)
    assert 0 < approximate.p < exact.p < 0.05


@given(st.integers(0, 50), st.integers(1, 1000), st.integers(0, 50), st.integers(1, 1000))
def test_the_interval_of_a_share_holds_its_estimate(k, n, j, m):
    effect = share_change(min(k, n), n, min(j, m), m)
    assert effect.low <= effect.value + 1e-9
    assert effect.value <= effect.high + 1e-9
    assert 0 <= effect.p <= 1


def test_wilsons_interval_is_the_published_one():
    assert wilson(5, 100) == pytest.approx((0.0215436790, 0.1117504692))


def test_traffic_with_the_rhythm_of_a_day_is_no_change():
    day = [round(200 * (1.2 + sin(hour / 4))) for hour in range(24)]
    assert rate_change(day, day).p == 1.0
    doubled = rate_change(day, [2 * n for n in day])
    assert doubled.value == pytest.approx(1.0)
    assert doubled.p < 1e-9
    assert rate_change(day, [2 * n for n in day], exposure=2).value == pytest.approx(0)


def poisson(chance: random.Random, mean: float) -> int:
    """Count events until their waiting times, exponential each, fill one unit of time."""
    n, waited = 0, chance.expovariate(mean)
    while waited < 1:
        n, waited = n + 1, waited + chance.expovariate(mean)
    return n


def bursts(chance: random.Random, mean: float, dispersion: float, slots: int) -> list[int]:
    """Draw counts whose variance is so many times their mean: Poisson with a mean that varies by a gamma."""
    if dispersion == 1:
        return [poisson(chance, mean) for _ in range(slots)]
    shape = mean / (dispersion - 1)
    return [poisson(chance, chance.gammavariate(shape, mean / shape) + 1e-9) for _ in range(slots)]


@pytest.mark.parametrize("dispersion", [1, 3, 10])
@pytest.mark.parametrize(("slots", "mean"), [(2, 40), (3, 40), (5, 40), (24, 40), (24, 2)])
def test_traffic_that_has_not_changed_is_told_apart_no_more_often_than_the_level_says(
    slots, mean, dispersion
):
    chance = seeded(9)
    found = [
        rate_change(bursts(chance, mean, dispersion, slots), bursts(chance, mean, dispersion, slots))
        for _ in range(ROUNDS)
    ]
    # As above: of 200 rounds at 5 %, more than 20 happen less than once in 900 times.
    assert sum(effect.p < 0.05 for effect in found if effect) <= 20


def test_traffic_that_has_changed_by_half_is_found_in_a_few_hours():
    chance = seeded(10)
    found = [rate_change(bursts(chance, 100, 1, 6), bursts(chance, 150, 1, 6)).p < 0.01 for _ in range(60)]
    assert sum(found) >= 57


def test_what_came_or_went_has_to_be_more_than_chance():
    """As likely as heads each time."""
    assert presence(0, 1).p == 1
    assert presence(0, 4).p == pytest.approx(0.125)
    assert presence(10, 0).p == pytest.approx(2 / 1024)
    assert presence(0, 10, share=0.9).p > presence(0, 10, share=0.5).p
    assert presence(0, 0) is None
    assert presence(3, 4) is None


def test_traffic_in_bursts_needs_more_to_be_a_change():
    calm, bursts = [100] * 24, [10, 250] * 12
    assert rate_change(calm, [110] * 24).p < 0.05
    assert rate_change(bursts, [250, 26] * 12).p > 0.5


def test_p_values_are_corrected_for_their_number():
    assert adjusted([0.01, 0.04, 0.03, 0.2, 0.005]) == pytest.approx([0.025, 0.05, 0.05, 0.2, 0.025])
    assert adjusted([]) == []


@given(st.lists(st.floats(0, 1), max_size=50))
def test_correcting_keeps_the_order_and_never_makes_a_finding_likelier(ps):
    corrected = adjusted(ps)
    assert all(q >= p - 1e-12 for p, q in zip(ps, corrected, strict=True))
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    assert all(corrected[a] <= corrected[b] + 1e-12 for a, b in pairwise(order))


@given(
    st.dictionaries(st.integers(0, 1500), st.integers(0, 10**9), min_size=1, max_size=30),
    st.dictionaries(st.integers(0, 1500), st.integers(0, 10**9), min_size=1, max_size=30),
)
def test_differences_are_those_of_all_pairs(before, after):
    found = Counter()
    for old, n in before.items():
        for new, m in after.items():
            found[new - old] += n * m

    differences = _Differences(before, after)
    passed = 0
    for step in range(min(found) - 1, max(found) + 2):
        passed += found[step]
        assert differences.up_to(step) == passed
        if found[step]:
            assert differences.at(passed) == step + 0.5
