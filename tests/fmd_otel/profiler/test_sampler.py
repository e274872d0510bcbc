"""One thread looks at everything, while there is something to see, and never at the expense of a request."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from fmd_otel.profiler import clocks, request_profile, walker
from fmd_otel.profiler import sampler as sampler_module
from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.credit import Pace
from fmd_otel.profiler.place import Place
from fmd_otel.profiler.request_profile import Moment, RequestProfile
from fmd_otel.profiler.sampler import Sampler
from fmd_otel.profiler.sites import WaitingSites
from fmd_otel.watch import NEVER_NS
from tests.fmd_otel.profiler.conftest import FLUSH_S

MS = 1_000_000
DEADLINE_S = 60


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def a_profile(**more):
    given = {"start_ns": time.perf_counter_ns(), "period_ns": MS, "is_long": True}
    return RequestProfile(Place(frozenset()), **{**given, **more})


def profiler_threads():
    return [thread for thread in threading.enumerate() if thread.name == "fmd-otel-profiler"]


def test_there_is_no_thread_before_the_first_request():
    before = len(profiler_threads())
    Sampler()
    assert len(profiler_threads()) == before


def test_one_thread_looks_at_all_requests(app, profile, environ):
    go_on = threading.Event()
    app.add_url_rule("/slow", "slow", lambda: go_on.wait(DEADLINE_S) and "x")
    profiled = profile(app)
    before = len(profiler_threads())

    def send():
        list(app(environ("/slow"), lambda *_arguments: None))

    clients = [threading.Thread(target=send) for _ in range(16)]
    for client in clients:
        client.start()
    wait_until(
        lambda: [each.samples > 0 for each in profiled.sampler._profiles.copy().values()] == [True] * 16
    )
    assert profiled.sampler.in_flight == 16
    assert len(profiler_threads()) == before + 1
    assert all(thread.daemon for thread in profiler_threads())
    go_on.set()
    for client in clients:
        client.join()
    assert len(profiled.all) == 16
    assert len({record.span_id for record in profiled.all}) == 16


def test_the_thread_sleeps_while_there_is_nothing_to_see(monkeypatch):
    monkeypatch.setattr(sampler_module, "LINGER_NS", 0)
    sampler = Sampler()
    profile = a_profile()
    sampler.begin(profile)
    wait_until(lambda: sampler.looks > 2)
    sampler.end(profile, time.perf_counter_ns(), lambda _: None)
    wait_until(lambda: sampler._parked)
    looks = sampler.looks
    time.sleep(0.05)
    assert sampler.looks == looks
    again = a_profile()
    sampler.begin(again)
    wait_until(lambda: sampler.looks > looks)
    sampler.end(again, time.perf_counter_ns(), lambda _: None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_worker_has_a_thread_of_its_own_and_no_requests_of_its_parent(sampler):
    mine = a_profile()
    sampler.begin(mine)
    wait_until(lambda: sampler.looks > 0)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover # another process
        try:
            profile = a_profile()
            sampler.begin(profile)
            deadline = time.monotonic() + DEADLINE_S
            while not profile.samples and time.monotonic() < deadline:
                time.sleep(0.005)
            delivered = []
            kept_of_parent = sampler.end(mine, time.perf_counter_ns(), delivered.append)
            sampler.end(profile, time.perf_counter_ns(), delivered.append)
            sampler.flush(FLUSH_S)
            os.write(writer, f"{len(delivered)} {sampler.in_flight} {kept_of_parent}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"1 0 False"
    sampler.end(mine, time.perf_counter_ns(), lambda _: None)


def test_a_request_that_cannot_be_looked_at_does_not_stop_the_others(sampler, monkeypatch):
    monkeypatch.setattr(sampler_module, "_LONGEST_SLEEP_NS", MS)
    broken, good = a_profile(), a_profile()
    broken.period_ns = None
    sampler._profiles[0] = good
    sampler.begin(good)
    sampler._profiles[1] = broken
    wait_until(lambda: sampler.guard.counts["a look at the stacks"] > 1)
    sampler._profiles.clear()
    sampler.begin(good)
    looks = sampler.looks
    wait_until(lambda: sampler.looks > looks)
    sampler.end(good, time.perf_counter_ns(), lambda _: None)


def test_a_profile_that_cannot_be_delivered_does_not_stop_the_others(sampler):
    def explode(_profile):
        raise RuntimeError("ours")

    delivered = []
    for deliver in (explode, delivered.append):
        profile = a_profile()
        sampler.begin(profile)
        wait_until(lambda each=profile: each.samples)
        sampler.end(profile, time.perf_counter_ns(), deliver)
    assert sampler.flush(FLUSH_S)
    assert len(delivered) == 1
    assert sampler.guard.counts["a profile"] == 1


def test_no_thread_to_be_had_is_no_failure_of_the_request(sampler, monkeypatch):
    def refuse(*_arguments):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(sampler_module, "start_thread", refuse)
    profile = a_profile()
    sampler.begin(profile)
    sampler.begin(profile)
    assert not sampler.end(profile, time.perf_counter_ns(), lambda _: None)
    assert sampler.guard.counts["the profiler's thread"] == 1
    assert sampler.in_flight == 0


def moment(now_ns, frames=dict):
    return Moment(now_ns, is_prompt=True, frames=frames, sites=WaitingSites(), pace=Pace())


def test_a_request_of_ten_minutes_is_looked_at_a_bounded_number_of_times():
    profile = a_profile(start_ns=0, period_ns=10 * MS)
    now_ns, looks = 1, 0
    while now_ns < 600_000 * MS:
        profile.look(moment(now_ns))
        looks += 1
        now_ns = max(profile.due_ns, now_ns + 1)
    assert looks < 1000
    assert len(profile.trie) < 10


def test_a_thread_that_has_not_run_is_not_looked_at_again(monkeypatch):
    asked = []

    def frames():
        asked.append(1)
        return sys._current_frames()

    profile = a_profile(start_ns=0)
    used = iter([5, 0, 0, 0, 7])
    monkeypatch.setattr(Place, "read_clock", lambda _self: next(used))
    for now_ns in (10, 20, 30, 40, 50):
        profile.look(moment(now_ns, frames))
    assert len(asked) == 2
    assert profile.samples == 5
    assert sum(profile.trie.wall_ns) + sum(wall for wall, _ in profile.unplaced.values()) == 50


def test_more_requests_than_can_be_looked_at_in_one_go_take_turns(sampler, monkeypatch):
    monkeypatch.setattr(sampler_module, "MOST_LOOKS", 3)
    profiles = [a_profile() for _ in range(10)]
    for profile in profiles:
        sampler.begin(profile)
    wait_until(lambda: all(profile.samples > 1 for profile in profiles))
    for profile in profiles:
        sampler.end(profile, time.perf_counter_ns(), lambda _: None)
    assert sampler.in_flight == 0


def test_more_ended_requests_than_can_be_put_together_are_dropped_and_counted(sampler, monkeypatch):
    monkeypatch.setattr(sampler, "_wake", lambda: None)
    for _ in range(sampler_module.MOST_COMPLETE + 5):
        profile = a_profile()
        sampler.begin(profile)
        profile.samples = 1
        sampler.end(profile, time.perf_counter_ns(), lambda _: None)
    assert sampler.dropped == 5
    assert len(sampler._complete) == sampler_module.MOST_COMPLETE


class Noted:
    """A request that somebody looks at once it is old enough, and then no more, or later again."""

    profiler = None

    def __init__(self, *again_after_ns, look=lambda _frames: None):
        self.start_ns = time.perf_counter_ns()
        self.due_ns = 0
        self.look, self.looks = look, []
        self.again_after_ns = iter(again_after_ns)

    def look_after(self, now_ns, frames):
        self.looks.append(now_ns)
        self.look(frames)
        after_ns = next(self.again_after_ns, None)
        self.due_ns = NEVER_NS if after_ns is None else now_ns + after_ns


def note(sampler, noted):
    """Do what a request's own thread does, where no turn is near."""
    sampler.notes.add(noted)
    sampler.look_round(noted)


def test_a_request_is_looked_at_when_it_has_grown_old_enough(sampler):
    stacks = []

    def stay():
        here = threading.get_ident()
        noted = Noted(5 * MS, look=lambda frames: stacks.append(walker.walk(frames()[here], BASES)))
        note(sampler, noted)
        wait_until(lambda: len(stacks) == 2)
        wait_until(lambda: sampler.in_flight == 0)
        sampler.notes.discard(noted)
        return noted

    noted = stay()
    assert "stay" in [code.co_name for code in stacks[0].codes]
    assert noted.looks[0] - noted.start_ns >= sampler_module.NOT_BEFORE_NS
    assert noted.looks[1] - noted.looks[0] >= 5 * MS
    assert len(noted.looks) == 2


def test_a_request_that_is_over_before_it_is_due_is_not_looked_at(sampler, monkeypatch):
    monkeypatch.setattr(sampler, "_wake", lambda: None)
    early, over, due = Noted(), Noted(), Noted()
    for noted in (early, over, due):
        note(sampler, noted)
    sampler.notes.discard(over)
    now_ns = due.start_ns + sampler_module.NOT_BEFORE_NS
    early.due_ns = now_ns + 1
    sampler._look(now_ns, 0)
    assert [len(each.looks) for each in (early, over, due)] == [0, 0, 1]
    assert sampler.notes == {early}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("is_fresh", [True, False])
def test_requests_of_a_forked_worker_are_looked_after_although_its_thread_is_gone(sampler, is_fresh):
    """Whether it is asked at once, or when the turn that its parent was to take is long overdue."""
    note(sampler, Noted())
    wait_until(lambda: sampler._running)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover # another process
        try:
            if not is_fresh:
                time.sleep(2 * sampler_module.LATE_NS / 1e9)
            deadline, looked_after = time.monotonic() + DEADLINE_S, 0
            while not looked_after and time.monotonic() < deadline:
                noted = Noted()
                note(sampler, noted)
                time.sleep(0.05)
                sampler.notes.discard(noted)
                looked_after = len(noted.looks)
            os.write(writer, f"{looked_after} {sampler.in_flight}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"1 0"


def test_it_tells_that_requests_come_as_long_as_they_do(sampler):
    told = []
    sampler.on_requests = told.append
    first, second = Noted(), Noted()
    for noted in (first, second):
        note(sampler, noted)
        wait_until(lambda noted=noted: noted.start_ns in told)
        sampler.notes.discard(noted)
    time.sleep(0.1)
    assert told == [first.start_ns, second.start_ns]


def test_whoever_fails_to_be_told_does_not_stop_the_looks(sampler):
    def explode(_last_ns):
        raise RuntimeError("ours")

    sampler.on_requests = explode
    for _ in range(2):
        noted = Noted()
        note(sampler, noted)
        wait_until(lambda noted=noted: noted.looks)
        sampler.notes.discard(noted)
    wait_until(lambda: sampler.guard.counts["news of requests"] == 2)


def test_requests_that_come_look_round_for_old_ones_so_that_the_thread_need_not(sampler):
    """It sleeps longer and longer while they do, and no less well is an old one found."""
    turns, original = [], sampler._turn
    sampler._turn = lambda wake_ns: turns.append(time.perf_counter_ns()) or original(wake_ns)
    usual_ns = sampler_module.WATCH_PERIODS * sampler._period_ns
    deadline = time.monotonic() + DEADLINE_S
    stretches = {1}
    while sampler_module.MOST_STRETCH not in stretches and time.monotonic() < deadline:
        serve_quickly(sampler)
        stretches.add(sampler._stretch)
    assert max(stretches) == sampler_module.MOST_STRETCH
    old = Noted()
    sampler.notes.add(old)
    while not old.looks and time.monotonic() < deadline:
        serve_quickly(sampler)
    assert old.looks
    sampler.notes.discard(old)
    wait_until(lambda: sampler._stretch == 1 and turns[-1] - old.looks[0] > 3 * usual_ns)


def serve_quickly(sampler):
    """Be a request that is over at once, a millisecond after the last one."""
    noted = Noted()
    sampler.notes.add(noted)
    if not sampler.calm_from_ns < noted.start_ns < sampler.calm_until_ns:
        sampler.look_round(noted)
    sampler.notes.discard(noted)
    time.sleep(0.001)


def test_whoever_looks_round_wakes_the_thread_for_an_old_request_only(sampler, monkeypatch):
    woken = []
    sampler._running = True  # and it takes no turn of its own in between
    monkeypatch.setattr(sampler._signal, "set", lambda: woken.append(True))
    old, new = Noted(), Noted()
    old.start_ns = new.start_ns
    sampler._wake_ns = new.start_ns + sampler._period_ns
    sampler.notes.add(old)
    sampler.look_round(new)
    assert not woken
    old.start_ns -= int(sampler._period_ns * sampler_module.OLD_PERIODS)
    sampler.look_round(new)
    assert woken


def test_the_garbage_collector_is_kept_out_where_it_could_lock_up_the_interpreter():
    assert gc.isenabled()
    assert threading.get_ident() in walker._current_frames_without_collection()
    assert gc.isenabled()
    gc.disable()
    try:
        walker._current_frames_without_collection()
        assert not gc.isenabled()
    finally:
        gc.enable()
    if sys.version_info < (3, 11, 12):
        assert walker.current_frames is walker._current_frames_without_collection


def test_a_thread_that_has_ended_has_no_clock_any_more():
    found = []
    thread = threading.Thread(target=lambda: found.append(clocks.own_clock()))
    thread.start()
    thread.join()
    wait_until(lambda: clocks.cpu_ns(found[0]) is None)
    assert clocks.cpu_ns(clocks.NO_CLOCK) is None


def test_without_clocks_of_other_threads_time_is_known_and_computing_is_not(app, profile, serve, monkeypatch):
    monkeypatch.setattr("fmd_otel.profiler.place.own_clock", lambda: clocks.NO_CLOCK)
    app.add_url_rule("/slow", "slow", lambda: time.sleep(0.05) or "x")
    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    assert abs(sum(node.self_us for node in record.nodes) - record.duration_us) <= len(record.nodes) + 1


def test_without_clocks_of_other_threads_each_line_still_has_its_share(
    app, profile, serve, tree, busy, monkeypatch
):
    monkeypatch.setattr("fmd_otel.profiler.place.own_clock", lambda: clocks.NO_CLOCK)

    at = []

    @app.route("/slow")
    def slow():
        at.append(time.perf_counter())
        first()
        at.append(time.perf_counter())
        second()
        at.append(time.perf_counter())
        busy(0.1)
        at.append(time.perf_counter())
        return "x"

    def first():
        time.sleep(0.2)

    def second():
        time.sleep(0.1)

    profiled = profile(app)
    for _ in range(5):  # a thread that is not let run for a while gives that time to one of the lines
        at.clear()
        serve(app, "/slow")
        record = profiled.all[-1]
        found, total_s = tree(record), record.duration_us / 1e6
        off = {
            name: found.share(name) - (ended - begun) / total_s
            for name, begun, ended in zip(("first", "second", "compute"), at, at[1:], strict=False)
        }
        if max(map(abs, off.values())) <= 0.1:
            break
    else:
        pytest.fail(f"off by {off}")


def test_a_look_is_taken_at_the_usual_period_again_once_an_ordered_request_is_over(sampler, monkeypatch):
    monkeypatch.setattr(sampler, "_wake", lambda: None)
    sampled = a_profile(period_ns=20 * MS)
    sampler.begin(sampled)
    sampler.end(sampled, time.perf_counter_ns(), lambda _: None)
    ordered = a_profile()
    ordered.exact = True
    sampler._profiles[0] = ordered
    sampler._next_turn_ns(time.perf_counter_ns(), 0)
    assert sampler._period_ns == MS
    sampler._profiles.clear()
    sampler._next_turn_ns(time.perf_counter_ns(), 0)
    assert sampler._period_ns == 20 * MS


def test_the_thread_turns_less_often_while_all_requests_are_too_young_to_be_looked_at(sampler, monkeypatch):
    monkeypatch.setattr(sampler, "_wake", lambda: None)
    now_ns = time.perf_counter_ns()

    def next_in_ms():
        return (sampler._next_turn_ns(now_ns, 0) - now_ns) / MS

    assert next_in_ms() > 15
    young = a_profile(start_ns=now_ns, period_ns=10 * MS, is_long=False)
    sampler.begin(young)
    assert next_in_ms() > 15
    young.due_ns = now_ns + 2 * MS
    assert 8 < next_in_ms() < 12
    young.due_ns, young.samples = now_ns + 10 * MS, 1
    assert 8 < next_in_ms() < 12


def test_a_request_about_to_be_old_enough_for_a_profile_is_waited_for(sampler, monkeypatch):
    monkeypatch.setattr(sampler, "_wake", lambda: None)
    now_ns = time.perf_counter_ns()

    def next_in_ms():
        return (sampler._next_turn_ns(now_ns, 0) - now_ns) / MS

    noted = Noted()
    note(sampler, noted)
    noted.profiler, noted.start_ns, noted.due_ns = object(), now_ns - 8 * MS, now_ns + 2 * MS
    assert 8 < next_in_ms() < 12
    noted.profiler = None
    assert next_in_ms() > 15
    noted.profiler, noted.start_ns = object(), now_ns
    assert next_in_ms() > 15


def test_a_recursion_of_2000_calls_costs_no_more_than_the_deepest_stack(app, profile, serve):
    def down(depth):
        return down(depth - 1) if depth else time.sleep(0.1)

    app.add_url_rule("/slow", "slow", lambda: down(2000) or "x")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(4000)
    try:
        profiled = profile(app)
        serve(app, "/slow")
    finally:
        sys.setrecursionlimit(limit)
    record = profiled.only
    assert record.truncated
    assert len(record.nodes) <= 2 * (walker.MOST_FRAMES + 1)
    assert abs(sum(node.self_us for node in record.nodes) - record.duration_us) <= len(record.nodes) + 1


def test_a_request_is_helped_by_a_bounded_number_of_threads():
    profile = a_profile()
    for _ in range(request_profile.MOST_HELPERS):
        assert profile.can_be_helped()
        profile.add_helper(Place(frozenset()))
    assert not profile.can_be_helped()


def test_a_profile_says_what_it_took_to_make(app, profile, serve):
    app.add_url_rule("/slow", "slow", lambda: time.sleep(0.2) or "x")
    profiled = profile(app)
    serve(app, "/slow")
    record = profiled.only
    assert record.samples * 5 < record.price_us < record.duration_us


def test_the_price_of_a_turn_is_shared_by_those_that_were_looked_at(sampler, monkeypatch):
    monkeypatch.setattr(sampler, "_wake", lambda: None)
    cpu_ns = iter([0, 900, 900])
    clock = SimpleNamespace(thread_time_ns=lambda: next(cpu_ns))
    monkeypatch.setattr(sampler_module, "time", clock)
    profiles = [a_profile(start_ns=0) for _ in range(3)]
    for profile in profiles:
        sampler.begin(profile)
    monkeypatch.setattr(sampler, "_look", lambda *_times: profiles)
    sampler._turn(0)
    assert [profile.price_ns for profile in profiles] == [300] * 3


@pytest.mark.parametrize("is_at_work", [True, False])
def test_no_collection_starts_while_the_stacks_of_others_are_read(sampler, monkeypatch, is_at_work):
    """Before Python 3.12 it might let them return from the frame that is being read."""
    monkeypatch.setattr(sampler, "_wake", lambda: None)
    seen = []
    note(sampler, Noted(look=lambda _frames: seen.append(gc.isenabled())))
    if not is_at_work:
        gc.disable()
    try:
        sampler._look(time.perf_counter_ns() + 2 * sampler_module.NOT_BEFORE_NS, 0)
        assert gc.isenabled() == is_at_work
    finally:
        gc.enable()
    assert seen == [sys.version_info >= (3, 12) and is_at_work]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_forked_meanwhile_collects_its_garbage():
    with walker.collector_at_rest:
        child = os.fork()
        if child == 0:  # pragma: no cover # another process
            os._exit(0 if gc.isenabled() else 1)
        _, status = os.waitpid(child, 0)
    assert status == 0
    assert gc.isenabled()
