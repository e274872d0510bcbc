"""``fmd-otel generate`` leaves on every database what it leaves on SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from fmd_otel.cli import main
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.subject_packs import read_counts

if TYPE_CHECKING:
    from pathlib import Path

    from fmd_otel_exporter.store import Store

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

ARGUMENTS = [
    *("--requests", "3k", "--days", "2", "--until", "2026-11-01"),
    *("--users", "60", "--endpoints", "9", "--versions", "3"),
]


def totals(store: Store) -> dict[str, tuple[int, int]]:
    t = store.tables
    with store.read() as connection:
        found = {
            table.name: (connection.scalar(select(func.count()).select_from(table)), 0)
            for table in (t.endpoint, t.version, t.subject)
        }
        for table, what in (
            (t.request, t.request.c.duration),
            (t.hits, t.hits.c.sum_us),
            (t.lat_hist, t.lat_hist.c.n),
            (t.hits_day, t.hits_day.c.sum_us),
            (t.lat_hist_day, t.lat_hist_day.c.n),
        ):
            row = connection.execute(select(func.count(), func.sum(what)).select_from(table)).one()
            found[table.name] = row[0], int(row[1])
        packs = list(connection.scalars(select(t.subject_pack.c.counts)))
        of_subjects = sum(sum_us for counts in packs for *_, sum_us in read_counts(counts))
        found[t.subject_pack.name] = len(packs), of_subjects
    return found


def test_a_generated_database_is_the_same_everywhere(url: str, tmp_path: Path):
    found = []
    for each in (f"sqlite:///{tmp_path / 'fmd.db'}", url):
        done = CliRunner().invoke(main, ["generate", "--database", each, *ARGUMENTS])
        assert done.exit_code == 0, done.output
        store = open_store(each)
        found.append(totals(store))
        store.dispose()
    assert found[0] == found[1]
    assert found[0]["fmd_request"][0] == 3_000
