"""The first ones are allowed, then one now and again, whatever the rate, for each key by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel import allowance
from fmd_otel.allowance import Allowance


def test_a_burst_and_then_one_now_and_again():
    now = [0.0]
    found = Allowance(3, 10.0, clock=lambda: now[0])
    assert [found.take("a") for _ in range(5)] == [True, True, True, False, False]
    assert found.take("b")
    now[0] = 9.9
    assert not found.take("a")
    now[0] = 20.0
    assert [found.take("a") for _ in range(3)] == [True, True, False]


@given(st.lists(st.floats(0, 5), max_size=200), st.integers(1, 10), st.floats(0.1, 10))
def test_never_more_than_the_rate(steps, burst, every_s):
    now = [0.0]
    found = Allowance(burst, every_s, clock=lambda: now[0])
    taken = 0
    for step in steps:
        now[0] += step
        taken += found.take("a")
    assert taken <= burst + now[0] / every_s + 1e-6


def test_keys_that_are_made_up_are_forgotten(monkeypatch):
    monkeypatch.setattr(allowance, "_MOST_KEYS", 10)
    found = Allowance(1, 1.0)
    for key in range(1000):
        assert found.take(key)
    assert len(found._buckets) <= 10
