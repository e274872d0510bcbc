from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.slots import slots

US = 1_000_000
HOUR = 3600 * US
START = 20_000 * 24 * HOUR


def test_a_day_is_cut_into_hours():
    found = slots(Scope(START, START + 24 * HOUR), 24)

    assert (found.width_s, found.n) == (3600, 24)


def test_a_sliver_at_either_end_goes_to_its_neighbour():
    found = slots(Scope(START + 50 * 60 * US, START + 24 * HOUR + 10 * 60 * US), 30)

    assert found.width_s == 3600
    assert found.starts_s[0] == START // US + 3600
    assert found.covered_s(found.first_s) == 70 * 60
    assert found.covered_s(found.last_s) == 70 * 60
    assert found.home(START // US) == found.first_s
    assert found.home(START // US + 24 * 3600) == found.last_s


def test_half_a_step_stands_for_itself():
    found = slots(Scope(START + 30 * 60 * US, START + 24 * HOUR), 24)

    assert found.starts_s[0] == START // US
    assert found.covered_s(found.first_s) == 30 * 60


def test_a_range_within_one_step_is_one_step():
    found = slots(Scope(START + 60 * US, START + 61 * US), 24)

    assert found.n == 1
    assert found.covered_s(found.first_s) == 1


@pytest.mark.parametrize("end", [START, START - 1])
def test_an_empty_range_has_no_steps(end):
    assert slots(Scope(START, end), 24).starts_s == ()


@given(
    start=st.integers(0, 400 * 24 * HOUR),
    length=st.integers(1, 3000 * 24 * HOUR),
    most=st.integers(2, 200),
    at_least_s=st.sampled_from([1, 900, 3600, 86_400]),
)
def test_steps_cover_the_range_once(start, length, most, at_least_s):
    scope = Scope(START + start, START + start + length)
    found = slots(scope, most, at_least_s=at_least_s)

    assert 1 <= found.n <= most
    assert found.width_s % at_least_s == 0
    assert sum(found.covered_s(step) for step in found.starts_s) == pytest.approx(length / US)
    for moment_us in (scope.start_us, scope.end_us - 1):
        aligned = found.base_s + (moment_us // US - found.base_s) // found.width_s * found.width_s
        assert found.home(aligned) in found.starts_s
