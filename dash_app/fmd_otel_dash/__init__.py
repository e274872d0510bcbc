"""Rows in, pages out: queries, figures, components and pages of the dashboard.

Importing this package imports no Dash: a web worker that mounts the dashboard pays for it on the first visit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from fmd_otel_dash.settings import DashboardSettings

__all__ = ["create_wsgi", "setup_path"]


def create_wsgi(settings: DashboardSettings, *, announce: bool = True) -> WSGIApplication:
    """Build the dashboard as a WSGI application; this imports Dash, but opens no database yet.

    It serves ``settings.url_prefix`` whether or not the server has moved that prefix to ``SCRIPT_NAME``.

    Args:
        settings: of the dashboard.
        announce: log a set-up link at the first visit while nobody can sign in; not needed by a launcher
            that has asked :func:`setup_path`.
    """
    from fmd_otel_dash.factory import build  # noqa: PLC0415 # Dash costs a second and 80 MB

    return build(settings, announce=announce)


def setup_path(settings: DashboardSettings) -> str | None:
    """Make sure that somebody can sign in, for a launcher that wants to say how before the first visit.

    Creates the user of the settings where the database has none. Where neither has one, returns the path of a
    one-time set-up page (``/dashboard/setup?token=...``), good for a day; otherwise None.

    Raises:
        StorageError: the database cannot be used.
    """
    from fmd_otel_dash.auth.first_user import ensure  # noqa: PLC0415 # imports SQLAlchemy
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # imports SQLAlchemy

    store = open_store(settings.database, settings.table_prefix)
    try:
        return ensure(store, settings)
    finally:
        store.dispose()
