"""Several processes on one database, some of them killed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from fmd_otel_exporter.records import RequestRecord
    from fmd_otel_exporter.store import Store

# The traffic of one writer, made up by seed so that it can be sent again by another process.
TRAFFIC = """
import random
from fmd_otel_exporter.records import RequestRecord
def batch(writer, number, size=100):
    r = random.Random(f"{writer}/{number}")
    return [
        RequestRecord("shop", r.choice("abcde"), 1_790_164_800_000_000 + r.randrange(7_200_000_000),
                      r.randbytes(8), r.randbytes(16), r.randrange(1, 10**6), r.choice([200, 404]), "GET",
                      r.choice(["1", "2"]), r.choice([None, "me", "you"]), f"10.0.{writer}.{r.randrange(50)}")
        for _ in range(size)
    ]
"""


def batch(writer: int, number: int) -> list[RequestRecord]:
    scope: dict[str, object] = {}
    exec(TRAFFIC, scope)  # noqa: S102 # the same text that the other processes run
    return scope["batch"](writer, number)


def _totals(store: Store) -> tuple[int, int]:
    hits = store.tables.hits.c
    with store.read() as connection:
        return connection.execute(select(func.sum(hits.n), func.sum(hits.sum_us))).one()


@pytest.fixture
def rounds() -> int:
    """How many batches each of some writers sends."""
    return 40


@pytest.fixture
def victims() -> int:
    """How many writers are killed."""
    return 6


def test_four_writers_at_once_lose_nothing_and_never_meet_a_lock(store: Store, start, see, rounds: int):
    code = (
        TRAFFIC
        + """
import sys
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
store = open_store(sys.argv[1])
writer = Writer(store)
print("ready", flush=True)
sys.stdin.readline()
print(sum(writer.write(batch(int(sys.argv[2]), n)).written for n in range(int(sys.argv[3]))))
"""
    )
    writers = [start(code, store.url, str(number), str(rounds)) for number in range(4)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        output, errors = writer.communicate(timeout=300)
        assert (output, errors) == (f"{rounds * 100}\n", "")
    everything = [
        record for writer in range(4) for number in range(rounds) for record in batch(writer, number)
    ]
    assert set(see.sums().values()) == {rounds * 400}
    assert _totals(store) == (rounds * 400, sum(record.duration_us for record in everything))
    assert len(see.rows("endpoint")) == 5
    assert len(see.rows("subject")) == 202


def test_two_who_send_the_same_batches_at_once_count_them_once(store: Store, start, see, victims: int):
    code = (
        TRAFFIC
        + """
import sys
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
writer = Writer(open_store(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    print(*writer.write(batch(1, int(line))), flush=True)
"""
    )
    senders = [start(code, store.url) for _ in range(2)]
    for sender in senders:
        assert sender.stdout.readline() == "ready\n"
    for number in range(2 * victims):
        for sender in senders:
            sender.stdin.write(f"{number}\n")
            sender.stdin.flush()
        results = [tuple(map(int, sender.stdout.readline().split())) for sender in senders]
        assert sorted(results) == [(0, 100), (100, 0)]
    for sender in senders:
        assert sender.communicate(timeout=300)[1] == ""
    assert set(see.sums().values()) == {2 * victims * 100}


def test_a_writer_killed_at_any_moment_leaves_whole_batches_that_can_be_sent_again(
    store: Store, start, see, victims: int
):
    code = (
        TRAFFIC
        + """
import sys
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
writer = Writer(open_store(sys.argv[1]))
for number in range(1_000_000):
    writer.write(batch(int(sys.argv[2]), number))
    print(number, flush=True)
"""
    )
    chance = random.Random(7)  # noqa: S311 # when to kill
    again = Writer(store)
    sent = 0
    for victim in range(victims):
        process = start(code, store.url, str(victim))
        last = 0
        for _ in range(chance.randrange(1, 15)):
            last = int(process.stdout.readline())
        process.kill()
        process.wait()
        assert len(set(see.sums().values())) == 1
        # Acknowledged is written; whether the one after was, its sender cannot know and sends it again.
        results = [again.write(batch(victim, number)) for number in range(last + 3)]
        sent += last + 3
        assert all(result.duplicate == 100 for result in results[: last + 1])
        assert all(result in {(100, 0), (0, 100)} for result in results[last + 1 :])
        rest = [int(line) for line in process.stdout.read().split()]
        sent += max(0, max(rest, default=0) + 2 - (last + 3))
        extra = [again.write(batch(victim, number)) for number in range(last + 3, max(rest, default=0) + 2)]
        assert all(result.written + result.duplicate == 100 for result in extra)
    assert set(see.sums().values()) == {sent * 100}
