"""What the exporter's tests ask of migrations on SQLite, asked of the servers, on databases of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.store import Store, open_store
from tests.databases.suites import suite_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.exporter.test_migrations"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.dispose()
