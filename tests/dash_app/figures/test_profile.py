from __future__ import annotations

import json
import random

import pytest

from fmd_otel_dash.figures import profile as figures
from fmd_otel_dash.stats.treediff import difference
from fmd_otel_dash.stats.trees import Node, Tree, build
from fmd_otel_exporter.records import CodeLine
from tests import made_profiles


def lines(count):
    return tuple(
        CodeLine(
            f"package{i % 30}/module{i % 7}.py",
            f"Class{i % 20}.method{i}",
            i,
            f"value = call({i})" * 3,
            i % 3 == 0,
        )
        for i in range(count)
    )


def large(nodes, *, distinct=1500, seed=1):
    chance = random.Random(seed)  # noqa: S311 # no secret
    found = [
        Node(
            max(-1, int(i - 1 - chance.expovariate(0.03))), chance.randrange(distinct),
            chance.randrange(1, 4000), 0, 1, 3, 1e8,
        )
        for i in range(nodes)
    ]  # fmt: skip
    return Tree(lines(distinct), tuple(found), 50)


def made(version=made_profiles.OLD):
    record = made_profiles.profile(1, 0, version)
    return Tree(record.lines, tuple(Node(*node) for node in record.nodes))


def size(payload):
    return len(json.dumps(payload, separators=(",", ":"), ensure_ascii=False))


def totals(payload, column="self"):
    """Return the time of the outermost frames with all below them."""
    return sum(payload[column])


def test_callers_stand_before_callees_the_widest_first():
    a, b, c = (CodeLine("a.py", name, 1, None, in_app=True) for name in "abc")
    payload = figures.profile(build([((a, b), 10, 1, 1), ((a, c), 30, 2, 2), ((b,), 5, 5, 1)]))
    names = [payload["frames"][frame][0] for frame in payload["frame"]]
    assert list(zip(payload["depth"], names, payload["self"], strict=True)) == [
        (0, "a", 0), (1, "c", 30), (1, "b", 10), (0, "b", 5)
    ]  # fmt: skip


@pytest.mark.parametrize("nodes", [10_000, 60_000])
@pytest.mark.parametrize("kind", ["profile", "grouped"])
def test_it_fits_into_the_budget_and_loses_no_time(nodes, kind):
    tree = large(nodes)
    payload = figures.profile(tree, kind=kind)
    assert size(payload) <= 400_000
    # Times of what is put together are rounded, once each.
    assert totals(payload) == pytest.approx(tree.total_us, abs=len(payload["self"]))
    assert (
        len(payload["self"])
        - payload["frame"].count(
            next((i for i, frame in enumerate(payload["frames"]) if frame[0] == figures.SMALLER), -1)
        )
        + payload["leftOut"]
        == nodes
    )


def test_ten_thousand_frames_of_one_request_are_all_sent():
    assert figures.profile(large(10_000))["leftOut"] == 0


def test_no_text_alone_can_break_the_budget():
    long = tuple(CodeLine("x" * 500, "y" * 500, i, "z" * 10_000, in_app=True) for i in range(3000))
    tree = Tree(long, tuple(Node(-1, i, i + 1, 0, 1) for i in range(3000)))
    assert size(figures.profile(tree)) <= 400_000


def test_an_empty_tree_is_drawn_as_nothing():
    assert figures.profile(Tree((), ()))["self"] == []


def test_a_difference_has_what_was_before_and_keeps_what_is_gone():
    before, after = made(), made(made_profiles.NEW)
    payload = figures.diff(difference(before, after))
    assert payload["kind"] == "diff"
    assert totals(payload) == pytest.approx(after.total_us, abs=50)
    assert totals(payload, "before") == pytest.approx(before.total_us, abs=50)
    names = [payload["frames"][frame][0] for frame in payload["frame"]]
    gone = names.index("LoopContext.__next__")
    assert (payload["self"][gone], payload["before"][gone] > 0) == (0, True)


def test_deviations_that_are_not_known_say_so():
    line = CodeLine("a.py", "a", 1, None, in_app=True)
    tree = Tree((line,), (Node(-1, 0, 40, 0, 1, 2, None),), 2)
    assert figures.profile(tree, kind="grouped")["sd"] == [-1]


def test_whose_code_it_is_travels_once_a_group():
    payload = figures.profile(made())
    assert set(payload["groups"]) == {
        "flask", "your code", "sqlalchemy", "psycopg", "standard library", "jinja2", ""
    }  # fmt: skip
