"""Processes that bring requests from a spool to a server are killed at any moment: each counts once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
from tests.exporter.spool.conftest import run_script
from tests.exporter.spool.test_processes import check_campaign

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["run_script"]
pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)


@pytest.mark.integration
def test_killing_any_process_at_any_moment_loses_nothing_and_doubles_nothing(
    kind: str, url: str, run_script, tmp_path: Path, record
) -> None:
    store = open_store(url)  # takes its time on ClickHouse
    Writer(store).write([record(service="shop", endpoint="cart", version="1")])
    store.dispose()
    kills = 10 if kind == "clickhouse" else 20
    result = json.loads(run_script("kill_campaign.py", tmp_path, kills, 23, "product", url, timeout_s=900))
    result["sum"] -= 1
    result["rows"] -= 1
    result["unacknowledged"] -= 1
    check_campaign(result, kills=kills, accepted=100)
