"""Profiles: where the time of the whole application goes, endpoint by endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.components import card, page
from fmd_otel_dash.pages import profile_grouped, profile_parts
from fmd_otel_dash.pages.common import export
from fmd_otel_dash.queries.profilerange import profiles_by_endpoint
from fmd_otel_dash.router import Page
from fmd_otel_dash.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.formats import Exported
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Profiles"
ALL = "profiles-all"


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(ALL, "All endpoints", actions=[export(view)], height=760),
        subtitle="Where the time of the profiled requests went, endpoint by endpoint",
    )


def register(registry: Registry) -> None:
    """Register what fills the page, and what draws profiles on any page."""
    profile_parts.register(registry)

    @registry.card(ALL)
    def everything(view: View) -> Any:
        found = view.query(profiles_by_endpoint, view.scope)
        if not found.tree.n:
            return [
                profile_grouped.toolbar(view), profile_parts.no_profiles(view, found.newest_us, None)
            ]  # fmt: skip
        return profile_grouped.shown(view, ALL, profiles_by_endpoint, "all endpoints")


def exported(view: View) -> Exported | None:
    """Return the profiles for a file."""
    return profile_grouped.exported(view, profiles_by_endpoint, "all endpoints")


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the tree line by line."""
    return profile_grouped.rows(view, profiles_by_endpoint)


PAGE = Page(
    path="/profiles",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="f",
    icon="flame",
    table=Table("profiles", profile_grouped.COLUMNS, rows),
    profile=exported,
)
