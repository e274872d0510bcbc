"""Under which service name an application's requests are kept."""

from __future__ import annotations

import threading

_UNKNOWN = "unknown_service"
"""What OpenTelemetry calls a process that nobody named."""


def is_unnamed(service_name: str | None) -> bool:
    """Tell whether nobody has named the process."""
    return not service_name or service_name.startswith(_UNKNOWN)


class ServiceNames:
    """The names given out in one process.

    ``service.name`` belongs to a process, but a process may serve several applications; theirs must not be
    mixed.
    """

    def __init__(self) -> None:
        """Begin with no application known."""
        self._lock = threading.Lock()
        self._first_created: str | None = None
        self._owners: dict[str, str] = {}

    def created(self, app_name: str) -> None:
        """Note that an application was made.

        The first one made owns ``service.name``: unlike the order of first requests, that order is the same
        in every worker.
        """
        with self._lock:
            if self._first_created is None:
                self._first_created = app_name

    def name_for(self, service_name: str | None, app_name: str) -> str:
        """Return the service name of an application.

        Args:
            service_name: The resource's ``service.name``.
            app_name: Flask's name of the application.
        """
        if service_name is None or is_unnamed(service_name):
            return app_name
        with self._lock:
            owner = self._owners.setdefault(service_name, self._first_created or app_name)
        return service_name if owner == app_name else f"{service_name}/{app_name}"
