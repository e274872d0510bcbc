"""The health badge: everybody sees the colour, admins the reasons."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert

from fmd_otel_exporter.counters import NOTHING
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.heartbeat import About, Heartbeat

VIEW = {"view.data": {"path": "/dashboard/overview", "search": ""}, "health-poll.n_intervals": 0}


@pytest.fixture
def shown(dashboard, find_output):
    output = find_output(dashboard, "health-mark.children")
    return lambda visitor: json.dumps(visitor.call(output, VIEW).json)


@pytest.fixture
def speak(store):
    """Let a process speak."""
    return lambda **counters: Heartbeat(About(), lambda: NOTHING._replace(**counters)).work(store)


@pytest.fixture
def maintained(store):
    lease = store.tables.lease
    with store.write() as connection:
        connection.execute(insert(lease).values(name="retention", owner="web1:1", expires=1 << 60))


def test_all_is_well_where_somebody_writes(shown, speak, maintained, guest):
    speak()
    assert "Monitoring is well" in shown(guest)
    assert "1 process writes" in shown(guest)


def test_nobody_writes_at_first(shown, guest):
    text = shown(guest)
    assert "Monitoring is in need of attention: No application writes to this database" in text


def test_admins_are_told_who_and_where_to_look_and_guests_that_there_is_trouble(
    shown, speak, maintained, admin, guest
):
    speak(dropped={"spool_full": 12})
    for visitor in (admin, guest):
        assert "Monitoring is in trouble: Requests were lost in the last hour" in shown(visitor)
    assert "12 requests on " in shown(admin)
    assert "/dashboard/storage" in shown(admin)
    assert "12 requests" not in shown(guest)
    assert "/dashboard/storage" not in shown(guest)
    assert "An admin sees the details" in shown(guest)


def test_a_database_in_trouble_is_told_in_general_to_guests(shown, admin, guest, monkeypatch):
    def fail(_store):
        raise StorageError("the disk under /srv/secret is full")

    monkeypatch.setattr("fmd_otel_dash.badge.facts", fail)
    assert "/srv/secret" in shown(admin)
    assert "The database cannot be used" in shown(guest)
    assert "/srv/secret" not in shown(guest)


def test_it_asks_little(shown, speak, store, dashboard, guest):
    """Three small tables and two aggregates, whatever the traffic."""
    from sqlalchemy import event  # noqa: PLC0415

    speak()
    statements = []
    engine = store._engine("read")
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    dashboard.services.cache.clear()
    shown(guest)
    assert not [each for each in statements if "fmd_request" in each or "fmd_hits" in each]
    assert len(statements) <= 10  # with those of the gate
