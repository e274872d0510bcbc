"""Short windows that stand for a whole range."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.queries.evenly import evenly

HOUR = 3_600_000_000
DAY = 24 * HOUR


@given(
    st.integers(0, 2**50), st.integers(1, 400 * DAY), st.floats(1e-6, 2, allow_nan=False), st.integers(1, 200)
)
def test_they_lie_in_the_range_one_after_the_other_and_are_about_as_many_as_wanted(
    start, length, share, most
):
    windows = evenly(start, start + length, share, most)
    edges = [edge for window in windows for edge in window]
    assert edges == sorted(edges)
    assert not edges or (start <= edges[0] and edges[-1] <= start + length)
    assert len(windows) <= max(most, 5 * 24) + 1
    assert all(end > begin for begin, end in windows)


def test_all_of_a_range_is_one_window():
    assert evenly(5, 9, 1.0, 10) == ((5, 9),)
    assert evenly(9, 9, 0.5, 10) == ()


def test_they_cover_the_share():
    windows = evenly(0, 6 * HOUR, 0.1, 96)
    assert abs(sum(end - start for start, end in windows) / (6 * HOUR) - 0.1) < 0.001


def test_over_many_days_they_meet_all_hours_of_the_day_alike():
    for days in (2, 5, 7, 8, 30, 90):
        for most in (48, 168):
            met = Counter(start // HOUR % 24 for start, _ in evenly(0, days * DAY, 0.001, most))
            assert len(met) == 24
            assert max(met.values()) - min(met.values()) <= 1, days
