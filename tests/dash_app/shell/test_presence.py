"""A dashboard on its own says that it is there."""

from __future__ import annotations

import time

from sqlalchemy import select

from fmd_otel_dash.presence import Presence
from fmd_otel_dash.settings import DashboardSettings
from fmd_otel_exporter.store import open_store


def test_it_says_so_and_says_goodbye(store):
    table = store.tables.process

    def said():
        with store.read() as connection:
            return [tuple(row) for row in connection.execute(select(table.c.role, table.c.state))]

    with Presence(DashboardSettings(database=store.url), every_s=0.01) as presence:
        deadline = time.monotonic() + 60
        while said() != [("dashboard", 0)]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    presence._thread.join(60)  # its end is waited for no longer than a moment
    assert said() == [("dashboard", 1)]


def test_it_waits_for_a_database_that_is_not_there_yet(tmp_path):
    url = f"sqlite:///{tmp_path / 'later.db'}"
    with Presence(DashboardSettings(database=url), every_s=0.01) as presence:
        time.sleep(0.05)
        assert presence._thread.is_alive()
        store = open_store(url)
        deadline = time.monotonic() + 60
        while True:
            with store.read() as connection:
                if connection.execute(select(store.tables.process)).first():
                    break
            assert time.monotonic() < deadline
            time.sleep(0.01)
    presence._thread.join(60)
    store.dispose()
