from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fmd_otel_dash.stats.percentiles import MAX_RELATIVE_ERROR
from fmd_otel_exporter.batch import LONGEST_US
from fmd_otel_exporter.buckets import bucket_of, lower_bound_us, upper_bound_us

durations = st.one_of(
    st.integers(1, LONGEST_US), st.integers(1, 100_000), st.integers(0, 44).map(lambda n: 2**n)
)
A_HAIR = 1e-9
"""Edges are irrational numbers, as a rule; a duration on one of them may fall to either side."""


@given(durations)
@example(1)
@example(1_000_000)
@example(2_000_000)
@example(LONGEST_US)
def test_a_duration_lies_within_its_bucket(us: int):
    bucket = bucket_of(us)
    assert lower_bound_us(bucket) * (1 - A_HAIR) < us <= upper_bound_us(bucket) * (1 + A_HAIR)
    assert 0 < bucket < 2**15


@given(durations)
def test_the_middle_of_a_bucket_is_within_the_bound_of_every_duration_in_it(us: int):
    bucket = bucket_of(us)
    # The middle that keeps the relative error equal on both sides.
    low, high = lower_bound_us(bucket), upper_bound_us(bucket)
    middle = 2 * low * high / (low + high)
    assert abs(middle - us) / us <= MAX_RELATIVE_ERROR + A_HAIR


@given(durations.filter(lambda us: us > 1))
def test_no_estimate_has_a_smaller_bound_than_the_middle(us: int):
    low, high = lower_bound_us(bucket_of(us)), upper_bound_us(bucket_of(us))
    middle = 2 * low * high / (low + high)
    for edge in (low, high):
        assert abs(middle - edge) / edge == pytest.approx(MAX_RELATIVE_ERROR)


def test_the_bound_is_1_08_percent_to_two_places():
    assert round(100 * MAX_RELATIVE_ERROR, 2) == 1.08


@given(durations, durations)
def test_longer_durations_have_no_smaller_bucket(a: int, b: int):
    assert (bucket_of(a) <= bucket_of(b)) or a > b


@given(durations)
def test_half_a_bucket_number_is_the_bucket_of_the_next_coarser_scale(us: int):
    bucket = bucket_of(us)
    assert lower_bound_us(bucket // 2 * 2) <= lower_bound_us(bucket)
    assert upper_bound_us(bucket // 2 * 2 + 1) >= upper_bound_us(bucket)


@given(st.integers(-(2**70), 0))
def test_no_duration_and_less_count_as_a_microsecond(us: int):
    assert bucket_of(us) == bucket_of(1)


@given(st.lists(durations, min_size=1, max_size=300), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_a_quantile_read_from_buckets_is_within_the_bound_of_the_true_one(all_us: list[int], q: float):
    rank = max(0, -(-len(all_us) * int(q * 1000) // 1000) - 1)
    true = sorted(all_us)[rank]
    bucket = sorted(map(bucket_of, all_us))[rank]
    low, high = lower_bound_us(bucket), upper_bound_us(bucket)
    assert abs(2 * low * high / (low + high) - true) / true <= MAX_RELATIVE_ERROR + A_HAIR
