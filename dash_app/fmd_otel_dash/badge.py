"""What fills the badge in the header: asked every half minute, by a few small rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dash import Input, Output

from fmd_otel_dash.components.badge import MARK, PANEL, POLL, health_mark, health_panel
from fmd_otel_dash.health import Health, judge, unusable
from fmd_otel_dash.queries.processes import facts
from fmd_otel_dash.roles import ADMIN, GUEST
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.pipeline import trouble_here

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View


def register_badge(registry: Registry) -> None:
    """Register the badge's callback."""

    @registry.callback(
        Output(MARK, "children"),
        Output(PANEL, "children"),
        Input(POLL, "n_intervals"),
        role=GUEST,
        prevent_initial_call=False,
    )
    def health(view: View, _ticks: Any) -> Any:
        found = health_of(view)
        href = view.href("/storage") if view.user.may(ADMIN) else None
        return health_mark(found), health_panel(found, href)


def health_of(view: View) -> Health:
    """Judge, and tell this person no more than is theirs to know."""
    services = view.services
    try:
        trouble = trouble_here(services.settings.database, services.settings.table_prefix)
        found = services.cache.get("health", lambda: judge(facts(services.store), trouble))
    except StorageError as error:
        found = unusable(str(error))
    if view.user.may(ADMIN):
        return found
    return replace(found, reasons=tuple(replace(reason, detail="") for reason in found.reasons))
