"""A database for whatever property is asked for."""

from __future__ import annotations

from functools import partial

import pytest

from fmd_otel_exporter.store import open_store


@pytest.fixture
def opened():
    """Open a database that holds nothing yet, a new one each time."""
    return partial(open_store, "sqlite://")
