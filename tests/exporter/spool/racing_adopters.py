"""Let several processes take over the same dead one at the same moment; each request must be adopted once.

Usage: racing_adopters.py DIRECTORY ROUNDS ADOPTERS. There is no ledger here, so a segment read by two shows.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.spool import Spool, SpoolLimits

LIMITS = SpoolLimits(batch_size=4)
REQUESTS = 40


def fill(directory: Path) -> None:
    """Leave requests behind, as a killed process does."""
    pid = os.fork()
    if not pid:
        spool = Spool(directory, LIMITS)
        for n in range(REQUESTS):
            spool.append(RequestRecord("s", "e", n, n.to_bytes(8, "big"), bytes(16), 1, 200, "GET", "1"))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def main(home: Path, rounds: int, adopters: int) -> None:
    found: list[int] = []
    left = 0
    for number in range(rounds):
        directory = home / str(number)
        fill(directory)
        start_read, start_write = os.pipe()
        out_read, out_write = os.pipe()
        children = []
        for _ in range(adopters):
            pid = os.fork()
            if not pid:
                os.close(start_write)
                os.read(start_read, 1)  # all at once, when the pipe is closed
                spool = Spool(directory, LIMITS)
                while batch := spool.next_batch():
                    os.write(out_write, b"".join(record.span_id for record in batch.records))
                    spool.done(batch)
                spool.close()
                os._exit(0)
            children.append(pid)
        os.close(start_read)
        os.close(start_write)
        os.close(out_write)
        got = b""
        while part := os.read(out_read, 65536):
            got += part
        os.close(out_read)
        for pid in children:
            os.waitpid(pid, 0)
        found += [int.from_bytes(got[at : at + 8], "big") for at in range(0, len(got), 8)]
        left += len(list(directory.iterdir()))
    expected = sorted(list(range(REQUESTS)) * rounds)
    sys.stdout.write(json.dumps({"exact": sorted(found) == expected, "found": len(found), "left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
