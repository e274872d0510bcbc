from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import os, sys, threading
from fmd_otel_exporter.loading import load
os.chdir(sys.argv[2])
load(sys.argv[1])
print("fmd_otel_exporter.writer" in sys.modules, threading.active_count(), os.listdir())
"""


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///fmd.db",
        "postgresql://nobody@127.0.0.1:1/none",
        "mysql://nobody@127.0.0.1:1/none",
        "clickhousedb://nobody@127.0.0.1:1/none",
    ],
)
def test_it_imports_and_neither_opens_nor_starts_anything(run, tmp_path: Path, url: str):
    assert run(CODE, url, str(tmp_path)) == "True 1 []"


@pytest.mark.parametrize("url", ["oracle://x", "no url", "postgresql+nosuchdriver://x/y"])
def test_what_cannot_be_imported_is_left_to_the_one_who_opens_it(run, tmp_path: Path, url: str):
    assert run(CODE, url, str(tmp_path)) == "True 1 []"
