"""Whatever comes, late or twice, whatever is deleted and when: the sums of every day stay what they were."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.rebuilding import hours_to_compare, rebuild
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.retention import Retention, older_than, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import SUBJECT_USER
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.subject_packs import read_counts
from fmd_otel_exporter.subject_sums import GONE, SUMMED
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import ColumnElement, Table

    from fmd_otel_exporter.retention import Cutoffs

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000
HOUR_US = DAY_US // 24
START_US = 20_720 * DAY_US
POLICY = Retention(raw_days=2, hourly_days=4)
HOURS = (0, 12, 23)

requests = st.builds(
    RequestRecord,
    service=st.just("shop"),
    endpoint=st.sampled_from(["cart", "index"]),
    ts_us=st.builds(
        lambda day, hour, us: START_US + day * DAY_US + hour * HOUR_US + us,
        st.integers(0, 4),
        st.sampled_from(HOURS),
        st.integers(0, 1),
    ),
    span_id=st.integers(0, 30).map(lambda n: n.to_bytes(8, "big")),
    trace_id=st.just(bytes(16)),
    duration_us=st.sampled_from([1, 10, 3_000, 10**6]),
    status=st.sampled_from([200, 500]),
    method=st.just("GET"),
    version=st.sampled_from(["1", "2"]),
    group_by=st.sampled_from([None, "u1", "u2"]),
    level=st.just(1),
)


class Keeping(RuleBasedStateMachine):
    """Writers, compaction and runs of retention broken off anywhere, on days long past or to come."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: Callable[[], Store] = partial(open_store, "sqlite://")
        """Opens a database that holds nothing yet."""

    @initialize()
    def open(self) -> None:
        self.store: Store = self.opened()
        self.writers = [Writer(self.store), Writer(self.store)]
        self.sent: list[list[RequestRecord]] = []
        self.hits: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
        self.latencies: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
        self.people: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0])

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.dispose()

    def _read(self, table: Table, *which: ColumnElement[bool]) -> list[dict[str, Any]]:
        with self.store.read() as connection:
            return [dict(row) for row in connection.execute(select(table).where(*which)).mappings()]

    def _write(self, writer: int, batch: list[RequestRecord]) -> None:
        t = self.store.tables
        before = {(row["endpoint_id"], row["ts"], row["span_id"]) for row in self._read(t.request)}
        again = self.writers[writer].write(batch).written == 0
        names = {row["name"]: row["id"] for row in self._read(t.endpoint)}
        versions = {row["name"]: row["id"] for row in self._read(t.version)}
        users = {
            (row["endpoint_id"], row["ts"], row["span_id"]): row["group_id"] for row in self._read(t.request)
        }
        for r in () if again else batch:
            # A row that retention has deleted cannot be recognised, so that it counts as a new one.
            key = (names[r.endpoint], r.ts_us, r.span_id)
            if key not in before:
                before.add(key)
                day = r.ts_us // DAY_US * DAY_S
                self.hits[key[0], day, versions[r.version], r.status].append(r.duration_us)
                bkt = bucket_of(r.duration_us)
                self.latencies[key[0], day, versions[r.version], bkt].append(r.duration_us)
                if users[key] is not None:
                    _add(self.people[key[0], day, users[key]], (1, r.status >= 500, r.duration_us))

    @rule(writer=st.integers(0, 1), batch=st.lists(requests, min_size=1, max_size=10))
    def write(self, writer: int, batch: list[RequestRecord]) -> None:
        self.sent.append(batch)
        self._write(writer, batch)

    @rule(writer=st.integers(0, 1), data=st.data())
    def replay(self, writer: int, data: st.DataObject) -> None:
        if self.sent:
            self._write(writer, data.draw(st.sampled_from(self.sent)))

    @rule(day=st.sampled_from([2, 6, 12]))
    def compact(self, day: int) -> None:
        compact_days(self.store, now_ts_us=START_US + day * DAY_US + DAY_US // 2)

    @rule(day=st.sampled_from([2, 6, 12]), steps=st.sampled_from([0, 1, 3, 100]))
    def keep(self, day: int, steps: int) -> None:
        self._prune(POLICY.cutoffs(START_US + day * DAY_US + DAY_US // 2), steps)

    @rule(
        day=st.integers(0, 4),
        hour=st.sampled_from([0, 13, 23]),
        age=st.sampled_from([0, 11, 30]),
        steps=st.sampled_from([100, 4]),
    )
    def prune_by_hand(self, day: int, hour: int, age: int, steps: int) -> None:
        now_us = START_US + day * DAY_US + hour * HOUR_US + 1
        self._prune(older_than(age * HOUR_US, now_us), steps)

    def _prune(self, cutoffs: Cutoffs, steps: int) -> None:
        run = prune(self.store, cutoffs)
        for _ in range(steps):
            if next(run, None) is None:
                break

    @rule(day=st.integers(0, 4), now=st.sampled_from([2, 6]))
    def make_anew(self, day: int, now: int) -> None:
        start_s = START_US // 1_000_000 + day * DAY_S
        hours = hours_to_compare(self.store, start_s, start_s + DAY_S, now_us=START_US + now * DAY_US)
        filled = [hour for hour in hours if hour % DAY_S // 3600 in HOURS]
        assert not any(hour.rebuilt for hour in rebuild(self.store, filled))

    @invariant()
    def every_day_has_its_sums_somewhere(self) -> None:
        if not hasattr(self, "store"):
            return
        t = self.store.tables
        register = {row["day"]: row["sealed"] for row in self._read(t.rollup_day)}

        def stored(fine: Table, coarse: Table) -> dict[tuple[Any, ...], list[int]]:
            rows = [row for row in self._read(coarse) if row["bucket"] in register]
            rows += [row for row in self._read(fine) if row["bucket"] // DAY_S * DAY_S not in register]
            sums: dict[tuple[Any, ...], list[int]] = {}
            for row in rows:
                day = row["bucket"] // DAY_S * DAY_S
                key = (row["endpoint_id"], day, row["version_id"], row.get("status", row.get("bkt")))
                new = [row[name] for name in ("n", "sum_us", "min_us", "max_us") if name in row]
                old = sums.get(key)
                sums[key] = new if old is None else _together(old, new)
            return sums

        assert stored(t.hits, t.hits_day) == {
            key: [len(us), sum(us), min(us), max(us)] for key, us in self.hits.items()
        }
        assert stored(t.lat_hist, t.lat_hist_day) == {key: [len(us)] for key, us in self.latencies.items()}
        for day, sealed in register.items():
            if not sealed:
                finer = sum(row["n"] for row in self._read(t.hits) if row["bucket"] // DAY_S * DAY_S == day)
                assert finer == sum(len(us) for key, us in self.hits.items() if key[1] == day)

    @invariant()
    def every_user_has_requests_somewhere(self) -> None:
        if not hasattr(self, "store"):
            return
        t = self.store.tables
        states = {row["day"]: row["state"] for row in self._read(t.subject_rollup)}
        found: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
        for row in self._read(t.request):
            day = row["ts"] // DAY_US * DAY_S
            if states.get(day, 0) < SUMMED and row["group_id"] is not None:
                more = (1, row["status"] >= 500, row["duration"])
                _add(found[row["endpoint_id"], day, row["group_id"]], more)
        for row in self._read(t.subject_day, t.subject_day.c.kind == SUBJECT_USER):
            if states[row["day"]] >= SUMMED:
                more = (row["n"], row["errors"], row["sum_us"])
                _add(found[row["endpoint_id"], row["day"], row["subject_id"]], more)
        for row in self._read(t.subject_pack, t.subject_pack.c.kind == SUBJECT_USER):
            for subject, *counts in read_counts(row["counts"]) if states[row["day"]] >= SUMMED else ():
                _add(found[row["endpoint_id"], row["day"], subject], counts)

        def kept(sums: dict[tuple[int, int, int], list[int]]) -> dict[tuple[int, int, int], list[int]]:
            return {key: each for key, each in sums.items() if states.get(key[1]) != GONE}

        assert kept(found) == kept(self.people)


def _add(sums: list[int], more: Iterable[int]) -> None:
    sums[:] = [old + new for old, new in zip(sums, more, strict=True)]


def _together(old: list[int], new: list[int]) -> list[int]:
    if len(old) == 1:
        return [old[0] + new[0]]
    return [old[0] + new[0], old[1] + new[1], min(old[2], new[2]), max(old[3], new[3])]


TestKeeping = Keeping.TestCase
TestKeeping.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
