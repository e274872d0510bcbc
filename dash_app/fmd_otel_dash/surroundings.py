"""The request at hand, as the registry sees it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from flask import g

from fmd_otel_dash import urlstate
from fmd_otel_dash.auth import gate
from fmd_otel_dash.comparison import baseline_problem
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.versions import version_starts as read_version_starts
from fmd_otel_dash.view import View

if TYPE_CHECKING:
    from flask import Response

    from fmd_otel_dash.roles import Role
    from fmd_otel_dash.router import Router
    from fmd_otel_dash.services import Services

_NOW_STEP_US = 2 * US_PER_S
"""All cards of a page ask for the same "now", so that they share answers."""
_MAX_PATH = 1000


class FlaskSurroundings:
    """Makes views out of what the browser sent, for the person whom the gate let in."""

    def __init__(self, services: Services, router: Router) -> None:
        self._services = services
        self.router = router

    def view(self, data: dict[str, Any] | None) -> View:
        """Return the view that the browser's store describes; anything odd in it becomes a default."""
        data = data if isinstance(data, dict) else {}
        path = self.page_path(_text(data.get("path")))
        state = urlstate.parse(_text(data.get("search")))
        serial = data.get("serial")
        return self.view_of(path, state, browser_tz=_text(data.get("tz")), serial=_number(serial))

    def view_of(self, path: str, state: urlstate.UrlState, *, browser_tz: str = "", serial: int = 0) -> View:
        """Return the view of an address."""
        now_us = -(-time.time_ns() // 1000 // _NOW_STEP_US) * _NOW_STEP_US
        window = urlstate.resolve(
            state,
            now_us=now_us,
            default_tz=self._services.settings.timezone,
            browser_tz=browser_tz,
            started=self.started,
        )
        if not window.problem:
            told = baseline_problem(state, now_us=now_us, scope=window.scope(state), started=self.started)
            window = replace(window, problem=told)
        match = self.router.resolve(path)
        return View(self._services, gate.current_user(), path, match.params, state, window, now_us, serial)

    def page_path(self, path: str) -> str:
        """Return a path within the dashboard from one that a browser shows."""
        prefix = self._services.settings.prefix
        if prefix and (path == prefix or path.startswith(prefix + "/")):
            path = path[len(prefix) :]
        return ("/" + path.lstrip("/"))[:_MAX_PATH]

    def started(self, version: str) -> int | None:
        """Return when a version first served."""
        return version_starts(self._services).get(version)

    def require(self, role: Role) -> None:
        """Abort the request with 403 unless the person has the role."""
        gate.require(role)

    def timing(self, name: str, duration_ms: float) -> None:
        """Note how long a callback took; :func:`add_timing` tells the browser."""
        g.setdefault("fmd_timings", []).append((name, duration_ms))


def version_starts(services: Services) -> dict[str, int]:
    """Return when each version first served, whatever its service, oldest first."""
    return services.cache.get("version_starts", lambda: read_version_starts(services.store))


def add_timing(response: Response) -> Response:
    """Put the time that callbacks took where the browser's developer tools show it."""
    for name, duration_ms in g.get("fmd_timings", ()):
        response.headers.add("Server-Timing", f'cb;desc="{name}";dur={duration_ms:.1f}')
    return response


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
