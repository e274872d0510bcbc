"""What a page is given: the resolved address, the person who looks, and a way to ask the database."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from fmd_otel_dash import urlstate
from fmd_otel_dash.comparison import compared
from fmd_otel_dash.queries.look import endpoints
from fmd_otel_dash.queries.scope import Pair, Scope
from fmd_otel_dash.queries.versions import version_starts, versions
from fmd_otel_dash.rangetext import never_deployed

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
        """What is compared with what, and in words, if the person wants that and there is such a thing."""
        return compared(
            self.state,
            self.scope,
            now_us=self.now_us,
            previous=urlstate.previous_label(self.state),
            versions=self.own_versions if self.state.compare == "version" else (),
            started=self.query(version_starts).get if self.state.compare == "pin" else never_deployed,
        )

    @property
    def own_versions(self) -> tuple[Version, ...]:
        """Versions of the services that the page speaks of, oldest first: of an endpoint, its own."""
        services = self.state.services
        if self.endpoint_id is not None:
            found = self.query(endpoints, Scope(0, 0, endpoint_ids=(self.endpoint_id,)))
            services = tuple(endpoint.service for endpoint in found) or services
        return self.query(versions, Scope(0, 0, services=services))

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """What is looked at and what it is compared with: one pair, or of versions one for each service."""
        found = self.comparison
        return found.pairs if found else (Pair(self.scope.until(self.now_us)),)

    def pair_of(self, service: str) -> Pair:
        """Return what of a service is compared with what."""
        pairs = self.pairs
        return next((pair for pair in pairs if pair.of_service(service)), pairs[0])

    @property
    def after(self) -> Scope:
        """What is looked at where something is compared: the scope, up to now, or of it the newer version."""
        pairs = self.pairs
        return pairs[0].after if len(pairs) == 1 else self.scope.until(self.now_us)

    @property
    def compare(self) -> Scope | None:
        """What to compare it with; nothing where each service has something of its own."""
        pairs = self.pairs
        return pairs[0].before if len(pairs) == 1 else None

    @property
    def ghost(self) -> Scope | None:
        """What to draw behind a line over time: of what it is compared with, as much as there is a line.

        Of an earlier version, its last; of a baseline, its first.
        """
        before, length_us = self.compare, self.after.length_us
        if before is None or before.length_us <= length_us:
            return before
        if before.versions != self.after.versions:
            return replace(before, start_us=before.end_us - length_us)
        return replace(before, end_us=before.start_us + length_us)

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

    def with_versions(self, *names: str) -> View:
        """Return the view of other versions; of all, if none is named."""
        return replace(self, state=replace(self.state, versions=names))

    def href(
        self,
        path: str,
        *,
        start: str = "",
        end: str = "",
        **extra: str,
    ) -> str:
        """Return a link to another page that keeps range, zone, comparison and filters.

        Args:
            path: path within the dashboard: ``/endpoint/3/versions``.
            start: another start, as a moment; needs ``end``.
            end: another end.
            extra: parameters of that page; ``v`` is a single version.
        """
        versions = (extra.pop("v"),) if "v" in extra else self.state.versions
        state = replace(self.state, extra=tuple(extra.items()), versions=versions)
        if start and end:
            state = state.with_range(start, end, self.window.tz)
        return self.settings.url(path) + urlstate.format_search(state)
