"""Spool until the disk is full, then make room; nothing that was kept may be damaged, nothing may be raised.

Usage: full_disk.py DIRECTORY MODE. In mode "limit" no file may grow beyond 8 KiB, which fails as a full disk
does; in mode "filesystem" the directory lies on a file system that is really full soon.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from pathlib import Path

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.spool import Spool, SpoolLimits
from fmd_otel_exporter.spool.owner import entries
from fmd_otel_exporter.spool.segment import read_segment

REQUESTS = 2000


def main(directory: Path, mode: str) -> None:
    warnings: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("fmd_otel_exporter.spool").addHandler(handler)
    if mode == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
    spool = Spool(directory, SpoolLimits(batch_size=512, memory_records=5000, retry_interval_s=0))
    for n in range(REQUESTS):
        user = "x" * (n % 97)  # frames of all lengths, to end anywhere on the last page
        spool.append(RequestRecord("s", "e", n, n.to_bytes(8, "big"), bytes(16), 1, 200, "GET", "1", user))
        if n == REQUESTS // 2:
            spool.next_batch()  # meets the full disk again when it tries to write down what is in memory
    full = spool.counters()
    torn = [
        entry.path.name
        for entry in entries(directory)
        if entry.kind and ((contents := read_segment(entry.path)).torn or contents.damaged)
    ]
    if mode == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    found = []
    while batch := spool.next_batch():
        found += [record.ts_us for record in batch.records]
        spool.done(batch)
    spool.append(RequestRecord("s", "e", REQUESTS, bytes(8), bytes(16), 1, 200, "GET", "1"))
    on_disk_again = any(entry.kind and read_segment(entry.path).frames for entry in entries(directory))
    counters = spool.counters()
    spool.close()
    sys.stdout.write(
        json.dumps(
            {
                "was_in_memory": full.in_memory,
                "exact": sorted(found) == list(range(REQUESTS)),
                "torn": torn,
                "dropped": counters.dropped,
                "rejected": counters.rejected,
                "on_disk_again": on_disk_again,
                "warnings": warnings,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
