"""Student's t: figures from published tables."""

from __future__ import annotations

from math import atan, pi
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.stats import student


@pytest.mark.parametrize(
    ("df", "level", "expected"),
    [
        (1, 0.95, 12.7062047),
        (2, 0.95, 4.3026527),
        (5, 0.95, 2.5705818),
        (23, 0.95, 2.0686576),
        (1000, 0.95, 1.9623391),
        (3, 0.99, 5.8409093),
    ],
)
def test_quantiles_are_those_of_the_tables(df, level, expected):
    assert student.quantile(df, level) == pytest.approx(expected, abs=1e-6)


@given(st.floats(0.01, 1000))
def test_with_one_degree_of_freedom_it_is_the_cauchy_distribution(t):
    assert student.tail(t, 1) == pytest.approx(1 - 2 * atan(t) / pi, abs=1e-12)


@given(st.floats(-5, 5))
def test_with_many_degrees_of_freedom_it_is_the_normal_distribution(t):
    assert student.tail(t, 10**5) == pytest.approx(2 * NormalDist().cdf(-abs(t)), rel=1e-2)
    assert student.tail(t, 10**7) == pytest.approx(student.tail(t, 10**6 - 1), rel=1e-3)


@given(st.floats(0, 100), st.integers(1, 10_000))
def test_what_lies_farther_out_is_less_likely(t, df):
    assert 0 <= student.tail(t + 1, df) <= student.tail(t, df) <= 1
    assert student.tail(-t, df) == student.tail(t, df)
