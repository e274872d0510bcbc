"""Many users' or addresses' sums in few bytes: columns of numbers, compressed.

A row of a table takes thirty bytes, of which five tell something: the rest are its key, which hardly differs
from that of the row before, and what surrounds each value. Here a column's numbers stand side by side, first
all their lowest bytes, then all the next ones, so that bytes with something in common are together.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from fmd_otel_exporter.buckets import bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_HEAD = struct.Struct("<IB")
"""Of a column: how many numbers it has, and how many bytes of each are written."""
_NUMBER_BYTES = 8


def pack(rows: Iterable[Sequence[int]]) -> tuple[bytes, bytes]:
    """Return sums of subjects, and their latency buckets: apart, since many need only the first.

    Args:
        rows: Of an endpoint and version, which come first, for each subject and latency bucket, in the order
            of both: requests, those that failed, and microseconds.
    """
    subjects: list[int] = []
    n: list[int] = []
    errors: list[int] = []
    sum_us: list[int] = []
    fewer: list[int] = []
    buckets: list[int] = []
    times: list[int] = []
    last = before = -1
    for _, _, subject, bkt, more, failed, us in rows:
        if subject != last:
            _leave_out_one(n, buckets, times)
            last, before = subject, 0
            subjects.append(subject)
            n.append(0)
            errors.append(0)
            sum_us.append(0)
            fewer.append(0)
        n[-1] += more
        errors[-1] += failed
        sum_us[-1] += us
        fewer[-1] += more - 1
        buckets.append(bkt - before)
        times.append(more)
        before = bkt
    _leave_out_one(n, buckets, times)
    steps = [after - before for before, after in pairwise([0, *subjects])]
    return _written((steps, n, errors, sum_us)), _written((fewer, buckets, times))


def _leave_out_one(n: list[int], buckets: list[int], times: list[int]) -> None:
    """Take the bucket of a subject's only request away again: how long that took tells it."""
    if n and n[-1] == 1:
        buckets.pop()
        times.pop()


def read_counts(counts: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield each subject, and its requests, errors and microseconds."""
    steps, n, errors, sum_us = _read(counts)
    return zip(accumulate(steps), n, errors, sum_us, strict=True)


def read_latencies(
    counts: bytes, latencies: bytes, wanted: Iterable[int]
) -> Iterator[tuple[int, dict[int, int]]]:
    """Yield some subjects, those that are there, and their requests in each latency bucket."""
    steps, n, _, sum_us = _read(counts)
    subjects = list(accumulate(steps))
    places = [(at, subject) for subject in wanted if (at := bisect_left(subjects, subject)) < len(subjects)]
    places = [(at, subject) for at, subject in places if subjects[at] == subject]
    if not places:
        return
    fewer, bucket_steps, times = _read(latencies)
    ends = list(accumulate(map(_written_buckets, n, fewer), initial=0))
    for at, subject in places:
        if n[at] == 1:
            yield subject, {bucket_of(sum_us[at]): 1}
        else:
            here = slice(ends[at], ends[at + 1])
            yield subject, dict(zip(accumulate(bucket_steps[here]), times[here], strict=True))


def _written_buckets(n: int, fewer: int) -> int:
    return n - fewer if n > 1 else 0


def _written(columns: Iterable[Sequence[int]]) -> bytes:
    # There is nothing to find that comes again, but for the same byte many times.
    packer = zlib.compressobj(strategy=zlib.Z_RLE)
    pieces = []
    for numbers in columns:
        width = (max(numbers, default=0).bit_length() + 7) // 8
        plain = struct.pack(f"<{len(numbers)}Q", *numbers)
        pieces.append(packer.compress(_HEAD.pack(len(numbers), width)))
        for place in range(width):
            pieces.append(packer.compress(plain[place::_NUMBER_BYTES]))
            # Bytes of one place are alike, and unlike those of the next: each gets a code of its own.
            pieces.append(packer.flush(zlib.Z_BLOCK))
    pieces.append(packer.flush())
    return b"".join(pieces)


def _read(data: bytes) -> Iterator[tuple[int, ...]]:
    plain = zlib.decompress(data)
    at = 0
    while at < len(plain):
        count, width = _HEAD.unpack_from(plain, at)
        at += _HEAD.size
        numbers = bytearray(_NUMBER_BYTES * count)
        for place in range(width):
            numbers[place::_NUMBER_BYTES] = plain[at : at + count]
            at += count
        yield struct.unpack(f"<{count}Q", numbers)
