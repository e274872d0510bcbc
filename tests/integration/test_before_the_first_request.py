"""Importing and instrumenting costs a web worker nothing that it does not need yet."""

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
    "sqlalchemy",
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
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("dashboard", ["true", "false"])
def test_two_lines_import_and_start_nothing(clean_environ, folder, dashboard):
    environ = {**clean_environ, "FMD_OTEL_INCLUDE_DASHBOARD": dashboard, "FMD_OTEL_DATABASE": ""}
    seen = run(f"import two_lines\n{LOOK}", environ, folder)
    assert seen == {"heavy": [], "threads": ["MainThread"], "files": []}


def test_the_launcher_imports_and_starts_nothing(clean_environ, folder):
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
    seen = run(f"import fmd_otel, sys\nassert 'flask' not in sys.modules\n{LOOK}", clean_environ, folder)
    assert seen["heavy"] == []
