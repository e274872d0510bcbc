"""Grouped Profiler: all profiles of an endpoint in the range, as one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input

from fmd_otel_dash import ids
from fmd_otel_dash.components import card
from fmd_otel_dash.pages import profile_grouped
from fmd_otel_dash.pages.common import export
from fmd_otel_dash.pages.endpoint_head import HEAD, endpoint_page
from fmd_otel_dash.pages.endpoint_profiler import endpoint_of
from fmd_otel_dash.pages.profile_parts import no_profiles
from fmd_otel_dash.queries.profilerange import profiles_of_range
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.formats import Exported
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Grouped Profiler"
GROUPED = "endpoint-grouped"


def layout(view: View) -> Any:
    """Return the page without data."""
    return endpoint_page(
        card(
            GROUPED,
            TITLE,
            hint="All profiles of the range laid over each other: how often each line, how long on average,"
            " and how far that spreads",
            actions=[export(view)],
            height=760,
        )
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(GROUPED, Input(ids.retry(HEAD), "data"))
    def grouped(view: View, _level_changed: Any) -> Any:
        endpoint = endpoint_of(view)
        if endpoint is None:
            return None
        found = view.query(profiles_of_range, view.scope)
        if not found.tree.n:
            return [profile_grouped.toolbar(view), no_profiles(view, found.newest_us, endpoint.level)]
        return profile_grouped.shown(view, GROUPED, profiles_of_range, endpoint.name)


def exported(view: View) -> Exported | None:
    """Return the profiles for a file."""
    endpoint = endpoint_of(view)
    return profile_grouped.exported(view, profiles_of_range, endpoint.name) if endpoint else None


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the tree line by line."""
    return profile_grouped.rows(view, profiles_of_range)


PAGE = Page(
    path="/endpoint/<int:endpoint_id>/grouped-profiler",
    aliases=("/endpoint/<int:endpoint_id>/grouped_profiler",),
    title=TITLE,
    layout=layout,
    register=register,
    section="endpoint",
    key="g",
    icon="layers",
    table=Table("grouped_profile", profile_grouped.COLUMNS, rows),
    profile=exported,
)
