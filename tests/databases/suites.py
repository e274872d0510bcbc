"""Takes over tests that were written for one database, to ask the same of others."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

_DATABASE = {"keep", "see", "store", "url", "write", "writer"}
"""Fixtures that a test asks for when it uses a database."""

SHORT_TURNS = "from fmd_otel_exporter.dialects import clickhouse_mutex\nclickhouse_mutex.LASTS_S = 5\n"
"""For processes that are killed while it is their turn."""

NOT_OF_CLICKHOUSE = {
    "test_a_failing_transaction_keeps_nothing": "statements last one by one; see test_clickhouse_turns.py",
    "test_each_step_is_small_and_a_transaction_of_its_own": "what is old goes in one statement",
    "test_a_run_is_done_in_as_many_calls_as_the_time_allows": "as above: there are few steps to stop between",
    "test_one_that_dies_in_the_middle_is_replaced_within_its_lease": "as above: there is no middle",
    "test_a_killed_maintainer_is_replaced_by_another_process_once_its_lease_is_over": (
        "as above; it is killed before the only step there is in test_clickhouse_turns.py"
    ),
    "test_one_that_works_keeps_its_lease_and_one_that_slept_loses_it": "as above: it has no twelve steps",
    "test_the_revisions_lead_to_the_tables_of_the_schema": "types are its own; see test_clickhouse.py",
    "test_two_prefixes_share_a_database_in_peace": "a table of turns beside them: test_clickhouse_turns.py",
    "test_a_reader_sees_one_moment_and_holds_up_no_writer": "each query sees a moment of its own",
}
"""Tests of what ClickHouse does not have, and what that is."""


def suite_of(module: str, *, without: Collection[str] = (), only: Collection[str] = ()) -> dict[str, Any]:
    """Return what a module of tests holds, its fixtures and those of its tests that use a database.

    Args:
        module: The module of the tests.
        without: Tests to leave out; that there are such is checked, so that the list stays true.
        only: The tests to take, where they are few.
    """
    members = vars(import_module(module))
    assert "pytestmark" not in members
    tests = {
        name
        for name, value in members.items()
        if name.startswith("test_") and not _DATABASE.isdisjoint(signature(value).parameters)
    }
    unknown = {*without, *only} - tests
    assert not unknown, f"{module} has no {unknown}"
    wanted = set(only) or tests - set(without)
    return {
        name: value
        for name, value in members.items()
        if name in wanted or not name.startswith(("test_", "__"))
    }
