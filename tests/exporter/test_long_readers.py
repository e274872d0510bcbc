"""Whoever reads a SQLite database for long keeps its log from being copied back, and holds up nobody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, make_url, select

from fmd_otel_exporter.dialects import sqlite
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store


def test_the_log_grows_while_somebody_reads_and_shrinks_when_they_have_done(
    store: Store, record, see, monkeypatch
):
    monkeypatch.setattr(sqlite, "_LARGEST_LOG", 100_000)
    monkeypatch.setattr(sqlite, "_CHECKPOINT_PAGES", 10)
    store.dispose()
    log = Path(f"{make_url(store.url).database}-wal")
    writer = Writer(store)
    writer.write([record()])
    with store.read() as reader:
        count = select(func.count()).select_from(store.tables.request)
        assert reader.scalar(count) == 1
        for _ in range(60):
            writer.write([record() for _ in range(20)])
        assert reader.scalar(count) == 1
        grown = log.stat().st_size
        assert grown > 200_000
    for _ in range(3):
        writer.write([record()])
    assert log.stat().st_size <= 100_000
    assert set(see.sums().values()) == {1 + 60 * 20 + 3}
