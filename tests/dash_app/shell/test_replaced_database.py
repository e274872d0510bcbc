"""A dashboard whose SQLite file is removed, replaced or put back shows what is there now."""

from __future__ import annotations

import pytest
from sqlalchemy import func, insert, select

from fmd_otel_dash.services import Services
from fmd_otel_dash.settings import DashboardSettings
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.store import open_store


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder / "fmd.db"


@pytest.fixture
def services(path, monkeypatch):
    monkeypatch.setattr("fmd_otel_dash.services._RETRY_S", 0.0)
    made = Services(DashboardSettings(database=f"sqlite:///{path}"))
    yield made
    made.dispose()


def leases(services: Services) -> int:
    store = services.store
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(store.tables.lease)) or 0


def put_lease(store) -> None:
    with store.write() as connection:
        connection.execute(insert(store.tables.lease).values(name="mine", owner="me", expires=1))


def test_a_file_that_was_removed_is_left_for_the_one_in_its_place(services, path):
    put_lease(services.store)
    assert leases(services) == 1
    services.cache.get("count", lambda: leases(services))
    path.unlink()
    open_store(f"sqlite:///{path}").dispose()
    assert leases(services) == 0
    assert services.cache.get("count", lambda: leases(services)) == 0


def test_a_directory_that_is_moved_away_is_told_until_it_is_back(services, path):
    put_lease(services.store)
    path.parent.rename(path.parent.with_name("elsewhere"))
    with pytest.raises(StorageError, match="there is no directory"):
        leases(services)
    path.parent.with_name("elsewhere").rename(path.parent)
    assert leases(services) == 1


def test_a_file_that_stays_is_not_opened_again(services):
    assert services.store is services.store
