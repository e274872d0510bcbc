"""What a chunk costs SQLite, in steps of its virtual machine: no clock is as exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import event, insert

from fmd_otel_exporter.deleting import delete_times

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

MANY = 20_000


def _fill(store: Store) -> None:
    rows = [
        {
            "endpoint_id": 1,
            "ts": n // 3,
            "span_id": n.to_bytes(8, "big"),
            "duration": 1,
            "bkt": 1,
            "version_id": 1,
            "status": 200,
            "method": "GET",
            "trace_id": bytes(16),
        }
        for n in range(MANY)
    ]
    with store.write() as connection:
        connection.execute(insert(store.tables.endpoint).values(id=1, service="s", name="e", level=1))
        connection.execute(insert(store.tables.request), rows)


def test_a_chunk_costs_what_its_rows_do_however_many_others_are_old(store: Store, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.deleting.CHUNK", 100)
    _fill(store)
    steps = [0]

    def count() -> None:
        steps[0] += 100

    with store.write() as connection:
        event.listen(
            connection.engine,
            "begin",
            lambda begun: begun.connection.driver_connection.set_progress_handler(count, 100),
        )
    chunks = delete_times(store, store.tables.request, [(0, MANY)])
    costs = []
    for _ in range(20):
        steps[0] = 0
        assert next(chunks) == 100
        costs.append(steps[0])
    assert 0 < max(costs) < 100 * 100
