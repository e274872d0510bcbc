"""An application whose requests are profiled, and what is learnt of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fmd_otel.profiler.lines import LineResolver
from fmd_otel.profiler.sampler import Sampler
from fmd_otel.profiler.watcher import ProfileWatcher
from fmd_otel_exporter.records import ProfileRecord

HERE = Path(__file__).parent
FLUSH_S = 60.0


@dataclass
class Profiled:
    watched: Any
    watcher: ProfileWatcher
    sampler: Sampler
    records: list[Any] = field(default_factory=list)

    @property
    def only(self):
        """The one profile there is, once it has been put together."""
        records = self.all
        assert len(records) == 1, records
        return records[0]

    @property
    def all(self):
        """All profiles there are, once they have been put together."""
        assert self.sampler.flush(FLUSH_S)
        return [record for record in self.records if isinstance(record, ProfileRecord)]


@pytest.fixture
def sampler():
    return Sampler()


@pytest.fixture
def profile(watch, sink, sampler):
    """Profile an application every few milliseconds."""

    def put(app, *, level=3, period_ms=2.0, ordered=False, **options):
        sink.level_of = lambda *_names: level
        records = []
        sink.offer_detail = records.append
        if ordered:
            sink.take_profile = lambda *_names: True
        watched = watch(app, **options)
        watcher = ProfileWatcher(sink, LineResolver(HERE), period_ms=period_ms, sampler=sampler)
        watched.monitor.watch.add(watcher)
        return Profiled(watched, watcher, sampler, records)

    return put


def compute(seconds):
    """Use so much CPU time of this thread."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(50))


@pytest.fixture
def busy():
    return compute


class Tree:
    """A profile's record, to be asked."""

    def __init__(self, record):
        self.record = record
        self.functions = [record.lines[node.line].function for node in record.nodes]

    def path(self, index):
        names = []
        while index >= 0:
            names.append(self.functions[index])
            index = self.record.nodes[index].parent
        return names[::-1]

    def paths(self, function):
        """All call paths that end in a function, outermost call first."""
        return [self.path(index) for index, name in enumerate(self.functions) if name.endswith(function)]

    def share(self, *functions):
        """The share of the time that was spent in functions or what they called."""
        total = sum(node.self_us for node in self.record.nodes)
        return (
            sum(
                node.self_us
                for index, node in enumerate(self.record.nodes)
                if any(name.endswith(each) for name in self.path(index) for each in functions)
            )
            / total
        )


@pytest.fixture
def tree():
    return Tree
