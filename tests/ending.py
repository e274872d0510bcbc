"""What a test starts in the background ends with it: later, it would speak and write in another test."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fmd_otel_exporter import pipeline as pipelines

if TYPE_CHECKING:
    from fmd_otel_exporter.pipeline import Pipeline

DEADLINE_S = 60.0
PATIENT = """
import fmd_otel_exporter.pipeline
fmd_otel_exporter.pipeline.STALL_MS = fmd_otel_exporter.pipeline.EXIT_FLUSH_MS = 60_000
fmd_otel_exporter.pipeline.Pipeline.force_flush.__defaults__ = (60_000,)
fmd_otel_exporter.pipeline._FORK_S = 60
"""
"""For processes that flush, exit and fork as if the machine were idle."""


def end(pipeline: Pipeline, timeout_ms: int = 1000) -> None:
    """Shut a pipeline down, and wait until its thread has had its last word."""
    pipeline.shutdown(timeout_ms)
    deadline = time.monotonic() + DEADLINE_S
    while pipeline._running and not pipeline._worker.finished:
        assert time.monotonic() < deadline, f"a thread does not end: {pipeline.counters()}"
        pipeline._worker.signal.set()
        time.sleep(0.005)


def end_all_pipelines() -> None:
    """End those that nobody has ended."""
    for pipeline in list(pipelines._pipelines):
        if not pipeline.closed or (pipeline._running and not pipeline._worker.finished):
            end(pipeline, 0)
