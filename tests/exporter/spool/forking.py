"""Fork a process that spools, in one of several ways, and look at who owns what.

Usage: forking.py CASE DIRECTORY. Prints what was found as JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
from pathlib import Path

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.spool import Spool, SpoolLimits

LIMITS = SpoolLimits(batch_size=4, scan_interval_s=0)


def request(n: int) -> RequestRecord:
    return RequestRecord("s", "e", n, n.to_bytes(8, "big"), bytes(16), 1, 200, "GET", "1")


def drain(spool: Spool) -> list[int]:
    found = []
    while batch := spool.next_batch():
        found += [record.ts_us for record in batch.records]
        spool.done(batch)
    return found


def fork_in_c() -> int:
    """Fork as servers written in C do, without Python's hooks."""
    return ctypes.PyDLL(None).fork()


def both_append(directory: Path, fork=os.fork) -> dict[str, object]:
    """Parent and child go on appending; each delivers its own."""
    spool = Spool(directory, LIMITS)
    for n in range(6):
        spool.append(request(n))
    in_work = spool.next_batch()
    read, write = os.pipe()
    pid = fork()
    if not pid:
        before = spool.counters().accepted
        for n in range(100, 106):
            spool.append(request(n))
        report = {"before": before, "found": drain(spool), "accepted": spool.counters().accepted}
        spool.close()
        os.write(write, json.dumps(report).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    child = json.loads(os.read(read, 65536))
    spool.append(request(6))
    again = spool.next_batch()
    same = in_work is not None and again is not None and in_work.key == again.key
    return {
        "child": child,
        "parent": drain(spool),
        "same_batch": same,
        "alive": [owner.alive for owner in spool.status().owners],
    }


def child_outlives_parent(directory: Path) -> dict[str, object]:
    """A child that never appends must not keep its dead parent's requests locked up."""
    read, write = os.pipe()
    parent = os.fork()
    if not parent:
        spool = Spool(directory, LIMITS)
        for n in range(6):
            spool.append(request(n))
        if not os.fork():
            os.write(write, str(os.getpid()).encode())
        signal.pause()
    child = int(os.read(read, 100))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        found = drain(Spool(directory, LIMITS))
    finally:
        os.kill(child, signal.SIGKILL)
    return {"found": found}


def while_others_append(directory: Path) -> dict[str, object]:
    """Fork again and again while threads hold the lock most of the time; no child may hang."""
    spool = Spool(directory, SpoolLimits(batch_size=64))
    finished = threading.Event()

    def append(start: int) -> None:
        n = start
        while not finished.is_set():
            spool.append(request(n))
            n += 1

    threads = [threading.Thread(target=append, args=(start,)) for start in (10_000, 2_000_000)]
    for thread in threads:
        thread.start()
    statuses: list[int] = []
    found: list[int] = []
    for n in range(20):
        pid = os.fork()
        if not pid:
            signal.alarm(20)
            spool.append(request(n))
            found = drain(spool)
            spool.close()
            os._exit(0 if found == [n] else 3)
        statuses.append(os.waitpid(pid, 0)[1])
        if batch := spool.next_batch():
            found += [record.ts_us for record in batch.records]
            spool.done(batch)
    finished.set()
    for thread in threads:
        thread.join()
    found += drain(spool)
    accepted = spool.counters().accepted
    spool.close()
    return {
        "statuses": statuses,
        "exact": len(set(found)) == len(found) == accepted,
        "left": [path.name for path in directory.iterdir()],
    }


CASES = {
    "both": both_append,
    "in-c": lambda directory: both_append(directory, fork_in_c),
    "outlive": child_outlives_parent,
    "busy": while_others_append,
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps(CASES[sys.argv[1]](Path(sys.argv[2]))))
