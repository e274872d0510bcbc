"""Any mix of appending, delivering, dying, closing and forgetting to say that a batch was stored."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.spool import Batch, Spool, SpoolLimits

PLACES = 2


def request(number: int) -> RequestRecord:
    return RequestRecord("s", "e", number, number.to_bytes(8, "big"), bytes(16), 1, 200, "GET", "1")


class SpoolMachine(RuleBasedStateMachine):
    """Two processes share a directory and a database that remembers the batches it has stored."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp()) / "spool"
        self.accepted: set[int] = set()
        self.stored: list[int] = []
        self.ledger: dict[str, list[RequestRecord]] = {}

    @initialize(batch_size=st.integers(1, 5), memory_records=st.integers(1, 20))
    def start(self, batch_size: int, memory_records: int) -> None:
        self.limits = SpoolLimits(batch_size=batch_size, memory_records=memory_records, scan_interval_s=0)
        self.spools = [Spool(self.directory, self.limits) for _ in range(PLACES)]

    @rule(place=st.integers(0, PLACES - 1), count=st.integers(1, 12))
    def append(self, place: int, count: int) -> None:
        for _ in range(count):
            number = len(self.accepted)
            assert self.spools[place].append(request(number))
            self.accepted.add(number)

    def store(self, batch: Batch) -> None:
        records = list(batch.records)
        if batch.key not in self.ledger:
            self.ledger[batch.key] = records
            self.stored += [record.ts_us for record in records]
        assert self.ledger[batch.key] == records, "a batch came again with other content"

    @rule(place=st.integers(0, PLACES - 1), told=st.booleans())
    def deliver(self, place: int, told: bool) -> None:  # noqa: FBT001 # drawn, not passed
        batch = self.spools[place].next_batch()
        if batch is not None:
            self.store(batch)
            if told:
                self.spools[place].done(batch)

    @rule(place=st.integers(0, PLACES - 1))
    def fail_to_store(self, place: int) -> None:
        self.spools[place].next_batch()

    @rule(place=st.integers(0, PLACES - 1))
    def die(self, place: int) -> None:
        life = self.spools[place]._life
        life.intake.abandon()
        life.disk.abandon()
        self.spools[place] = Spool(self.directory, self.limits)

    @rule(place=st.integers(0, PLACES - 1))
    def close(self, place: int) -> None:
        self.spools[place].close()

    @invariant()
    def nothing_is_stored_twice_or_from_nowhere(self) -> None:
        assert len(set(self.stored)) == len(self.stored)
        assert set(self.stored) <= self.accepted

    def teardown(self) -> None:
        if hasattr(self, "spools"):
            for spool in self.spools:
                while batch := spool.next_batch():
                    self.store(batch)
                    spool.done(batch)
                assert spool.counters().waiting == 0
                assert spool.counters().dropped == 0
            # What one closed after the other had looked for it.
            while batch := self.spools[0].next_batch():
                self.store(batch)
                self.spools[0].done(batch)
            for spool in self.spools:
                spool.close()
            self.nothing_is_stored_twice_or_from_nowhere()
            assert set(self.stored) == self.accepted
            assert not self.directory.exists() or list(self.directory.iterdir()) == []
        shutil.rmtree(self.directory.parent)


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
