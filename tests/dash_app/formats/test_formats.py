"""Profiles as files: what is in them, and that pprof itself reads them. speedscope: tests/browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter

import pytest

from fmd_otel_dash.formats import Exported, Part
from fmd_otel_dash.formats.collapsed import collapsed
from fmd_otel_dash.formats.pprof import pprof
from fmd_otel_dash.formats.speedscope import speedscope
from fmd_otel_dash.stats.trees import Node, Tree, build, each
from fmd_otel_exporter.records import CodeLine
from tests import made_profiles


def made(version=made_profiles.OLD, number=1):
    record = made_profiles.profile(number, 0, version)
    return Tree(record.lines, tuple(Node(*node) for node in record.nodes))


@pytest.fixture
def one():
    return Exported("shop.cart", Part("shop.cart", made()), start_us=1_700_000_000_000_000)


@pytest.fixture
def two():
    return Exported(
        "1.6.0 and 1.7.0", Part("1.7.0", each(made(made_profiles.NEW))), Part("1.6.0", each(made()))
    )


HOSTILE = CodeLine("a b;c.py", "f;\n<script>\ud800 (x)", 3, 'print("\n;")', in_app=True)


@pytest.fixture
def hostile():
    return Exported("x\r\ny", Part("x", build([((HOSTILE,), 7, 3, 1), ((HOSTILE, HOSTILE), 5, 0, 1)])))


def stacks(tree):
    found = Counter()
    for i, node in enumerate(tree.nodes):
        if node.self_us:
            found[tuple(line.function for line in tree.path(i))] += node.self_us
    return found


def test_speedscope_holds_every_stack_with_its_time(one):
    document = json.loads(speedscope(one))
    (profile,) = document["profiles"]
    frames = document["shared"]["frames"]
    found = Counter()
    for sample, weight in zip(profile["samples"], profile["weights"], strict=True):
        found[tuple(frames[i]["name"] for i in sample)] += weight
    assert found == stacks(one.now.tree)
    assert profile["endValue"] == one.now.tree.total_us
    assert {"name": "load_order", "file": "shop/orders.py", "line": 12} in frames
    assert {"name": "[on CPU]"} in frames


def test_no_name_breaks_the_json_of_speedscope(hostile):
    frames = json.loads(speedscope(hostile))["shared"]["frames"]
    assert frames[0]["name"] == HOSTILE.function


def test_a_difference_is_two_profiles_in_speedscope(two):
    document = json.loads(speedscope(two))
    assert [profile["name"] for profile in document["profiles"]] == ["1.6.0", "1.7.0"]
    assert document["activeProfileIndex"] == 1


def read_collapsed(data):
    found = {}
    for line in data.decode().splitlines():
        stack, *numbers = re.fullmatch(r"(.*?) (\d+)(?: (\d+))?", line).groups()
        found[stack] = [int(number) for number in numbers if number is not None]
    return found


def test_collapsed_stacks_hold_every_stack_with_its_time(one):
    found = read_collapsed(collapsed(one))
    assert sum(number for (number,) in found.values()) == one.now.tree.total_us
    way = (
        "Flask.dispatch_request (flask/app.py:902)",
        "show_cart (shop/views.py:31)",
        "load_order (shop/orders.py:12)",
        "Session.get (sqlalchemy/orm/session.py:3680)",
    )
    assert found[";".join(way)]


def test_collapsed_stacks_of_a_difference_have_before_and_after(two):
    found = read_collapsed(collapsed(two))
    before, after = (sum(numbers[i] for numbers in found.values()) for i in (0, 1))
    assert before == pytest.approx(two.before.tree.total_us, abs=20)
    assert after == pytest.approx(two.now.tree.total_us, abs=20)


def test_no_name_breaks_a_collapsed_stack(hostile):
    (outer, inner) = collapsed(hostile).decode("utf-8").splitlines()
    assert outer.endswith(" 7")
    assert inner.endswith(" 5")
    assert outer.count(";") == 0
    assert inner.count(";") == 1


@pytest.fixture(scope="session")
def google_pprof():
    """Return a function that lets pprof print a file."""
    go = shutil.which("go")
    if not go:
        pytest.skip("needs Google's pprof, a part of Go. The remedy, as root: apt-get install golang-go")

    def run(path, *options):
        done = subprocess.run(
            [go, "tool", "pprof", *options, str(path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_pprof_reads_stacks_and_times(one, google_pprof, tmp_path):
    path = tmp_path / "one.pb.gz"
    path.write_bytes(pprof(one))
    raw = google_pprof(path, "-raw")
    assert "wall/nanoseconds[dflt] cpu/nanoseconds samples/count" in raw
    values = [int(match[1]) for match in re.finditer(r"^\s+(\d+)\s+\d+\s+\d+: [\d ]+$", raw, re.MULTILINE)]
    assert sum(values) == one.now.tree.total_us * 1000
    assert re.search(r"load_order shop/orders.py:12 ", raw)
    top = google_pprof(path, "-top", "-cum")
    assert re.search(r"100%\s+Flask.dispatch_request", top)


def test_pprof_subtracts_what_was_before(two, google_pprof, tmp_path):
    path = tmp_path / "two.pb.gz"
    path.write_bytes(pprof(two))
    raw = google_pprof(path, "-raw")
    assert "pprof::base:[true]" in raw
    top = google_pprof(path, "-top", "-unit=us")
    delta = two.now.tree.total_us - two.before.tree.total_us
    shown = float(re.search(r"accounting for (-?[\d.]+)us", top)[1])
    assert shown == pytest.approx(delta, abs=60)
    parsing = float(re.search(r"^\s*([\d.]+)us .*raw_decode", top, re.MULTILINE)[1])
    assert parsing > delta * 0.9


def test_pprof_reads_hostile_names(hostile, google_pprof, tmp_path):
    path = tmp_path / "hostile.pb.gz"
    path.write_bytes(pprof(hostile))
    assert "a b;c.py:3" in google_pprof(path, "-raw")


def test_the_same_profile_is_the_same_file(one):
    assert pprof(one) == pprof(one)


def test_nothing_is_a_file_all_the_same(google_pprof, tmp_path):
    nothing = Exported("nothing", Part("nothing", Tree((), ())))
    assert json.loads(speedscope(nothing))["profiles"][0]["samples"] == []
    assert collapsed(nothing) == b""
    path = tmp_path / "nothing.pb.gz"
    path.write_bytes(pprof(nothing))
    google_pprof(path, "-raw")
