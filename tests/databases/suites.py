"""Takes over tests that were written for one database, to ask the same of others."""

from __future__ import annotations

from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

_DATABASE = {"keep", "see", "store", "url", "write", "writer"}
"""Fixtures that a test asks for when it uses a database."""


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
