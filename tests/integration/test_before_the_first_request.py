"""Importing costs nothing that is not needed yet; instrumenting imports what requests should not wait for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

HEAVY = [
    "dash",
    "plotly",
    "numpy",
    "alembic",
    "dash_mantine_components",
    "dash_ag_grid",
    "waitress",
]

LOOK = f"""
import json, os, sys, threading
print(json.dumps({{
    "heavy": [name for name in {HEAVY!r} if name in sys.modules],
    "threads": [thread.name for thread in threading.enumerate()],
    "files": sorted(os.listdir()),
}}))
"""


def run(code, environ, cwd, *prefix):
    done = subprocess.run(
        [*prefix, sys.executable, "-c", code],
        cwd=cwd,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("dashboard", ["true", "false"])
def test_two_lines_import_little_and_start_nothing(clean_environ, folder, dashboard):
    environ = {**clean_environ, "FMD_OTEL_INCLUDE_DASHBOARD": dashboard, "FMD_OTEL_DATABASE": ""}
    seen = run(f"import two_lines\n{LOOK}", environ, folder)
    assert seen == {"heavy": [], "threads": ["MainThread"], "files": []}


def test_the_launcher_imports_little_and_starts_nothing(clean_environ, folder):
    launcher = str(Path(sys.executable).parent / "opentelemetry-instrument")
    environ = {**clean_environ, "FMD_OTEL_DATABASE": ""}
    seen = run(f"import plain\n{LOOK}", environ, folder, launcher)
    assert seen == {"heavy": [], "threads": ["MainThread"], "files": []}


def test_the_first_request_itself_waits_for_no_import_of_ours(clean_environ, folder):
    code = f"""
import two_lines
two_lines.app.test_client().get("/")
import sys
assert "dash" not in sys.modules
{LOOK}
"""
    seen = run(code, clean_environ, folder)
    assert "dash" not in seen["heavy"]


def test_importing_the_package_alone_imports_not_even_flask(clean_environ, folder):
    code = f"""
import fmd_otel, sys
assert "flask" not in sys.modules
assert "sqlalchemy" not in sys.modules
{LOOK}
"""
    assert run(code, clean_environ, folder)["heavy"] == []


def test_where_monitoring_is_off_no_database_is_imported(clean_environ, folder):
    code = f"import two_lines, sys\nassert 'sqlalchemy' not in sys.modules\n{LOOK}"
    assert run(code, {**clean_environ, "OTEL_SDK_DISABLED": "true"}, folder)["heavy"] == []


def test_beside_requests_nothing_of_a_database_is_imported(clean_environ, folder):
    code = """
import json, sys
import two_lines
before = set(sys.modules)
two_lines.app.test_client().get("/")
assert two_lines.app.extensions["fmd_otel"].force_flush()
found = sorted(set(sys.modules) - before)
print(json.dumps([name for name in found if name.startswith(("sqlalchemy", "fmd_otel_exporter", "sqlite3"))]))
"""
    run(code, clean_environ, folder)  # makes the tables, for which alone there is Alembic
    assert run(code, clean_environ, folder) == []
