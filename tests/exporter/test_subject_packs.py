"""Users' sums, packed: what goes in comes out, and little is in between."""

from __future__ import annotations

import random

import pytest

from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.subject_packs import pack, read_counts, read_latencies

Sums = dict[int, tuple[int, int, int, dict[int, int]]]
"""Of each subject, requests, those that failed, microseconds, and requests in each bucket."""


def rows_of(durations: dict[int, list[int]]) -> list[tuple[int, ...]]:
    """Return what a database tells of requests; every tenth has failed."""
    found: dict[tuple[int, int], list[int]] = {}
    for subject, some in durations.items():
        for number, duration in enumerate(some):
            sums = found.setdefault((subject, bucket_of(duration)), [0, 0, 0])
            sums[0] += 1
            sums[1] += number % 10 == 9
            sums[2] += duration
    return [(1, 2, *key, *sums) for key, sums in sorted(found.items())]


def sums_of(rows: list[tuple[int, ...]]) -> Sums:
    found: Sums = {}
    for _, _, subject, bkt, n, errors, us in rows:
        known = found.get(subject, (0, 0, 0, {}))
        found[subject] = (known[0] + n, known[1] + errors, known[2] + us, {**known[3], bkt: n})
    return found


def unpacked(counts: bytes, latencies: bytes) -> Sums:
    rows = list(read_counts(counts))
    buckets = dict(read_latencies(counts, latencies, [subject for subject, *_ in rows]))
    return {subject: (n, errors, us, buckets[subject]) for subject, n, errors, us in rows}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        rows_of({1: [0]}),
        rows_of({7: [1234] * 10}),
        rows_of({1: [1, 2_000_000], 3: [5, 5, 5], 2**31 - 1: [9]}),
        rows_of({1: [10, 90_000], 2: [7], 3: [90_000, 10, 10]}),
        [(1, 2, 5, 0, 2**39, 2**33, 2**62), (1, 2, 5, 2000, 2**40, 0, 2**62)],
    ],
)
def test_what_is_packed_is_read_again(rows):
    assert unpacked(*pack(rows)) == sums_of(rows)


def test_many_are_read_again_and_take_little():
    dice = random.Random(1)  # noqa: S311 # repeatable is what it has to be
    rows = rows_of(
        {
            subject: [int(dice.lognormvariate(9, 0.5)) for _ in range(1 + int(dice.paretovariate(1)) % 9)]
            for subject in dice.sample(range(20_000), 5_000)
        }
    )
    packed, sums = pack(rows), sums_of(rows)
    assert unpacked(*packed) == sums
    assert sum(map(len, packed)) < 8 * len(sums)


def test_some_are_read_of_many_and_who_is_not_there_is_left_out():
    rows = rows_of({subject: [subject * 1000] * (subject % 3 + 1) for subject in range(10, 90)})
    found = dict(read_latencies(*pack(rows), [5, 10, 44, 89, 90]))
    assert found == {subject: sums_of(rows)[subject][3] for subject in (10, 44, 89)}
