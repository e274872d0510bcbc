"""Made-up requests in large numbers: several processes make them, one writes them.

Making a request and working out its rows costs twice what the database takes for it, and needs nothing but
the numbers that stand for names. So these are settled first, and all the rest is done beside the writing.
"""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, cycle, zip_longest
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Protocol

from fmd_otel.synthetic import Dealer, Slot, Workload, slots_of
from fmd_otel_exporter.batch import Batch, Ids, prepare
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from fmd_otel_exporter.store import Store

BATCH = 16_000
"""Requests in a transaction, roughly: so many share their rows of sums; more would gain little."""
FEW = 50_000
"""Not worth starting processes for."""


Made = tuple["Batch", "list[Any]"]
"""A batch, and what each of the order's details has made of it."""


class Detail(Protocol):
    """What else is known of some of the requests: profiles, outliers, exceptions.

    It is made where the requests are, in processes that have no database, and written after them.
    """

    def make(self, requests: Sequence[RequestRecord]) -> Any:
        """Return what there is to tell of these requests; the same each time, and fit for another process."""

    def write(self, store: Store, made: Any) -> None:
        """Write what was made of a batch that is in the database now; it may be there already."""


@dataclass(frozen=True)
class Order:
    """Which requests are wanted."""

    workload: Workload
    start_us: int
    end_us: int
    count: int
    seed: int = 0
    details: tuple[Detail, ...] = ()

    def rest(self, last_us: int) -> tuple[int, list[list[Slot]]]:
        """Return how many requests come in parts begun by a time, and the parts that come after it.

        A part is written as a whole, and one after the other: what has begun is there.
        """
        parts = list(self.parts())
        begun = [part for part in parts if part[0].start_us <= last_us]
        return sum(slot.requests for part in begun for slot in part), parts[len(begun) :]

    def parts(self) -> Iterator[list[Slot]]:
        """Cut the period into parts of about one batch each."""
        part: list[Slot] = []
        size = 0
        for slot in slots_of(self.start_us, self.end_us, self.count, self.seed):
            if part and size + slot.requests > BATCH:
                yield part
                part, size = [], 0
            part.append(slot)
            size += slot.requests
        if part:
            yield part

    def names(self) -> list[RequestRecord]:
        """Return as few requests as it takes to see each name there is."""
        length_us = self.end_us - self.start_us
        releases = [
            (release.name, self.start_us + int(release.since * length_us))
            for release in self.workload.releases
        ]
        users = [client.group_by for client in self.workload.clients]
        ips = list(chain.from_iterable(client.ips for client in self.workload.clients))
        endpoints = self.workload.endpoints
        return [
            RequestRecord(
                self.workload.service,
                (endpoint or endpoints[0]).name,
                (release or releases[-1])[1],
                bytes(8),
                bytes(16),
                1,
                200,
                (endpoint or endpoints[0]).method,
                (release or releases[-1])[0],
                user,
                ip,
                None,
                1,
                (endpoint or endpoints[0]).route,
                (endpoint or endpoints[0]).blueprint,
            )
            for endpoint, release, user, ip in zip_longest(endpoints, releases, users, ips)
        ]


def write(
    store: Store, order: Order, *, processes: int, parts: Sequence[list[Slot]] | None = None
) -> Iterator[int]:
    """Make the requests and write them, oldest first.

    Args:
        store: Where.
        order: Which.
        processes: How many make them; 1 is this one alone.
        parts: Those of the order that are missing; all of them, if not given.

    Yields:
        How many requests each transaction has added. Whoever stops asking stops it.

    Raises:
        FmdOtelError: The database cannot be used, or a process has died.
    """
    writer = Writer(store)
    ids = writer.learn(order.names())
    parts = list(order.parts()) if parts is None else parts
    alone = processes == 1 or sum(slot.requests for part in parts for slot in part) <= FEW
    batches = _made_here(order, ids, parts) if alone else _made_beside(order, ids, parts, processes)
    with closing(batches):
        for batch, details in batches:
            written = writer.write_batch(batch).written
            for detail, made in zip(order.details, details, strict=True):
                detail.write(store, made)
            yield written


def _made_here(order: Order, ids: Ids, parts: Sequence[list[Slot]]) -> Generator[Made]:
    maker = _Maker(order, ids)
    yield from map(maker.batch_of, parts)


def _made_beside(order: Order, ids: Ids, parts: Sequence[list[Slot]], processes: int) -> Generator[Made]:
    # A fork would take along the connections to the database.
    context = multiprocessing.get_context("spawn")
    processes = min(processes, len(parts))
    helpers: list[SpawnProcess] = []
    pipes: list[Connection] = []
    try:
        for first in range(processes):
            # A pipe for each: of a helper that dies in the middle of a batch, the end can be seen.
            pipe, its_end = context.Pipe(duplex=False)
            pipes.append(pipe)
            with its_end, _ctrl_c_for_this_process():
                helper = context.Process(
                    target=_make, args=(its_end, order, ids, parts[first::processes]), daemon=True
                )
                helper.start()
                helpers.append(helper)
        for _, pipe in zip(parts, cycle(pipes), strict=False):
            yield _received(pipe)
    finally:
        # What they are in the middle of may take seconds, and nobody wants it any more.
        for helper in helpers:
            helper.terminate()
        for helper in helpers:
            helper.join()
        for pipe in pipes:
            pipe.close()


def _received(pipe: Connection) -> Made:
    try:
        made: Made = pipe.recv()
    except (EOFError, OSError) as exc:
        raise FmdOtelError(
            "a process that makes requests has died, perhaps for want of memory; try --processes 1"
        ) from exc
    return made


@contextmanager
def _ctrl_c_for_this_process() -> Iterator[None]:
    """Have processes that are started meanwhile hold back Ctrl-C; the one that writes ends them.

    They could ignore it only once they have imported all they need, and would tell of it until then.
    """
    # It starts with the first process, and has signals come through when it has.
    resource_tracker.ensure_running()
    held_back = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)


class _Maker:
    def __init__(self, order: Order, ids: Ids) -> None:
        self._dealer = Dealer(order.workload, order.start_us, order.end_us, order.seed)
        self._ids = ids
        self._details = order.details

    def batch_of(self, part: Sequence[Slot]) -> Made:
        made = list(chain.from_iterable(map(self._dealer.requests_of, part)))
        return prepare(made, self._ids), [detail.make(made) for detail in self._details]


def _make(pipe: Connection, order: Order, ids: Ids, parts: Sequence[list[Slot]]) -> None:
    """Make batches in a process of its own, each when the one before it has been taken."""
    maker = _Maker(order, ids)
    # Whoever does not listen any more has ended.
    with suppress(BrokenPipeError):
        for part in parts:
            pipe.send(maker.batch_of(part))
