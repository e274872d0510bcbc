"""An exception belongs to its group by its type and its way through the code, whatever its message."""

from __future__ import annotations

import builtins
import sys

import pytest
from flask import (
    Flask,
)

import fmd_otel
from tests.fmd_otel.exceptions.made import code, document, only


def group_of(watched, function, *args):
    before = len(watched.sink.details)
    with pytest.raises(Exception) as caught:  # noqa: PT011 # of any kind
        function(*args)
    assert fmd_otel.capture(caught.value)
    assert len(watched.sink.details) == before + 1
    return watched.sink.details[-1].group_id


SOURCE = """
def price(order):
    return total(order)

def total(order):
    raise ValueError(f"order {order} has no price")
"""


def test_the_message_makes_no_group(app, watch):
    watched = watch(app)
    price = code(SOURCE)["price"]
    groups = {group_of(watched, price, number) for number in range(20)}
    assert len(groups) == 1
    assert 0 < groups.pop() < 1 << 63


def test_lines_that_move_make_no_group(app, watch):
    watched = watch(app)
    moved = "\n\n# a comment\nunrelated = 1\n" + SOURCE.replace("return total", "x = 1\n    return total")
    assert group_of(watched, code(SOURCE)["price"], 1) == group_of(watched, code(moved)["price"], 1)


def test_type_path_and_service_make_groups(app, watch):
    watched = watch(app)
    price = code(SOURCE)["price"]
    other_type = code(SOURCE.replace("ValueError", "KeyError"))["price"]
    other_way = code(SOURCE + "\n\ndef gift(order):\n    return total(order)\n")["gift"]
    groups = {group_of(watched, function, 1) for function in (price, other_type, other_way)}
    assert len(groups) == 3
    other = watch(Flask("other"), service="other")
    assert group_of(other, price, 1) not in groups


def test_recursion_of_any_depth_is_one_group(app, watch):
    watched = watch(app)
    walk = code(
        """
        def walk(depth):
            if depth:
                return turn(depth - 1)
            raise ValueError(depth)

        def turn(depth):
            return walk(depth)
        """
    )["walk"]
    assert len({group_of(watched, walk, depth) for depth in (1, 2, 50, 300)}) == 1


def test_generated_names_make_no_group(app, watch):
    watched = watch(app)
    source = "def handler_{0}():\n    raise type('Error_{0}', (Exception,), {{}})\n"
    groups = {
        group_of(watched, code(source.format(name))[f"handler_{name}"])
        for name in ("140234", "982134", "0x7f3a")
    }
    assert len(groups) == 1


def test_comprehensions_are_no_step_of_the_way(app, watch):
    watched = watch(app)
    plain = "def f(n):\n    return g(n)\n\ndef g(n):\n    raise ValueError(n)\n"
    comprehension = plain.replace("return g(n)", "return [g(n) for n in range(3)]")
    assert group_of(watched, code(plain)["f"], 1) == group_of(watched, code(comprehension)["f"], 1)


def test_code_without_a_file(app, watch):
    watched = watch(app)
    group_of(watched, code(SOURCE, "<string>")["price"], 1)
    frames = document(watched.sink.details[0])["chain"][0]["frames"]
    assert [frame["source"] for frame in frames if frame["file"] == "<string>"] == [None, None]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs exception groups: Python 3.11")
def test_an_exception_group(view, watch, serve):
    def x():
        groups = builtins.ExceptionGroup
        raise groups("several", [*map(ValueError, range(3)), groups("inner", [KeyError("k")])])

    watched = watch(view(x))
    serve(watched.app, "/x")
    found = only(watched)
    assert found.type == "ExceptionGroup"
    links = document(found)["chain"]
    assert [(link["type"], link["relation"], link["parent"]) for link in links] == [
        ("ExceptionGroup", None, None),
        ("ValueError", "group", 0),
        ("ValueError", "group", 0),
        ("ValueError", "group", 0),
        ("ExceptionGroup", "group", 0),
        ("KeyError", "group", 4),
    ]


def test_a_chain_that_bites_its_tail_and_one_without_end(app, watch):
    watched = watch(app)
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__cause__ = second, first
    fmd_otel.capture(first)
    assert [link["relation"] for link in document(watched.sink.details[0])["chain"]] == [None, "cause"]
    error = ValueError(0)
    for number in range(1, 100):
        outer = ValueError(number)
        outer.__context__ = error
        error = outer
    fmd_otel.capture(error)
    assert len(document(watched.sink.details[1])["chain"]) == 10


def test_a_recursion_without_end(view, watch, serve):
    def x():
        return x()

    watched = watch(view(x))
    serve(watched.app, "/x")
    found = only(watched)
    assert found.type == "RecursionError"
    (link,) = document(found)["chain"]
    assert len(link["frames"]) == 61
    assert [frame["function"] for frame in link["frames"]].count("[truncated]") == 1
    assert len(found.document) < 20_000
