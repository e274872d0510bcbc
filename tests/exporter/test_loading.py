"""Imports of the background thread open nothing, and bring no collection of garbage about."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.loading import made_for_good

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import gc, os, sys, threading
from fmd_otel_exporter.loading import load
os.chdir(sys.argv[2])
objects = [[] for _ in range(20000)]  # an application's
gc.collect()
full = []
gc.callbacks.append(lambda phase, info: full.append(phase) if info["generation"] == 2 else None)
load(sys.argv[1])
for _ in range(100):  # were they new, this would find that many are
    gc.collect(1)
made = [[] for _ in range(3000)]
print("fmd_otel_exporter.writer" in sys.modules, threading.active_count(), os.listdir(), full, gc.isenabled())
"""
AS_WANTED = "True 1 [] [] True"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///fmd.db",
        "postgresql://nobody@127.0.0.1:1/none",
        "mysql://nobody@127.0.0.1:1/none",
        "clickhousedb://nobody@127.0.0.1:1/none",
    ],
)
def test_it_imports_and_neither_opens_nor_starts_nor_collects_anything(run, tmp_path: Path, url: str):
    assert run(CODE, url, str(tmp_path)) == AS_WANTED


@pytest.mark.parametrize("url", ["oracle://x", "no url", "postgresql+nosuchdriver://x/y"])
def test_what_cannot_be_imported_is_left_to_the_one_who_opens_it(run, tmp_path: Path, url: str):
    assert run(CODE, url, str(tmp_path)) == AS_WANTED


def test_a_collector_that_is_off_or_has_frozen_objects_is_left_alone():
    gc.disable()
    try:
        with made_for_good():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with made_for_good():
            assert gc.isenabled()
        assert gc.get_freeze_count() >= frozen - 100  # some were freed by others
    finally:
        gc.unfreeze()


def test_nothing_stays_frozen_and_the_collector_goes_on_whatever_happens():
    seen = []

    def fail():
        with made_for_good():
            seen.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert seen == [False]
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_forked_meanwhile_collects():
    with made_for_good():
        child = os.fork()
        if child == 0:  # pragma: no cover # another process
            os._exit(0 if gc.isenabled() and gc.get_freeze_count() == 0 else 1)
        assert not gc.isenabled()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
