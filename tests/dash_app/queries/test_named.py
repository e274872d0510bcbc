"""Names in place of ids, also of more of them than a statement may have variables."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import event

from fmd_otel_dash.queries.requests import requests
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.subjects import busiest
from fmd_otel_exporter.schema import SUBJECT_USER

HOUR = 3_600_000_000
MOST = 550


@pytest.fixture
def many(store, at, write, request_at):
    """More users than a statement may have variables, of which SQLite allows fewer here."""
    noon = at(2026, 11, 22, 12)
    write(*(request_at(noon + i, group_by=f"user{i}", ip=f"10.0.{i // 250}.{i % 250}") for i in range(600)))

    def lower(connection, *_):
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, MOST)

    with store.read() as connection:
        engine = connection.engine
        lower(connection.connection.driver_connection)
    event.listen(engine, "checkout", lower)
    yield Scope(noon - HOUR, noon + HOUR)
    event.remove(engine, "checkout", lower)


@pytest.mark.skipif(not hasattr(sqlite3.Connection, "setlimit"), reason="Python 3.11 can lower the limit")
def test_lists_of_many_users_name_them_all(store, many):
    found = requests(store, many, limit=1000).rows
    assert {row.user for row in found} == {f"user{i}" for i in range(600)}
    assert {row.ip for row in found} >= {"10.0.0.0", "10.0.2.99"}
    assert {row.value for row in busiest(store, many, SUBJECT_USER, 1000).rows} == {
        f"user{i}" for i in range(600)
    }
