"""A dashboard in a process of its own says that it is there, as the processes that write do."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, final

from opentelemetry.instrumentation.utils import suppress_instrumentation

from fmd_otel_exporter.counters import NOTHING
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.heartbeat import About, Heartbeat
from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_exporter.store import Store

log = logging.getLogger(__name__)

EVERY_S = 30.0
_END_S = 2.0


@final
class Presence:
    """Speaks now and then from a thread of its own, whatever becomes of the database."""

    def __init__(self, settings: DashboardSettings, every_s: float = EVERY_S) -> None:
        """Prepare; nothing is opened or said."""
        self._settings = settings
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fmd-otel-presence", daemon=True)

    def __enter__(self) -> Presence:
        """Begin to speak."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Say goodbye, if the database lets us do so at once."""
        self._ended.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        heartbeat = Heartbeat(About("dashboard"), lambda: NOTHING)
        store: Store | None = None
        with suppress_instrumentation():
            while True:
                try:
                    store = store or open_store(
                        self._settings.database, self._settings.table_prefix, migrate=False
                    )
                    heartbeat.work(store)
                except StorageError as error:
                    log.debug("The dashboard could not say that it is there: %s", error)
                if self._ended.wait(self._every_s):
                    break
            heartbeat.goodbye(store)
            if store is not None:
                store.dispose()
