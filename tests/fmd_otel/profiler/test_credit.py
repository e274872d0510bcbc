"""Time is neither lost nor made up, and what cannot be placed says so."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel.profiler.bytecode import Loops, was_computing
from fmd_otel.profiler.credit import Look, Pace, Unplaced, credit, place_computing
from fmd_otel.profiler.sites import WaitingSites
from fmd_otel.profiler.trie import CUT, DEFINITION, MOST_NODES, ROOT, Trie
from fmd_otel.profiler.walker import Stack

LOOPS = Loops()


def view():
    for _ in range(3):
        compute()
        query()


def plain():
    compute()
    query()
    compute()


def query():
    pass


def compute():
    pass


def calls(function, name):
    """Positions in a function's bytecode at which it calls a function of that name."""
    import dis  # noqa: PLC0415 # only here

    found, seen = [], False
    for each in dis.get_instructions(function):
        if each.argval == name:
            seen = True
        elif seen and each.opname.startswith("CALL"):
            found.append(each.offset)
            seen = False
    return found


def stack(*frames):
    """Put a stack together, outermost frame first."""
    return Stack([code for code, _ in reversed(frames)], [at for _, at in reversed(frames)], is_whole=True)


intervals = st.tuples(
    st.integers(0, 3),  # where it was seen
    st.booleans(),  # whether it waited there
    st.integers(0, 10**9),
    st.integers(0, 2 * 10**9),
)


@given(st.lists(intervals, max_size=30))
def test_every_nanosecond_goes_somewhere_once(seen):
    trie, unplaced, pace = Trie(), {}, Pace()
    codes = [view.__code__, plain.__code__, query.__code__, compute.__code__]
    earlier, total = Look(ROOT, waits=True), 0
    for index, waits, wall_ns, cpu_ns in seen:
        later = Look(trie.leaf(stack((codes[index], 2))), waits=waits)
        credit(trie, unplaced, (earlier, later), wall_ns, cpu_ns, pace)
        earlier, total = later, total + wall_ns
    assert sum(trie.wall_ns) + sum(wall_ns for wall_ns, _ in unplaced.values()) == total
    assert all(0 <= cpu <= wall for wall, cpu in unplaced.values())
    assert all(0 <= cpu <= wall for cpu, wall in zip(trie.cpu_ns, trie.wall_ns, strict=True))


def test_computing_between_two_waits_of_the_same_call_is_not_the_calls():
    trie = Trie()
    [at] = calls(view, "query")
    node = trie.leaf(stack((view.__code__, at), (query.__code__, 2)))
    place = place_computing(trie, Unplaced(node, node), LOOPS)
    assert (trie.codes[place], trie.positions[place]) == (view.__code__, DEFINITION)


def test_computing_in_a_loop_goes_to_the_outermost_one():
    trie = Trie()
    [inner] = calls(view, "query")
    outer = calls(view, "compute")[0]
    node = trie.leaf(stack((view.__code__, outer), (view.__code__, inner), (query.__code__, 2)))
    place = place_computing(trie, Unplaced(node, node), LOOPS)
    assert (trie.codes[place], trie.parents[place]) == (view.__code__, ROOT)


def test_computing_within_one_call_that_cannot_have_been_left_is_its_own():
    trie = Trie()
    [at] = calls(plain, "query")
    node = trie.leaf(stack((plain.__code__, at), (query.__code__, 2)))
    assert place_computing(trie, Unplaced(node, node), LOOPS) == node


def test_computing_between_two_lines_of_a_function_is_the_functions():
    trie = Trie()
    first, second = calls(plain, "compute")
    one = trie.leaf(stack((plain.__code__, first), (compute.__code__, 2)))
    other = trie.leaf(stack((plain.__code__, second), (compute.__code__, 2)))
    place = place_computing(trie, Unplaced(one, other), LOOPS)
    assert (trie.codes[place], trie.positions[place]) == (plain.__code__, DEFINITION)


def test_computing_between_stacks_that_share_nothing_is_the_requests():
    trie = Trie()
    one = trie.leaf(stack((plain.__code__, 2)))
    other = trie.leaf(stack((view.__code__, 2)))
    assert place_computing(trie, Unplaced(one, other), LOOPS) == ROOT


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40)), min_size=1, max_size=40), max_size=200
    )
)
def test_a_tree_finds_every_path_again(paths):
    codes = [view.__code__, plain.__code__]
    trie = Trie()
    leaves = [trie.leaf(stack(*((codes[code], at) for code, at in path))) for path in paths]
    for path, leaf in zip(paths, leaves, strict=True):
        if len(trie) < MOST_NODES:
            found = [(trie.codes[node], trie.positions[node]) for node in trie.path(leaf)]
            assert found == [(codes[code], at) for code, at in path]
    assert all(parent < node for node, parent in enumerate(trie.parents))


def test_a_tree_does_not_grow_beyond_its_bound():
    trie = Trie()
    for number in range(10 * MOST_NODES):
        trie.add(trie.leaf(stack((view.__code__, number), (plain.__code__, number))), 1)
    assert trie.is_full
    assert len(trie) <= 2 * MOST_NODES
    assert sum(trie.wall_ns) == 10 * MOST_NODES
    assert CUT in trie.positions


def test_where_a_thread_is_interrupted_it_was_computing():
    import dis  # noqa: PLC0415 # only here

    back = [each.offset for each in dis.get_instructions(view) if each.opname == "JUMP_BACKWARD"]
    assert all(was_computing(view.__code__, at) for at in back)
    assert not any(was_computing(view.__code__, at) for at in calls(view, "query"))
    assert was_computing(view.__code__, -1)
    assert was_computing(view.__code__, 10**6)


def test_a_call_waits_when_threads_are_seen_in_it_without_having_been_interrupted():
    sites = WaitingSites()
    for _ in range(10):
        assert sites.waits(view.__code__, 2, is_prompt=True)
    assert sites.waits(view.__code__, 2, is_prompt=False)


def test_a_call_beside_which_a_thread_computes_does_not_wait_though_it_looks_so_at_times():
    sites = WaitingSites()
    for number in range(20):
        last = sites.waits(view.__code__, 2, is_prompt=number % 7 == 0)
    assert not last
    assert not sites.waits(view.__code__, 2, is_prompt=True)


def test_a_thread_whose_clock_stands_still_proves_that_it_waits():
    sites = WaitingSites()
    sites.prove(view.__code__, 2)
    assert sites.waits(view.__code__, 2, is_prompt=False)


SWITCH_NS = 5_000_000
PERIOD_NS = 10_000_000


def simulate(segments, total_ns, seed):
    """Look at a made-up thread as the sampler does: late where it computes, at once where it waits.

    Args:
        segments: The function, the time, and whether it computes; again and again.
        total_ns: How long.
        seed: For where the looks fall.

    Returns:
        Time by function and the time that was computed and could not be placed; the same in truth.
    """
    rng = random.Random(seed)  # noqa: S311 # no secret
    timeline, at = [], 0
    while at < total_ns:
        for function, length_ns, computes in segments:
            timeline.append((at, at + length_ns, function, computes))
            at += length_ns
    trie, unplaced, pace = Trie(), {}, Pace()
    earlier, seen_ns, cpu_at_seen = Look(ROOT, waits=True), 0, 0
    wake_ns = rng.randrange(PERIOD_NS)
    while wake_ns + SWITCH_NS < total_ns:
        # A thread that computes is interrupted after the switch interval, unless it goes to wait before that.
        here = next(index for index, each in enumerate(timeline) if each[1] > wake_ns)
        look_ns = wake_ns
        while timeline[here][3] and look_ns < wake_ns + SWITCH_NS:
            look_ns = min(timeline[here][1], wake_ns + SWITCH_NS)
            here += look_ns == timeline[here][1]
        _, _, function, computes = timeline[here]
        cpu_ns = sum(min(end, look_ns) - start for start, end, _, c in timeline if c and start < look_ns)
        later = Look(trie.leaf(stack((function, 2))), waits=not computes)
        credit(trie, unplaced, (earlier, later), look_ns - seen_ns, cpu_ns - cpu_at_seen, pace)
        earlier, seen_ns, cpu_at_seen = later, look_ns, cpu_ns
        wake_ns = look_ns + int(PERIOD_NS * rng.uniform(0.85, 1.15))
    truth = {}
    for start, end, function, _ in timeline:
        if start < seen_ns:
            truth[function] = truth.get(function, 0) + min(end, seen_ns) - start
    found = dict.fromkeys(truth, 0)
    for node in range(1, len(trie)):
        found[trie.codes[node]] += trie.wall_ns[node]
    return found, sum(wall_ns for wall_ns, _ in unplaced.values()), truth, seen_ns


A, B, C = view.__code__, plain.__code__, query.__code__
MS = 1_000_000


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "computes", [(False, False, False), (True, True, True), (True, False, True), (False, True, False)]
)
def test_shares_of_70_20_10_are_found(computes, seed):
    # Longer than what is seen of it at a time, so that this is about bias and not about luck.
    segments = [(A, 700 * MS, computes[0]), (B, 200 * MS, computes[1]), (C, 100 * MS, computes[2])]
    found, unplaced, truth, total = simulate(segments, 4000 * MS, seed)
    for function in (A, B, C):
        assert abs(found[function] - truth[function]) / total < 0.03
    assert unplaced / total < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_short_computing_between_waits_is_not_shown_as_waiting(seed):
    found, unplaced, truth, total = simulate([(A, MS // 2, True), (B, MS, False)], 1000 * MS, seed)
    assert abs(found[B] - truth[B]) / total < 0.03
    assert abs(unplaced + found[A] - truth[A]) / total < 0.03


def test_what_computing_waits_for_the_gil_or_a_core_is_computings():
    trie, pace = Trie(), Pace()
    busy, idle = trie.leaf(stack((A, 2))), trie.leaf(stack((B, 2)))
    for _ in range(60):
        credit(trie, {}, (Look(busy, waits=False), Look(busy, waits=False)), 40 * MS, 10 * MS, pace)
    before = trie.wall_ns[busy]
    credit(trie, {}, (Look(busy, waits=False), Look(idle, waits=True)), 40 * MS, 5 * MS, pace)
    assert trie.wall_ns[busy] - before == pytest.approx(20 * MS, rel=0.05)
    assert trie.wall_ns[idle] == pytest.approx(20 * MS, rel=0.05)


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9))))
def test_the_pace_stays_a_share(seen):
    pace = Pace()
    for wall_ns, cpu_ns in seen:
        pace.note(wall_ns, min(cpu_ns, wall_ns))
        assert 0 < pace.share <= 1
        assert cpu_ns <= max(pace.time_for(cpu_ns, 10**12), cpu_ns)
