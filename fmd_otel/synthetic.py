"""Requests that never happened, in the shape of those that do: for the demo, benchmarks and first trials.

Traffic follows the hours of the day and the days of the week, few endpoints get most of it, latencies have a
long tail, releases make some endpoints slower and others faster, and now and then there is an incident. A
seed decides it all: the same arguments give the same requests, in whichever order they are taken.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import exp
from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_exporter.records import RequestRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

US_PER_S = 1_000_000
SLOT_S = 900
"""Traffic is dealt out a quarter of an hour at a time; each has its own seed."""

_DAY_S = 86_400
_HOURS = (9, 6, 4, 3, 3, 5, 12, 28, 52, 70, 78, 82, 88, 80, 76, 78, 80, 86, 92, 100, 96, 74, 44, 20)
"""How busy each hour of a day is."""
_WEEKDAYS = (1.0, 1.04, 1.02, 1.0, 0.94, 0.66, 0.72)
"""Monday to Sunday. The epoch began on a Thursday."""
_EPOCH_WEEKDAY = 3
_UNMENDED = 0.6
"""How many of the endpoints that a release changed stay so with the next one."""
_BROKEN = 0.2
"""How many releases break an endpoint."""


@dataclass(frozen=True)
class Endpoint:
    """An endpoint, and what its requests are like."""

    name: str
    weight: float
    """Its part of all traffic, relative to the other endpoints' weights."""
    median_us: int
    spread: float = 0.35
    """Standard deviation of the logarithm of the duration."""
    slow_share: float = 0.01
    slow_factor: float = 8.0
    status: int = 200
    other_statuses: Mapping[int, float] = field(default_factory=dict)
    """Share of each status beside the usual one."""
    route: str | None = None
    blueprint: str | None = None
    method: str = "GET"
    streamed: bool = False


@dataclass(frozen=True)
class Release:
    """A version of the application."""

    name: str
    since: float
    """When it was deployed, as a part of the whole period: 0 is its start, 1 its end."""
    slowdown: Mapping[str, float] = field(default_factory=dict)
    """Endpoint -> factor of its duration."""
    failures: Mapping[str, float] = field(default_factory=dict)
    """Endpoint -> share of its requests that end in a 500."""


@dataclass(frozen=True)
class Incident:
    """A while in which everything is slow and much fails."""

    since: float
    """When it began, as a part of the whole period."""
    length_s: int
    slowdown: float = 4.0
    failures: float = 0.2


class Client(NamedTuple):
    """Who sends requests, and from which addresses."""

    group_by: str
    weight: float
    ips: Sequence[str]


@dataclass(frozen=True)
class Workload:
    """An application and its users."""

    service: str
    endpoints: Sequence[Endpoint]
    releases: Sequence[Release]
    """In the order of their deployment; the first is taken to be there from the start."""
    clients: Sequence[Client]
    incidents: Sequence[Incident] = ()


def requests(  # noqa: PLR0913 - each keyword answers a question of its own
    workload: Workload, *, start_us: int, end_us: int, count: int, seed: int = 0, newest_first: bool = False
) -> Iterator[RequestRecord]:
    """Yield exactly ``count`` requests of ``[start_us, end_us)``.

    Args:
        workload: What the application and its users are like.
        start_us: First moment, epoch microseconds.
        end_us: First moment after the last.
        count: How many.
        seed: The same seed gives the same requests.
        newest_first: Go through the quarters of an hour backwards. Within one, time always runs forwards.

    Yields:
        The requests, in the order of time (but see ``newest_first``).
    """
    slots = slots_of(start_us, end_us, count, seed)
    dealer = Dealer(workload, start_us, end_us, seed)
    for slot in reversed(slots) if newest_first else slots:
        yield from dealer.requests_of(slot)


class Slot(NamedTuple):
    """A quarter of an hour, and how many requests fall into it."""

    start_us: int
    end_us: int
    requests: int


def _dice(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable is what it has to be, and nothing secret comes of it


def slots_of(start_us: int, end_us: int, count: int, seed: int) -> list[Slot]:
    """Deal ``count`` requests out to the quarters of an hour, so that their sum is exact."""
    bounds = [start_us]
    width_us = SLOT_S * US_PER_S
    bounds.extend(range((start_us // width_us + 1) * width_us, end_us, width_us))
    bounds.append(end_us)
    dice = _dice(f"slots {seed}")
    weights = [
        (until - since) * _rhythm(since // US_PER_S) * dice.uniform(0.85, 1.15)
        for since, until in pairwise(bounds)
    ]
    total = sum(weights)
    if total <= 0:
        return []
    # Rounding the running sum instead of each part: no remainder is left to be placed.
    marks = [0, *(round(count * part / total) for part in accumulate(weights))]
    return [
        Slot(since, until, after - before)
        for since, until, before, after in zip(bounds, bounds[1:], marks, marks[1:], strict=False)
        if after > before
    ]


def _rhythm(epoch_s: int) -> float:
    """Return how busy a moment is, UTC."""
    day, second = divmod(epoch_s, _DAY_S)
    hour, rest = divmod(second, 3600)
    into = rest / 3600
    busy = _HOURS[hour] * (1 - into) + _HOURS[(hour + 1) % 24] * into
    return busy * _WEEKDAYS[(day + _EPOCH_WEEKDAY) % 7]


class Dealer:
    """Draws the requests of one slot; built once, so that the tables are too."""

    def __init__(self, workload: Workload, start_us: int, end_us: int, seed: int) -> None:
        """Prepare for the slots of one period, in any order and any process."""
        self._workload = workload
        self._seed = seed
        length_us = end_us - start_us
        self._releases = [(start_us + int(each.since * length_us), each) for each in workload.releases]
        self._incidents = [
            (begin, begin + each.length_s * US_PER_S, each)
            for each in workload.incidents
            for begin in (start_us + int(each.since * length_us),)
        ]
        self._endpoint_weights = list(accumulate(each.weight for each in workload.endpoints))
        self._client_weights = list(accumulate(each.weight for each in workload.clients))

    def requests_of(self, slot: Slot) -> Iterator[RequestRecord]:
        """Yield the requests of a slot, in the order of time."""
        dice = _dice(f"{self._seed} {slot.start_us}")
        chance, gauss = dice.random, dice.gauss
        width_us = slot.end_us - slot.start_us
        service = self._workload.service
        times = sorted([slot.start_us + int(chance() * width_us) for _ in range(slot.requests)])
        endpoints = dice.choices(
            self._workload.endpoints, cum_weights=self._endpoint_weights, k=slot.requests
        )
        clients = dice.choices(self._workload.clients, cum_weights=self._client_weights, k=slot.requests)
        ids = dice.randbytes(24 * slot.requests)
        incidents = [each for each in self._incidents if each[0] < slot.end_us and each[1] > slot.start_us]
        release = self._release_at(slot.start_us)
        changing = release is not self._release_at(slot.end_us)
        for number, (ts_us, endpoint, client) in enumerate(zip(times, endpoints, clients, strict=True)):
            if changing:
                release = self._release_at(ts_us)
            slowdown = release.slowdown.get(endpoint.name, 1.0)
            failures = release.failures.get(endpoint.name, 0.0)
            for begin, until, incident in incidents:
                if begin <= ts_us < until:
                    slowdown *= incident.slowdown
                    failures += incident.failures
            if chance() < endpoint.slow_share:
                slowdown *= endpoint.slow_factor
            duration_us = max(int(endpoint.median_us * slowdown * exp(gauss(0.0, endpoint.spread))), 1)
            status = _status(endpoint, failures, chance())
            first_id = 24 * number
            yield RequestRecord(
                service,
                endpoint.name,
                ts_us,
                ids[first_id : first_id + 8],
                ids[first_id + 8 : first_id + 24],
                duration_us,
                status,
                endpoint.method,
                release.name,
                client.group_by,
                client.ips[int(chance() * len(client.ips))],
                duration_us // 8 if endpoint.streamed else None,
                1,
                endpoint.route,
                endpoint.blueprint,
            )

    def _release_at(self, ts_us: int) -> Release:
        found = self._releases[0][1]
        for since_us, release in self._releases:
            if since_us > ts_us:
                break
            found = release
        return found


def _status(endpoint: Endpoint, failures: float, draw: float) -> int:
    """Return the status that a draw from ``[0, 1)`` stands for."""
    if draw < failures:
        return 500
    draw -= failures
    for status, share in endpoint.other_statuses.items():
        if draw < share:
            return status
        draw -= share
    return endpoint.status


def zipf_workload(
    *, endpoints: int = 40, releases: int = 12, users: int = 5000, ips: int = 20_000, seed: int = 0
) -> Workload:
    """Return an application of this size; its n-th endpoint and user are n times as rare as the first.

    Releases make a few endpoints slower, some of which a later one mends; and there is an incident or two.
    """
    dice = _dice(f"zipf {seed}")
    return Workload(
        service="synthetic",
        endpoints=[
            Endpoint(
                _name(number),
                weight=1 / number,
                median_us=int(8_000 * dice.lognormvariate(0, 1)),
                spread=dice.uniform(0.2, 0.7),
                slow_share=0.005,
                other_statuses={404: dice.uniform(0, 0.03), 500: dice.uniform(0, 0.01)},
                route=f"/view/{number}",
                blueprint=f"blueprint{number % 6}",
            )
            for number in range(1, endpoints + 1)
        ],
        releases=_releases(releases, [_name(number) for number in range(1, endpoints + 1)], seed),
        clients=[
            Client(f"user-{number}", weight=1 / number, ips=_addresses(number, max(ips // users, 1)))
            for number in range(1, users + 1)
        ],
        incidents=[Incident(since=0.31, length_s=2400), Incident(since=0.82, length_s=900, slowdown=12)],
    )


def _name(number: int) -> str:
    return f"blueprint{number % 6}.view_{number}"


def _releases(count: int, endpoints: Sequence[str], seed: int) -> list[Release]:
    dice = _dice(f"releases {seed}")
    made: list[Release] = []
    slowdown: dict[str, float] = {}
    for number in range(count):
        failures: dict[str, float] = {}
        if number:
            slowdown = {name: factor for name, factor in slowdown.items() if dice.random() < _UNMENDED}
            slowdown |= {
                name: dice.uniform(0.5, 2.5) for name in dice.sample(endpoints, min(3, len(endpoints)))
            }
            if dice.random() < _BROKEN:
                failures = {dice.choice(endpoints): 0.04}
        made.append(Release(f"1.{number}.0", number / count, dict(slowdown), failures))
    return made


def _addresses(user: int, count: int) -> list[str]:
    """Return addresses that belong to this user alone."""
    numbers = range((user - 1) * count, user * count)
    return [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}" for number in numbers]
