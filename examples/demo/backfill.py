"""A month of history, written by the same writer that writes live requests."""

from __future__ import annotations

import threading
import time
from itertools import islice
from typing import TYPE_CHECKING

from demo.processes import DemoError
from demo.workload import WORKLOAD
from fmd_otel.synthetic import requests
from fmd_otel.synthetic_details import SyntheticDetails
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from demo.display import Display
    from demo.options import Options
    from fmd_otel_exporter.store import Store

_DAY_US = 86_400 * 1_000_000
_BATCH = 4_000
"""Large, for a quiet night shares few rollup rows; small enough to leave the live writers their turn."""
_POLL_S = 0.05


class Past:
    """Writes the history in the background, the newest day first: that is where people look."""

    def __init__(self, store: Store, options: Options, display: Display) -> None:
        """Get ready to write into ``store``."""
        self._store = store
        self._options = options
        self._display = display
        self._stopped = threading.Event()
        self._newest_day = threading.Event()
        self._problem: FmdOtelError | None = None
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._display.history(self._options.requests)
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stopped.set()
        self._thread.join()

    def check(self) -> None:
        """Raise DemoError if the history could not be written."""
        if self._problem is not None:
            raise DemoError(f"The history could not be written: {self._problem}")

    def wait_for_newest_day(self, stopped: threading.Event) -> None:
        """Wait until the charts of the last day are complete."""
        while not self._newest_day.wait(_POLL_S) and not stopped.is_set():
            self.check()

    def _run(self) -> None:
        try:
            self._write()
        except FmdOtelError as problem:
            self._problem = problem
        finally:
            self._newest_day.set()

    def _write(self) -> None:
        began = time.monotonic()
        now_us = time.time_ns() // 1000
        options = self._options
        history = requests(
            WORKLOAD,
            start_us=now_us - options.days * _DAY_US,
            end_us=now_us,
            count=options.requests,
            seed=options.seed,
            newest_first=True,
        )
        writer, details = Writer(self._store), SyntheticDetails.of(WORKLOAD, profiled=0.02)
        while not self._stopped.is_set() and (batch := list(islice(history, _BATCH))):
            self._display.history_written(writer.write(batch).written)
            details.write(self._store, details.make(batch))
            if batch[-1].ts_us < now_us - _DAY_US:
                self._newest_day.set()
        if not self._stopped.is_set():
            compact_days(self._store, now_ts_us=now_us)
            self._display.history_done(
                f"History: {options.requests:,} requests of {options.days} days "
                f"in {time.monotonic() - began:.1f} s"
            )
