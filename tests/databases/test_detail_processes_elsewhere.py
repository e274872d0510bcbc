"""What is asked of several processes that write details, asked of the servers."""

from __future__ import annotations

import pytest

from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb"], indirect=True)

globals().update(suite_of("tests.exporter.test_detail_processes"))
