"""The sums of days are what single profiles come to, whatever the profiles, batches and bounds."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from fmd_otel_dash.queries.profiles import by_endpoint, grouped, recent
from fmd_otel_dash.stats.trees import EMPTY, Tree
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.profile_data import (
    Leaf,
    LineIds,
    PathNode,
    ProfileDataError,
    StackIds,
    added_up,
    fold,
    line_id,
    pack,
    price_us_of,
    trie_of,
    unpack,
)
from fmd_otel_exporter.records import CodeLine, ProfileNode, ProfileRecord
from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_exporter.profile_data import Trie
    from fmd_otel_exporter.store import Store

QUIETLY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
DAY_S = 86_400
LINES = tuple(CodeLine("app.py", f"f{n}", n, None, in_app=n % 2 == 0) for n in range(4))
LARGE = st.integers(min_value=0, max_value=2**40)


@st.composite
def nodes(draw: st.DrawFn) -> tuple[ProfileNode, ...]:
    times = st.integers(min_value=0, max_value=50)
    return tuple(
        ProfileNode(
            draw(st.integers(min_value=-1, max_value=index - 1)),
            draw(st.integers(min_value=0, max_value=3)),
            draw(times),
            draw(times),
            draw(st.integers(min_value=0, max_value=2)),
        )
        for index in range(draw(st.integers(min_value=0, max_value=12)))
    )


PROFILES = st.builds(
    ProfileRecord,
    service=st.just("shop"),
    endpoint=st.sampled_from(["a", "b"]),
    version=st.sampled_from(["1", "2"]),
    ts_us=st.integers(min_value=0, max_value=3 * DAY_S * 1_000_000 - 1),
    span_id=st.binary(min_size=8, max_size=8),
    trace_id=st.just(bytes(16)),
    duration_us=st.integers(min_value=0, max_value=10_000),
    cpu_us=st.just(0),
    samples=st.just(1),
    period_us=st.just(10_000),
    exact=st.sampled_from([False, False, False, True]),
    truncated=st.booleans(),
    lines=st.just(LINES),
    nodes=nodes(),
)


def decoded(store: Store, data: bytes) -> Trie:
    """Return the call paths of a stored profile, by way of the stacks."""
    c = store.tables.stack.c
    with store.read() as connection:
        rows = connection.execute(select(c.id, c.parent_id, c.line_id, c.depth))
        stacks = {row[0]: tuple(row[1:]) for row in rows}
    found: dict[int, list[int]] = {}
    for leaf in unpack(data):
        path = [leaf.stack_id]
        while stacks[path[-1]][0]:
            path.append(stacks[path[-1]][0])
        for own in reversed(path):
            node = found.setdefault(own, [*stacks[own], 0, 0, 0, 0])
            node[6] += leaf.self_us
        found[leaf.stack_id][3:6] = leaf[1:]
    return {own: PathNode(*node) for own, node in found.items()}


@settings(max_examples=40, deadline=None, suppress_health_check=QUIETLY)
@given(batches=st.lists(st.lists(PROFILES, max_size=5), max_size=4))
def test_sums_of_days_are_those_of_the_stored_profiles(batches: list[list[ProfileRecord]]) -> None:
    store = open_store("sqlite://")
    writer = DetailWriter(store)
    for batch in batches:
        writer.write(batch)
    tables = store.tables
    with store.read() as connection:
        single = connection.execute(select(tables.profile).where(tables.profile.c.exact == 0)).all()
        sums = {tuple(row[:4]): tuple(row[4:]) for row in connection.execute(select(tables.profile_day))}
        counts = {tuple(row[:3]): tuple(row[3:]) for row in connection.execute(select(tables.profile_day_n))}
    tries: dict[tuple[int, int, int], list[Trie]] = defaultdict(list)
    durations: dict[tuple[int, int, int], int] = defaultdict(int)
    for row in single:
        key = (row.endpoint_id, row.ts // 1_000_000 // DAY_S * DAY_S, row.version_id)
        tries[key].append(decoded(store, bytes(row.data)))
        durations[key] += row.duration
    expected = {
        (*key, own): tuple(numbers) for key, some in tries.items() for own, numbers in added_up(some).items()
    }
    assert sums == expected
    assert counts == {key: (len(some), durations[key]) for key, some in tries.items()}
    # What the dashboard makes of both is the same as well.
    trees = dict(by_endpoint(store, 0, 3 * DAY_S))
    for endpoint in {key[0] for key in tries}:
        whole = grouped(store, [endpoint], 0, 3 * DAY_S)
        newest = recent(store, endpoint, 1000)
        assert (whole.n, shape(whole)) == (newest.n, shape(newest))
        assert shape(trees.get(endpoint, EMPTY)) == shape(whole)
    store.dispose()


def shape(tree: Tree) -> dict[tuple[CodeLine, ...], tuple[float, ...]]:
    return {
        tree.path(index): (*node[2:5], node.n, node.total_us2 or 0.0, tree.totals_us[index])
        for index, node in enumerate(tree.nodes)
    }


@settings(max_examples=60, deadline=None)
@given(PROFILES, st.sets(st.integers(min_value=0, max_value=30)))
def test_folding_loses_no_time_no_hit_and_keeps_a_tree(record: ProfileRecord, kept: set[int]) -> None:
    trie = trie_of(record, LineIds(), StackIds())
    allowed: set[int] = {0}
    for index, (own, node) in enumerate(trie.items()):
        if index in kept and node.parent_id in allowed:
            allowed.add(own)
    line = line_id(CodeLine("", "[truncated]", 0, None, in_app=False))
    folded = fold(trie, allowed.__contains__, StackIds(), line)
    for field in ("self_us", "self_cpu_us", "hits"):
        assert sum(getattr(node, field) for node in folded.values()) == sum(
            getattr(node, field) for node in trie.values()
        )
    for own, node in folded.items():
        assert node.parent_id == 0 or node.parent_id in folded
        assert (own in allowed and node.total_us == trie[own].total_us) or node.line_id == line
        assert node.total_us == node.self_us + sum(
            other.total_us for other in folded.values() if other.parent_id == own
        )


@given(
    st.dictionaries(st.integers(min_value=1, max_value=2**63 - 1), st.tuples(LARGE, LARGE, LARGE)),
    st.integers(min_value=0, max_value=10**10),
)
def test_packed_profiles_come_back(leaves: dict[int, tuple[int, int, int]], price_us: int) -> None:
    trie = {own: PathNode(0, 1, 1, *numbers, numbers[0]) for own, numbers in leaves.items()}
    kept = [Leaf(own, *numbers) for own, numbers in leaves.items() if numbers[0] or numbers[2]]
    assert unpack(pack(trie, price_us)) == kept
    assert price_us_of(pack(trie, price_us)) == (price_us or None)
    assert unpack(b"\1" + pack(trie)[2:]) == kept  # as older releases packed them
    assert price_us_of(b"\1" + pack(trie)[2:]) is None


@given(st.binary(max_size=60))
def test_no_bytes_do_more_than_say_that_they_are_no_profile(data: bytes) -> None:
    for tried in (data, b"\1" + data, b"\2" + data):
        try:
            leaves: Sequence[Leaf] = unpack(tried)
        except ProfileDataError:
            continue
        assert all(len(leaf) == 4 for leaf in leaves)


@pytest.mark.parametrize("data", [b"", b"\2", b"\2\x80", b"\3", b"\1\0", b"\1" + bytes(8) + b"\x80"])
def test_damaged_profiles_are_told(data: bytes) -> None:
    with pytest.raises(ProfileDataError):
        unpack(data)
