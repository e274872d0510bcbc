"""What lives as long as the dashboard does: its settings, its database, and a short memory."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from fmd_otel_dash.auth import first_user
from fmd_otel_dash.auth.outside import Outside
from fmd_otel_dash.cache import TtlCache
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_exporter.store import Store

log = logging.getLogger(__name__)

_RETRY_S = 5.0


class Services:
    """Opens the database when it is first needed: building the dashboard touches none."""

    def __init__(
        self,
        settings: DashboardSettings,
        *,
        store: Store | None = None,
        announce: Callable[[str], None] | None = None,
    ) -> None:
        """Keep the settings.

        Args:
            settings: of the dashboard.
            store: a database that is open already; otherwise the one of the settings is opened.
            announce: told the path of the set-up page when nobody can sign in yet.
        """
        self.settings = settings
        self.cache = TtlCache()
        self.outside = Outside(settings.auth)
        self._announce = announce
        self._lock = threading.Lock()
        self._store = store
        self._ready = False
        self._failed: StorageError | None = None
        self._retry_at = 0.0

    @property
    def store(self) -> Store:
        """The database; opened anew when somebody has put another one in its place.

        Raises:
            StorageError: it cannot be used; asked again at most every few seconds.
        """
        if self._ready and self._store is not None and not self._store.replaced():
            return self._store
        with self._lock:
            if self._failed is not None and time.monotonic() < self._retry_at:
                raise self._failed
            self._leave_what_is_gone()
            try:
                store = self._store = self._store or open_store(
                    self.settings.database, self.settings.table_prefix
                )
                path = first_user.ensure(store, self.settings)
            except StorageError as error:
                self._failed, self._retry_at = error, time.monotonic() + _RETRY_S
                log.error("The dashboard cannot use its database: %s", error)  # noqa: TRY400 # the text says it all
                raise
            self._failed, self._ready = None, True
            if path and self._announce:
                self._announce(path)
            return store

    def _leave_what_is_gone(self) -> None:
        """Close a file that was removed: whoever has it open would see it, as it was, for ever."""
        if self._store is not None and self._store.replaced():
            self._store.dispose()
            self._store, self._ready, self.cache = None, False, TtlCache()

    def dispose(self) -> None:
        """Close the database."""
        if self._store is not None:
            self._store.dispose()
