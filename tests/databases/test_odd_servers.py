"""What an administrator may have set on a server changes nothing."""

from __future__ import annotations

import pytest

from fmd_otel_exporter.store import open_store
from tests.dash_app.queries.conftest import at, request_at, write  # noqa: F401 # fixtures
from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["odd_postgresql", "odd_mariadb"], indirect=True)

globals().update(suite_of("tests.dash_app.queries.test_brute_force"))
globals().update(suite_of("tests.exporter.test_names"))
globals().update(suite_of("tests.exporter.test_rollups"))
globals().update(
    suite_of(
        "tests.databases.test_sums",
        without=["test_a_level_set_by_one_is_obeyed_by_another"],
    )
)


def test_the_server_is_odd_indeed(server, kind: str):
    if kind == "odd_postgresql":
        assert server.run("SHOW timezone") == [("America/New_York",)]
        assert server.run("SHOW default_transaction_isolation") == [("serializable",)]
    else:
        ((zone, mode, size),) = server.run(
            "SELECT @@system_time_zone, @@global.sql_mode, @@max_allowed_packet"
        )
        assert zone in ("EST", "EDT")
        assert "NO_BACKSLASH_ESCAPES" in mode
        assert size == 16384


def test_sizes_are_those_of_tables_whose_names_are_in_another_case(url: str):
    """MariaDB may store names in small letters, whatever they are given in."""
    ours = open_store(url, "Shop_2")
    with ours.read() as connection:
        tables = ours.dialect.sizes(connection, "Shop_2").tables
    assert {each.name.removeprefix("Shop_2_") for each in ours.tables.metadata.sorted_tables} <= {*tables}
    ours.dispose()
