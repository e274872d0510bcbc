"""Jobs that people start: one at a time, watched from anywhere, survived by the others."""

from __future__ import annotations

import pytest

from fmd_otel_exporter import jobs
from fmd_otel_exporter.jobs import DONE, FAILED, INTERRUPTED, LEASE_S, RUNNING, JobRunsError

NOW_S = 1_800_000_000


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def begin(store, clock):
    return lambda name="prune", asked=None, **more: jobs.begin(store, name, asked or {}, clock=clock, **more)


@pytest.fixture
def latest(store, clock):
    return lambda: jobs.latest(store, now_us=int(clock.now_s * 1_000_000))


def test_everybody_sees_how_far_it_is_and_what_came_of_it(store, begin, latest, clock):
    job = begin(asked={"days": 14, "by": "ada"}, total=10)
    clock.now_s += 1
    job.progress(4)
    shown = latest()["prune"]
    assert (shown.state, shown.done, shown.total, shown.asked) == (RUNNING, 4, 10, {"days": 14, "by": "ada"})
    assert shown.updated_us - shown.started_us == 1_000_000
    job.done = 10
    job.end("10 rows are gone.")
    shown = latest()["prune"]
    assert (shown.state, shown.done, shown.said) == (DONE, 10, "10 rows are gone.")


@pytest.mark.parametrize("other", ["prune", "vacuum"])
def test_a_second_one_does_not_begin_beside_it(store, begin, latest, other):
    first = begin(asked={"days": 1})
    with pytest.raises(JobRunsError, match="running already"):
        begin(other)
    assert latest().keys() == {"prune"}
    assert latest()["prune"].asked == {"days": 1}
    first.end("", failed=True)
    assert latest()["prune"].state == FAILED
    begin(other)
    assert latest()[other].state == RUNNING


def test_one_whose_process_died_is_interrupted_and_may_be_started_again(store, begin, latest, clock):
    lost = begin(total=5)
    lost.progress(2)
    clock.now_s += LEASE_S + 1
    assert latest()["prune"].state == INTERRUPTED
    again = begin(asked={"days": 2})
    with pytest.raises(JobRunsError, match="taken over"):
        lost.progress(3)  # only asleep, as it turns out
    assert latest()["prune"].done == 0
    lost.end("late")
    again.progress(1)
    shown = latest()["prune"]
    assert (shown.state, shown.said, shown.done) == (RUNNING, "", 1)


def test_what_was_said_at_length_is_cut(store, begin, latest):
    begin().end("x" * 99_999)
    assert len(latest()["prune"].said) == 2000
