from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.stats.treediff import difference
from fmd_otel_dash.stats.trees import (
    APP,
    EMPTY,
    MARK,
    STDLIB,
    Node,
    Tree,
    build,
    by_function,
    each,
    merged,
    own_code,
    package,
    settled,
    under,
)
from fmd_otel_exporter.records import CodeLine


def line(name, number=1, file="shop/views.py", source=None, *, in_app=True):
    return CodeLine(file, name, number, source, in_app)


VIEW, LOAD = line("view", 10, source="load()"), line("load", 20, "shop/orders.py", "q()")
QUERY = line("query", 5, "sqlalchemy/orm.py", in_app=False)
HOOK = line("hook", 7, "shop/hooks.py")


@st.composite
def trees(draw, most=25):
    """Return any tree: callers before callees, as few lines as make some meet."""
    lines = tuple(
        line(f"f{i}", i % 3, f"{'app' if i % 2 else 'lib'}{i % 4}.py", f"text {i % 5}", in_app=bool(i % 2))
        for i in range(6)
    )
    nodes = []
    for i in range(draw(st.integers(0, most))):
        self_us = draw(st.integers(0, 10_000))
        nodes.append(
            Node(
                draw(st.integers(-1, i - 1)), draw(st.integers(0, 5)), self_us,
                draw(st.integers(0, self_us)), draw(st.integers(0, 9)), draw(st.integers(1, 7)), 1.0,
            )
        )  # fmt: skip
    return merged([Tree(lines, tuple(nodes), draw(st.integers(1, 7)))])


def sums(tree):
    return tree.total_us, tree.cpu_us, sum(node.hits for node in tree.nodes)


def in_order(tree):
    assert all(-1 <= node.parent < index for index, node in enumerate(tree.nodes))
    assert all(0 <= node.line < len(tree.lines) for node in tree.nodes)
    siblings = [(node.parent, node.line) for node in tree.nodes]
    assert len(siblings) == len(set(siblings))


@given(trees())
def test_folding_and_joining_lose_no_time(tree):
    for shape in (own_code, by_function, settled, lambda one: by_function(own_code(one))):
        found = shape(tree)
        in_order(found)
        assert sums(found) == sums(tree)
        assert found.n == tree.n


@given(st.lists(trees(10), max_size=4))
def test_merged_trees_are_their_sum(some):
    found = merged(some)
    in_order(found)
    assert sums(found) == tuple(map(sum, zip(*map(sums, some), strict=True))) if some else found == EMPTY
    assert found.n == sum(tree.n for tree in some)


@given(st.lists(trees(10), max_size=4))
def test_trees_side_by_side_keep_their_totals(some):
    found = under((f"endpoint {i}", tree) for i, tree in enumerate(some))
    in_order(found)
    roots = [i for i, node in enumerate(found.nodes) if node.parent < 0]
    assert [found.totals_us[i] for i in roots] == [tree.total_us for tree in some]
    assert [found.lines[found.nodes[i].line].function for i in roots] == [
        f"endpoint {i}" for i in range(len(some))
    ]


@given(trees(), trees())
def test_a_difference_holds_both_sides_whole(before, after):
    found = difference(before, after)
    in_order(found.after)
    assert [node[:2] for node in found.before.nodes] == [node[:2] for node in found.after.nodes]
    assert found.before.total_us == pytest.approx(each(before).total_us)
    assert found.after.total_us == pytest.approx(each(after).total_us)
    assert sum(change.delta_us for change in found.lines) == pytest.approx(found.delta_us, abs=1e-6)


@given(trees())
def test_a_tree_does_not_differ_from_itself(tree):
    found = difference(tree, tree)
    assert found.delta_us == 0
    assert not found.removed
    assert not found.added
    assert all(change.delta_us == 0 for change in found.lines)


def test_totals_are_with_all_that_was_called():
    tree = build([((VIEW,), 10, 5, 1), ((VIEW, LOAD), 20, 2, 1), ((VIEW, LOAD, QUERY), 30, 0, 3)])
    assert tree.totals_us == (60, 50, 30)
    assert tree.total_cpus_us == (7, 2, 0)
    assert tree.path(2) == (VIEW, LOAD, QUERY)


def test_mean_and_deviation_come_from_sums_alone():
    # Two requests, 10 and 30 ms.
    tree = Tree((VIEW,), (Node(-1, 0, 40_000, 0, 4, 2, 10_000**2 + 30_000**2),), 2)
    assert tree.totals_us[0] / tree.nodes[0].n == 20_000
    assert tree.deviation_us(0) == 10_000


def test_a_line_of_one_request_does_not_deviate():
    assert Tree((VIEW,), (Node(-1, 0, 5, 0, 1, 1, 25.0),)).deviation_us(0) is None


def test_what_a_library_took_is_the_callers_time():
    tree = build([((VIEW, QUERY), 30, 3, 2), ((VIEW, QUERY, HOOK), 12, 12, 1)])
    own = own_code(tree)
    assert [own.lines[node.line] for node in own.nodes] == [VIEW, HOOK]
    assert own.nodes[0].self_us == 30
    assert own.nodes[1].parent == 0


def test_a_library_that_nobody_of_ours_called_stays():
    tree = build([((QUERY,), 30, 3, 2), ((QUERY, VIEW), 12, 12, 1)])
    assert [own.function for own in own_code(tree).lines] == ["query", "view"]


def test_all_library_is_not_folded_to_nothing():
    tree = build([((QUERY,), 30, 3, 2)])
    assert own_code(tree) == tree


def test_marks_are_no_library_and_are_kept():
    mark = CodeLine("", "[on CPU]", 0, None, in_app=False)
    assert mark in own_code(build([((VIEW, mark), 5, 5, 1)])).lines


def test_lines_of_a_function_become_one():
    tree = build([((VIEW,), 10, 0, 1), ((VIEW._replace(line=12, source="other()"), LOAD), 5, 0, 1)])
    found = by_function(tree)
    assert [(one.function, one.line, one.source) for one in found.lines] == [
        ("view", 10, None),
        ("load", 20, None),
    ]
    assert found.totals_us == (15, 5)


@pytest.mark.parametrize(
    ("file", "in_app", "expected"),
    [
        ("shop/views.py", True, APP),
        ("json/decoder.py", False, STDLIB),
        ("threading.py", False, STDLIB),
        ("<frozen importlib._bootstrap>", False, STDLIB),
        ("sqlalchemy/orm/session.py", False, "sqlalchemy"),
        ("six.py", False, "six"),
        ("", False, MARK),
    ],
)
def test_whose_code_a_line_is(file, in_app, expected):
    assert package(CodeLine(file, "f", 1, None, in_app)) == expected


def test_a_line_that_moved_is_the_same_line():
    after = VIEW._replace(line=14)
    found = difference(build([((VIEW, LOAD), 10, 0, 1)]), build([((after, LOAD), 25, 0, 1)]))
    assert found.after.lines == (after, LOAD)
    (change,) = found.lines
    assert (change.line, change.delta_us) == (LOAD, 15)
    assert not found.removed
    assert not found.added


def test_of_two_lines_alike_each_keeps_its_place():
    first, second = line("view", 10, source="save()"), line("view", 20, source="save()")
    moved = [first._replace(line=11), second._replace(line=21)]
    found = difference(
        build([((first,), 1, 0, 1), ((second,), 2, 0, 1)]),
        build([((moved[0],), 5, 0, 1), ((moved[1],), 9, 0, 1)]),
    )
    assert {change.line: change.delta_us for change in found.lines} == {moved[0]: 4, moved[1]: 7}


def test_a_line_whose_text_changed_is_another_line():
    after = VIEW._replace(source="load_all()")
    found = difference(build([((VIEW,), 10, 0, 1)]), build([((after,), 10, 0, 1)]))
    assert [found.before.path(i) for i in found.removed] == [(VIEW,)]
    assert [found.after.path(i) for i in found.added] == [(after,)]


def test_removed_branches_are_named_by_their_first_line():
    before = build([((VIEW,), 5, 0, 1), ((VIEW, LOAD), 1, 0, 1), ((VIEW, LOAD, QUERY), 30, 0, 1)])
    found = difference(before, build([((VIEW,), 6, 0, 1)]))
    assert [found.before.path(i) for i in found.removed] == [(VIEW, LOAD)]


def test_many_profiles_are_held_against_few_by_their_means():
    many = Tree((VIEW,), (Node(-1, 0, 100_000, 0, 50, 10, None),), 10)
    few = Tree((VIEW,), (Node(-1, 0, 24_000, 0, 5, 2, None),), 2)
    assert difference(many, few).delta_us == pytest.approx(2_000)


def test_a_line_that_moved_between_versions_is_one_line_over_all():
    moved = VIEW._replace(line=14)
    tree = Tree(
        (VIEW, moved),
        (Node(-1, 0, 30, 0, 3, 3, 300.0), Node(-1, 1, 50, 0, 5, 5, 500.0)),
        8,
    )
    found = settled(tree)
    assert found.lines == (moved,)
    assert found.nodes == (Node(-1, 0, 80, 0, 8, 8, 800.0),)
