"""Kill processes that append and deliver, at random moments, and see what is left of their requests.

Usage: kill_campaign.py DIRECTORY KILLS SEED SINK [URL]. The sink is "toy", a table and a ledger, or
"product", the writer that the product uses, or "details", that of details. Prints what happened as JSON. The
URL is of a server's database, for the product; without it there is a file.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sinks import DetailSink, ProductSink, ToySink

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.spool import Spool, SpoolLimits, delivery, segment

LIMITS = SpoolLimits(batch_size=8, memory_records=24, scan_interval_s=0.005)
AROUND = ("before", "inside", "after")
"""Of a transaction."""
POINTS = (*AROUND, "append", "remove", "adopt", "seal")
LONGEST_S = 0.05
PATIENCE_S = 0.2
"""How long a process may take to reach the point where it kills itself; some times that where it opens a
database of the product's, and many times with a server."""
AT_MOST_S = 30.0
"""The same where every process gets there, around a transaction, however busy the machine is."""


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Kills its own process the n-th time that one point of the program is reached."""

    def __init__(self, point: str, times: int) -> None:
        self.point = point
        self.times = times

    def __call__(self, point: str) -> None:
        if point == self.point:
            self.times -= 1
            if self.times <= 0:
                kill_self()

    def arm(self) -> None:
        """Reach the points inside the spool."""
        write, unlink, seal = os.write, Path.unlink, segment.SegmentFile.close
        inherit = delivery.Delivery.adopt

        def torn_write(file: segment.SegmentFile, data: bytes) -> None:
            if self.point == "append" and file.size > 0:
                self.times -= 1
                if self.times <= 0:
                    write(file.fd, data[: random.randrange(len(data))])  # noqa: S311 # no secret
                    kill_self()
            file.size += write(file.fd, data)

        def killed_unlink(path: Path, *, missing_ok: bool = False) -> None:
            self("remove")
            unlink(path, missing_ok=missing_ok)

        def killed_seal(file: segment.SegmentFile) -> None:
            seal(file)
            self("seal")

        def killed_adopt(self_: delivery.Delivery, *, without_lock_file: bool = False) -> int:
            count = inherit(self_, without_lock_file=without_lock_file)
            if count:
                self("adopt")
            return count

        segment.SegmentFile.append = torn_write
        Path.unlink = killed_unlink
        segment.SegmentFile.close = killed_seal
        delivery.Delivery.adopt = killed_adopt


def request(number: int) -> RequestRecord:
    return RequestRecord(
        "shop", "cart", number, number.to_bytes(8, "big"), bytes(16), 1, 200, "GET", "1", f"user {number}"
    )


def request_now(number: int) -> RequestRecord:
    """Make one of today, by a user known before: what a server meets nearly always."""
    now_us = time.time_ns() // 1000
    return RequestRecord("shop", "cart", now_us, number.to_bytes(8, "big"), bytes(16), 1, 200, "GET", "1")


def live(home: Path, number: int, killer: Killer, sink_class: type, url: str | None) -> None:
    """Append from two threads and deliver from a third, until killed."""
    killer.arm()
    spool = Spool(home / "spool", LIMITS)
    sink = sink_class(url or home / "sink.db", killer)
    told = os.open(home / "accepted", os.O_WRONLY | os.O_APPEND)
    make = request_now if url else getattr(sink_class, "record", request)

    def append(thread: int) -> None:
        chance = random.Random(number * 2 + thread)  # noqa: S311 # to be repeatable
        for n in range(100_000):
            record = make(number << 32 | n << 1 | thread)
            if spool.append(record):
                os.write(told, record.span_id)
            if url or chance.random() < 0.3:
                time.sleep(chance.random() * (0.05 if url else 0.002))

    for thread in (0, 1):
        threading.Thread(target=append, args=(thread,), daemon=True).start()
    while True:
        while batch := spool.next_batch():
            sink.write(batch.records)
            spool.done(batch)
        time.sleep(0.001)


def spawn(home: Path, number: int, killer: Killer, sink_class: type, url: str | None) -> int:
    pid = os.fork()
    if pid:
        return pid
    random.seed(number)
    try:
        live(home, number, killer, sink_class, url)
    finally:
        os._exit(1)  # a living process ends by being killed, and in no other way


def main(home: Path, kills: int, seed: int, sink_name: str, url: str | None = None) -> None:
    sink_class = {"toy": ToySink, "product": ProductSink, "details": DetailSink}[sink_name]
    chance = random.Random(seed)  # noqa: S311 # to be repeatable
    sink_class.create(url or home / "sink.db")
    slower = 15 if url else 1
    patience_s = PATIENCE_S * max(slower, 1 if sink_name == "toy" else 3)
    points: Counter[str] = Counter()
    (home / "accepted").touch()
    killed = 0
    unexpected = 0
    while killed < kills:
        lives: list[tuple[int, str]] = []
        for _ in range(chance.choice((1, 1, 2))):
            point = chance.choice(POINTS) if chance.random() < 0.6 else ""
            killer = Killer(point, chance.randrange(1, 5 if point in AROUND else 12))
            killed += 1
            lives.append((spawn(home, killed, killer, sink_class, url), point))
        time.sleep(chance.random() * LONGEST_S * slower)
        for pid, point in lives:
            limit_s = AT_MOST_S if point in AROUND else patience_s if point else 0.0
            deadline = time.monotonic() + limit_s
            status = 0
            while not (found := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < deadline:
                time.sleep(0.001)
            if found[0]:
                points[point] += 1
            else:
                os.kill(pid, signal.SIGKILL)
                found = os.waitpid(pid, 0)
            status = found[1]
            unexpected += not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL)

    spool = Spool(home / "spool")
    sink = sink_class(url or home / "sink.db")
    while batch := spool.next_batch():
        sink.write(batch.records)
        spool.done(batch)
    counters = spool.counters()
    spool.close()
    told = (home / "accepted").read_bytes()
    accepted = {int.from_bytes(told[at : at + 8], "big") for at in range(0, len(told) - len(told) % 8, 8)}
    rows = sink.rows()
    sys.stdout.write(
        json.dumps(
            {
                "kills": killed,
                "points": points,
                "unexpected": unexpected,
                "accepted": len(accepted),
                "missing": len(accepted - set(rows)),
                "doubled": len(rows) - len(set(rows)),
                "unacknowledged": len(set(rows) - accepted),
                "rows": len(rows),
                "sum": sink.total("requests"),
                "replays": sink.total("replays") if sink_name == "toy" else sink.replays,
                "damaged": counters.damaged,
                "left": [path.name for path in (home / "spool").iterdir()],
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:6])
