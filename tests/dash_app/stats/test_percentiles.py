from __future__ import annotations

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.stats.percentiles import (
    MAX_RELATIVE_ERROR,
    apdex,
    box,
    change,
    interpolated,
    merge,
    percentile,
    share_below,
)
from fmd_otel_exporter.buckets import bucket_of

A_HAIR = 1e-9
"""Of sums of floating-point numbers."""
durations = st.lists(st.integers(1, 10**9), min_size=1, max_size=300)
quantiles = st.floats(0.001, 0.999)


def buckets(values):
    return Counter(bucket_of(value) for value in values)


def nearest_rank(values, q):
    return sorted(values)[max(1, ceil(q * len(values) - 1e-9)) - 1]


@given(durations, quantiles)
def test_a_percentile_shown_is_within_the_bound(values, q):
    true = nearest_rank(values, q)

    assert abs(percentile(buckets(values), q) - true) <= (MAX_RELATIVE_ERROR + A_HAIR) * true


@given(st.integers(1, 10**9), st.integers(1, 500), quantiles)
def test_also_where_all_requests_took_the_same_time(value, n, q):
    assert abs(percentile({bucket_of(value): n}, q) - value) <= (MAX_RELATIVE_ERROR + A_HAIR) * value


@given(durations, quantiles)
def test_an_interpolated_percentile_never_leaves_its_bucket(values, q):
    true = nearest_rank(values, q)

    assert abs(interpolated(buckets(values), q) - true) < 0.0222 * true


def test_interpolation_is_ten_times_closer_on_smooth_data():
    values = [round(10_000 * 1.0007**i) for i in range(5000)]

    for q in (0.05, 0.25, 0.5, 0.9, 0.95, 0.99):
        true = nearest_rank(values, q)
        assert abs(interpolated(buckets(values), q) - true) < 0.002 * true


@given(durations, durations, quantiles)
def test_merging_buckets_is_merging_samples(some, others, q):
    together = merge([buckets(some), buckets(others)])

    assert percentile(together, q) == percentile(buckets(some + others), q)


@given(durations)
def test_the_parts_of_a_box_are_in_order(values):
    stats = box(buckets(values))

    assert stats.n == len(values)
    assert stats.p5_us <= stats.q1_us <= stats.median_us <= stats.q3_us <= stats.p95_us <= stats.p99_us


def test_an_empty_sample_has_no_percentile_no_box_no_change_and_no_apdex():
    assert percentile({}, 0.5) is None
    assert interpolated({}, 0.5) is None
    assert box({}) is None
    assert change({}, {1000: 1}, 0.5) is None
    assert change({1000: 1}, {}, 0.5) is None
    assert apdex({}, 300_000) is None


def test_a_rank_is_not_pushed_up_by_rounding():
    values = list(range(1000, 101_000, 1000))

    assert percentile(buckets(values), 0.07) == pytest.approx(7000, rel=MAX_RELATIVE_ERROR)


def test_a_clear_slowdown_is_significant_and_has_its_size():
    before = buckets([10_000 + 10 * i for i in range(1000)])
    after = buckets([round(1.18 * (10_000 + 10 * i)) for i in range(1000)])

    moved = change(before, after, 0.95)

    assert moved.ratio == pytest.approx(0.18, abs=0.01)
    assert moved.significant
    assert (moved.n_before, moved.n_after) == (1000, 1000)


def test_a_handful_of_requests_proves_nothing():
    assert not change(buckets([10_000] * 5), buckets([90_000] * 5), 0.95).significant


@given(durations)
def test_a_sample_does_not_differ_from_itself(values):
    moved = change(buckets(values), buckets(values), 0.95)

    assert moved.ratio == 0
    assert not moved.significant


def test_apdex_counts_tolerable_requests_half():
    sample = merge([buckets([100_000] * 60), buckets([600_000] * 30), buckets([5_000_000] * 10)])

    assert apdex(sample, 300_000) == pytest.approx(0.75)


@given(durations, st.integers(1, 10**9))
def test_the_share_below_a_threshold_is_a_share_and_right_to_one_bucket(values, threshold):
    share = share_below(buckets(values), threshold)
    low = sum(bucket_of(value) < bucket_of(threshold) for value in values) / len(values)
    high = sum(bucket_of(value) <= bucket_of(threshold) for value in values) / len(values)

    assert low - 1e-9 <= share <= high + 1e-9
