"""Several processes that write details of the same requests' code to one database, some of them killed."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.records import ExceptionRecord, OutlierRecord, ProfileRecord

if TYPE_CHECKING:
    from fmd_otel_exporter.records import DetailRecord
    from fmd_otel_exporter.store import Store

# The details of one writer, made up by seed so that they can be sent again by another process.
TRAFFIC = """
import random
from fmd_otel_exporter.records import (
    CodeLine, ExceptionRecord, OutlierRecord, ProfileNode, ProfileRecord,
)
LINES = tuple(CodeLine("app.py", "f", n, None, True) for n in range(30))
def detail(r, names):
    kind = r.randrange(4)
    if kind == 0:
        return OutlierRecord(*names, 9, 3, 6, 200, r.choice(["me", None]), "10.0.0.1", 1.5, 7, b"x")
    if kind == 1:
        document = b"y" if r.random() < 0.3 else None
        return ExceptionRecord(*names, r.randrange(1, 6), 1, "E", "m", r.choice(["me", "you"]), document)
    nodes = tuple(
        ProfileNode(n - 1 - r.randrange(min(n, 2) or 1), r.randrange(30), 10, 5, 1) for n in range(12)
    )
    return ProfileRecord(*names, 120, 60, 12, 10, False, False, LINES, nodes)
def batch(writer, number, size=40):
    r = random.Random(f"{writer}/{number}")
    return [
        detail(r, ("shop", r.choice("abc"), r.choice("12"),
                   1_790_164_800_000_000 + r.randrange(7_200_000_000), r.randbytes(8), r.randbytes(16)))
        for _ in range(size)
    ]
"""
WRITER = (
    TRAFFIC
    + """
import sys
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.store import open_store
writer = DetailWriter(open_store(sys.argv[1]))
"""
)


def batch(writer: int, number: int) -> list[DetailRecord]:
    scope: dict[str, object] = {}
    exec(TRAFFIC, scope)  # noqa: S102 # the same text that the other processes run
    return scope["batch"](writer, number)


def check(see, details: list[DetailRecord]) -> None:
    """Hold what is stored against what was sent."""
    kinds = Counter(type(detail) for detail in details)
    profiles = kinds[ProfileRecord]
    assert len(see.rows("profile")) == sum(row["n"] for row in see.rows("profile_day_n")) == profiles
    assert len(see.rows("outlier")) == kinds[OutlierRecord]
    assert sum(row["n"] for row in see.rows("exception_hits")) == kinds[ExceptionRecord]
    assert sum(row["n"] for row in see.rows("exception_subject")) == kinds[ExceptionRecord]
    sums = see.rows("profile_day")
    assert sum(row["self_us"] for row in sums) == sum(
        node.self_us for detail in details if isinstance(detail, ProfileRecord) for node in detail.nodes
    )
    stacks = {row["id"]: row for row in see.rows("stack")}
    lines = {row["id"] for row in see.rows("code_line")}
    assert {row["stack_id"] for row in sums} <= stacks.keys()
    assert all(row["parent_id"] in {0, *stacks} and row["line_id"] in lines for row in stacks.values())
    met = [detail.ts_us for detail in details if isinstance(detail, ExceptionRecord)]
    groups = see.rows("exception_group")
    assert (min(row["first_ts"] for row in groups), max(row["last_ts"] for row in groups)) == (
        min(met),
        max(met),
    )


@pytest.fixture
def rounds() -> int:
    """How many batches each of some writers sends."""
    return 12


@pytest.fixture
def victims() -> int:
    """How many writers are killed."""
    return 4


def test_four_writers_at_once_add_up_the_same_sums(store: Store, start, see, rounds: int):
    code = WRITER + (
        'print("ready", flush=True)\n'
        "sys.stdin.readline()\n"
        "print(sum(writer.write(batch(int(sys.argv[2]), n)).written for n in range(int(sys.argv[3]))))\n"
    )
    writers = [start(code, store.url, str(number), str(rounds)) for number in range(4)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        assert writer.communicate(timeout=300) == (f"{rounds * 40}\n", "")
    check(
        see, [detail for writer in range(4) for number in range(rounds) for detail in batch(writer, number)]
    )


def test_a_writer_killed_at_any_moment_leaves_whole_batches(store: Store, start, see, victims: int):
    code = WRITER + (
        "for number in range(1_000_000):\n"
        "    writer.write(batch(int(sys.argv[2]), number))\n"
        "    print(number, flush=True)\n"
    )
    chance = random.Random(7)  # noqa: S311 # when to kill
    again = DetailWriter(store)
    sent: list[DetailRecord] = []
    for victim in range(victims):
        process = start(code, store.url, str(victim))
        for _ in range(chance.randrange(1, 12)):
            process.stdout.readline()
        process.kill()
        process.wait()
        told = [int(line) for line in process.stdout.read().split()]
        # More than it can have written: what it has is recognised, the rest is new.
        last = max(told, default=12) + 3
        for number in range(last):
            result = again.write(batch(victim, number))
            assert result in {(40, 0), (0, 40)}
            sent += batch(victim, number)
    check(see, sent)
