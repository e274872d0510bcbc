"""What a page is given: the resolved address, the person who looks, and a way to ask the database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from fmd_otel_dash import urlstate
from fmd_otel_dash.comparison import compared
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.versions import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmd_otel_dash.comparison import Comparison
    from fmd_otel_dash.queries.look import Version
    from fmd_otel_dash.roles import User
    from fmd_otel_dash.services import Services
    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_dash.urlstate import UrlState, Window
    from fmd_otel_exporter.store import Store

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """One look at one page: everything a layout or a callback may need, and nothing of Dash."""

    services: Services
    user: User
    path: str
    """Path of the page within the dashboard: ``/overview``."""
    params: Mapping[str, str]
    """What the route's placeholders matched: ``{"endpoint_id": "3"}``."""
    state: UrlState
    window: Window
    now_us: int
    serial: int = 0
    """Goes up with every refresh, so that a refresh is answered freshly."""

    @property
    def store(self) -> Store:
        """The database."""
        return self.services.store

    @property
    def settings(self) -> DashboardSettings:
        """The dashboard's settings."""
        return self.services.settings

    @property
    def scope(self) -> Scope:
        """What to query; narrowed to one endpoint on an endpoint's pages."""
        endpoint_id = self.endpoint_id
        return self.window.scope(self.state, endpoint_ids=() if endpoint_id is None else (endpoint_id,))

    @property
    def comparison(self) -> Comparison | None:
        """What to compare it with, and in words, if the person wants that and there is such a thing."""
        known: tuple[Version, ...] = ()
        if self.state.compare in {"version", "pin"}:
            known = self.query(versions, Scope(0, 0, services=self.state.services))
        starts: dict[str, int] = {each.name: each.first_us for each in known}
        return compared(
            self.state,
            self.scope,
            now_us=self.now_us,
            previous=urlstate.previous_label(self.state),
            versions=known,
            started=lambda name: starts.get(name),  # noqa: PLW0108 # of the overloads, only this one fits
        )

    @property
    def compare(self) -> Scope | None:
        """What to compare it with."""
        found = self.comparison
        return found.scope if found else None

    @property
    def endpoint_id(self) -> int | None:
        """Which endpoint the page is about, for pages about one."""
        value = self.params.get("endpoint_id", "")
        return int(value) if value.isdecimal() else None

    def query(self, ask: Callable[Concatenate[Store, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask the database, or remember the answer of a moment ago: ``view.query(hourly, view.scope)``.

        The arguments have to be hashable; scopes are.
        """
        key = (ask, args, tuple(sorted(kwargs.items())), self.serial)
        return self.services.cache.get(key, lambda: ask(self.store, *args, **kwargs))

    def href(self, path: str, *, start: str = "", end: str = "", **extra: str) -> str:
        """Return a link to another page that keeps range, zone, comparison and service.

        Args:
            path: path within the dashboard: ``/endpoint/3/versions``.
            start: another start, as a moment; needs ``end``.
            end: another end.
            extra: parameters of that page.
        """
        state = replace(self.state, extra=tuple(extra.items()), versions=())
        if start and end:
            state = state.with_range(start, end, self.window.tz)
        return self.settings.url(path) + urlstate.format_search(state)
