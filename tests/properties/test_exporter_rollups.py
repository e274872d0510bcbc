"""Whatever comes, in whatever order and however often: the rollups equal an aggregate of the raw rows.

Whatever becomes of the endpoints meanwhile, too.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import func, select

from fmd_otel_exporter.endpoint_changes import delete_rows, merge, remove
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.names import storable
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from sqlalchemy import Table

DAY_US = 86_400_000_000
START_US = 20_720 * DAY_US

requests = st.builds(
    RequestRecord,
    service=st.sampled_from(["shop", "admin"]),
    endpoint=st.sampled_from(["cart", "index", "x" * 300, "x" * 299 + "y"]),
    # Around midnights and full hours, some twice the same, some far off.
    ts_us=st.one_of(
        st.builds(
            lambda day, quarter, us: START_US + day * DAY_US + quarter * 900_000_000 + us,
            st.integers(0, 3),
            st.integers(0, 95),
            st.sampled_from([0, 1, 899_999_999]),
        ),
        st.sampled_from([-(2**70), 0, 2**70]),
    ),
    span_id=st.integers(0, 30).map(lambda n: n.to_bytes(8, "big")),
    trace_id=st.just(bytes(16)),
    duration_us=st.one_of(st.integers(0, 10_000), st.sampled_from([-1, 2**62, 2**70])),
    status=st.sampled_from([200, 404, 500]),
    method=st.just("GET"),
    version=st.sampled_from(["1", "2"]),
    group_by=st.sampled_from([None, "u1", "u2"]),
    level=st.sampled_from([0, 1, 1, 2]),
)


class AnyTraffic(RuleBasedStateMachine):
    """Two writers on one database, batches new, repeated, mixed and late, and compaction at any time."""

    @initialize()
    def open(self) -> None:
        self.store: Store = open_store("sqlite://")
        self.writers = [Writer(self.store), Writer(self.store)]
        self.sent: list[list[RequestRecord]] = []
        self.keys: set[tuple[Any, ...]] = set()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.dispose()

    def _write(self, writer: int, batch: list[RequestRecord]) -> None:
        new = {
            (r.service, storable(r.endpoint, 255), min(max(r.ts_us, 0), 253_402_300_799_000_000), r.span_id)
            for r in batch
            if r.level > 0
        } - self.keys
        result = self.writers[writer].write(batch)
        rowless = sum(r.level == 0 for r in batch)
        assert result.written in (len(new) + rowless, 0)
        if result.written:  # else it has been here before, whatever became of its endpoints since
            self.keys |= new
        assert result.written + result.duplicate == len(batch)

    @rule(writer=st.integers(0, 1), batch=st.lists(requests, min_size=1, max_size=12))
    def write(self, writer: int, batch: list[RequestRecord]) -> None:
        self.sent.append(batch)
        self._write(writer, batch)

    @rule(writer=st.integers(0, 1), data=st.data())
    def replay(self, writer: int, data: st.DataObject) -> None:
        if self.sent:
            self._write(writer, data.draw(st.sampled_from(self.sent)))

    @rule(writer=st.integers(0, 1), data=st.data())
    def replay_in_another_batch(self, writer: int, data: st.DataObject) -> None:
        if self.sent:
            everything = [r for batch in self.sent for r in batch]
            self._write(writer, data.draw(st.lists(st.sampled_from(everything), min_size=1, max_size=20)))

    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        there = self._endpoints()
        one, other = (data.draw(st.sampled_from(sorted(there) or [0])) for _ in range(2))
        if there:
            with suppress(StorageError):  # of another service, or the same one
                merge(self.store, one, other)

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        there = self._endpoints()
        if there:
            found = remove(self.store, data.draw(st.sampled_from(sorted(there))))
            for _ in delete_rows(self.store, found.ids):
                pass
            gone = {there[each] for each in found.ids}
            self.keys = {key for key in self.keys if key[:2] not in gone}

    def _endpoints(self) -> dict[int, tuple[str, str]]:
        c = self.store.tables.endpoint.c
        with self.store.read() as connection:
            query = select(c.id, c.service, c.name).where(c.removed_ts == 0)
            return {row[0]: (row[1], row[2]) for row in connection.execute(query)}

    @rule(day=st.integers(0, 5))
    def compact(self, day: int) -> None:
        compact_days(self.store, now_ts_us=START_US + day * DAY_US + DAY_US // 2)

    @invariant()
    def every_request_has_one_row(self) -> None:
        if hasattr(self, "store"):
            with self.store.read() as connection:
                count = connection.scalar(select(func.count()).select_from(self.store.tables.request))
            assert count == len(self.keys)

    @invariant()
    def sums_equal_an_aggregate_of_the_rows(self) -> None:
        if not hasattr(self, "store"):
            return
        t = self.store.tables
        with self.store.read() as connection:
            raw = connection.execute(select(t.request)).mappings().all()
            registered = set(connection.scalars(select(t.rollup_day.c.day)))
            stored = {
                table.name: {tuple(row) for row in connection.execute(select(table))}
                for table in (t.hits, t.lat_hist, t.hits_day, t.lat_hist_day)
            }

        def expected(bucket_s: int, *, latency: bool, days: set[int] | None = None) -> set[tuple[int, ...]]:
            sums: dict[tuple[int, ...], list[int]] = {}
            for row in raw:
                second, us = row["ts"] // 1_000_000, row["duration"]
                if days is not None and second // 86_400 * 86_400 not in days:
                    continue
                last = row["bkt"] if latency else row["status"]
                key = (row["endpoint_id"], second // bucket_s * bucket_s, row["version_id"], last)
                sums.setdefault(key, []).append(us)
            if latency:
                return {(*key, len(all_us)) for key, all_us in sums.items()}
            return {
                (*key, len(all_us), sum(all_us), min(all_us), max(all_us)) for key, all_us in sums.items()
            }

        def of_registered(table: Table) -> set[tuple[int, ...]]:
            return {row for row in stored[table.name] if row[1] in registered}

        assert stored[t.hits.name] == expected(900, latency=False)
        assert stored[t.lat_hist.name] == expected(3600, latency=True)
        assert of_registered(t.hits_day) == expected(86_400, latency=False, days=registered)
        assert of_registered(t.lat_hist_day) == expected(86_400, latency=True, days=registered)


TestAnyTraffic = AnyTraffic.TestCase
TestAnyTraffic.settings = settings(
    max_examples=40,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
