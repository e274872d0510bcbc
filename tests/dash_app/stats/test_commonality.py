from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.stats.commonality import commonalities, counted, divergence

samples = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1)


def test_what_outliers_share_comes_first_with_how_much_more_often():
    found = commonalities(
        {"user": {"eve": 45, "bob": 5}, "hour": {"10:00": 26, "11:00": 24}},
        {"user": {"eve": 20, "bob": 980}, "hour": {"10:00": 500, "11:00": 500}},
    )
    assert [each.attribute for each in found] == ["user", "hour"]
    [eve] = found[0].telling
    assert (eve.value, eve.outliers, eve.others) == ("eve", 0.9, 0.02)
    assert eve.lift == pytest.approx(45)
    assert not found[1].telling


def test_a_single_outlier_shares_nothing_with_anybody():
    [found] = commonalities({"user": {"eve": 1}}, {"user": {"bob": 1000}})
    assert not found.telling


def test_a_value_the_rest_never_has_has_no_lift():
    [found] = commonalities({"key": {"present": 30}}, {"key": {"absent": 300}})
    assert found.telling[0].lift is None
    assert found.difference == 1


def test_what_is_not_known_of_the_rest_is_left_out():
    assert commonalities({"payload": {"none": 9}}, {}) == ()
    assert commonalities({"payload": {"none": 9}}, {"payload": {}}) == ()


@given(samples, samples)
def test_the_divergence_is_symmetric_and_between_0_and_1(one, other):
    found = divergence(one, other)
    assert 0 <= found <= 1
    assert found == pytest.approx(divergence(other, one))
    assert divergence(one, one) == pytest.approx(0, abs=1e-12)


def test_samples_with_nothing_in_common_differ_by_one_bit():
    assert divergence({"a": 3}, {"b": 5}) == 1


def test_of_very_many_values_the_rarest_are_put_together():
    assert counted(["a", "a", "b", "c", "b", "a"], most=2) == {"a": 3, "b": 2, "others": 1}
