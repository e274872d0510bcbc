from __future__ import annotations

import gc
import sys
import threading

from fmd_otel_exporter.memory_spool import MemorySpool


def test_batches_come_in_the_order_of_acceptance(record):
    spool = MemorySpool(100)
    sent = [record() for _ in range(10)]
    assert [spool.put(r) for r in sent] == list(range(1, 11))
    got = []
    while batch := spool.take(4):
        got.append(list(batch))
        spool.done()
    assert got == [sent[:4], sent[4:8], sent[8:]]
    assert (spool.accepted, spool.settled, spool.dropped, len(spool)) == (10, 10, 0, 0)


def test_a_batch_not_done_comes_again_unchanged(record):
    spool = MemorySpool(100)
    spool.put(first := record())
    assert spool.take(10) == [first]
    spool.put(record())
    assert spool.take(10) == [first]
    assert len(spool) == 2
    assert spool.settled == 0


def test_beyond_the_bound_the_oldest_go_and_are_counted(record):
    spool = MemorySpool(3)
    sent = [record() for _ in range(8)]
    for r in sent:
        spool.put(r)
    assert spool.take(10) == sent[5:]
    assert (spool.accepted, spool.dropped, spool.settled) == (8, 5, 5)
    spool.done()
    assert spool.settled == 8


def test_the_batch_in_flight_does_not_count_towards_the_bound(record):
    spool = MemorySpool(3)
    for _ in range(3):
        spool.put(record())
    spool.take(3)
    for _ in range(3):
        spool.put(record())
    assert (spool.dropped, len(spool)) == (0, 6)


def test_many_threads_and_a_taker_lose_count_of_nothing(record):
    spool = MemorySpool(50)
    one = record()
    taken = 0
    switch_interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=lambda: [spool.put(one) for _ in range(5_000)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            taken += len(spool.take(20))
            spool.done()
    finally:
        sys.setswitchinterval(switch_interval)
    while batch := spool.take(20):
        taken += len(batch)
        spool.done()
    assert spool.accepted == 20_000 == taken + spool.dropped == spool.settled


def test_the_garbage_collector_may_put_in_the_middle_of_a_put(record):
    spool = MemorySpool(10_000)
    one = record()

    class Abandoned:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            spool.put(one)

    thresholds = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(1_000):
            Abandoned()
            spool.put(one)
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert spool.accepted == len(spool) == 2_000
