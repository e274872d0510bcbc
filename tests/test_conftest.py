"""A skip must be seen, and in continuous integration it must fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SUITE = """
import pytest

def test_that_lacks_something():
    pytest.skip("needs a teapot. The remedy: apt-get install teapot")

@pytest.mark.xfail(strict=True)
def test_that_is_known_to_fail():
    assert False
"""


def run_pytest(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (folder / "test_suite.py").write_text(SUITE)
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:dash",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            folder,
            folder,
        ],
        env={**os.environ, "REQUIRE_ALL_TESTS": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_skip_names_its_remedy_at_the_end(tmp_path: Path) -> None:
    done = run_pytest(tmp_path)
    assert done.returncode == 0
    assert "NOT TESTED: 1 skipped" in done.stdout
    assert "needs a teapot. The remedy: apt-get install teapot" in done.stdout


def test_a_skip_fails_where_nothing_may_be_missing(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, REQUIRE_ALL_TESTS="1")
    assert done.returncode == 1
    assert "1 failed, 1 xfailed" in done.stdout
    assert "needs a teapot" in done.stdout


def test_a_module_that_skips_itself_fails_too(tmp_path: Path) -> None:
    (tmp_path / "test_module.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    done = run_pytest(tmp_path, REQUIRE_ALL_TESTS="1")
    assert done.returncode != 0
    assert "no_such_module" in done.stdout
