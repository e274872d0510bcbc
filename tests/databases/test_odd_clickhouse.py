"""A ClickHouse server of another time zone counts the same hours and days."""

from __future__ import annotations

import pytest

from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["odd_clickhouse"], indirect=True)

globals().update(
    suite_of(
        "tests.exporter.test_rebuilding",
        only=["test_sums_that_are_missing_doubled_or_of_nothing_are_made_right"],
    )
)


def test_the_server_is_odd_indeed(server):
    assert server.run("SELECT timezone()") == [("America/New_York",)]
