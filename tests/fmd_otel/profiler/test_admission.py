"""Of very many requests a few are profiled, of few requests all."""

from __future__ import annotations

import time

import pytest

from fmd_otel.profiler import admission
from fmd_otel.profiler.admission import Admission


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(admission, "monotonic", lambda: now[0])
    return now


def test_no_more_than_the_rate_in_the_long_run(clock):
    allowed, taken = Admission(10), 0
    for _ in range(100_000):
        clock[0] += 0.001
        taken += allowed.take()
    assert taken == pytest.approx(10 * 100 + 100, abs=2)


def test_all_where_there_are_few(clock):
    allowed = Admission(10)
    for _ in range(1000):
        clock[0] += 0.2
        assert allowed.take()


def test_what_was_not_used_is_given_back(clock):
    allowed = Admission(0.1)
    for _ in range(10):
        assert allowed.take()
        allowed.give_back()
    assert allowed.take()
    assert not allowed.take()


def test_a_rate_of_zero_allows_all(clock):
    allowed = Admission(0)
    assert all(allowed.take() for _ in range(1000))


def test_one_endpoint_leaves_the_others_theirs(app, profile, serve):
    for name in ("one", "other"):
        app.add_url_rule(f"/{name}", name, lambda: time.sleep(0.1) or "x")
    profiled = profile(app)
    profiled.watcher._rate = 0.0001  # one each, for the time of this test
    for path in ("/one", "/one", "/one", "/other"):
        serve(app, path)
    assert sorted(record.endpoint for record in profiled.all) == ["one", "other"]


def test_an_ordered_profile_is_made_whatever_was_allowed(app, profile, serve):
    app.add_url_rule("/slow", "slow", lambda: time.sleep(0.1) or "x")
    profiled = profile(app, ordered=True)
    profiled.watcher._rate = 0.0001
    for _ in range(3):
        serve(app, "/slow")
    assert len(profiled.all) == 3
