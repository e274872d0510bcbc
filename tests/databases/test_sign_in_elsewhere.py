"""What the dashboard's tests ask of users and sessions on SQLite, asked of the servers."""

from __future__ import annotations

import pytest

from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

_shared = suite_of("tests.dash_app.conftest")
del _shared["store"]  # this folder has its own
globals().update(_shared)
globals().update(suite_of("tests.dash_app.auth.test_first_user"))
globals().update(suite_of("tests.dash_app.auth.test_sign_in"))
globals().update(suite_of("tests.dash_app.auth.test_users_page"))
