"""The monitor level in an endpoint's head: what it is, and for admins the buttons that set it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from dash import Input, Output, no_update
from dash.exceptions import PreventUpdate

from fmd_otel_dash import ids
from fmd_otel_dash.components.levels import level_control
from fmd_otel_dash.pages.endpoint_rows import LEVELS
from fmd_otel_dash.queries.look import endpoints
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter.catalog import set_level
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

LEVEL = "endpoint-level"
"""Store that the level buttons write to."""


def control(view: View, endpoint: Endpoint) -> Any:
    """Return the level, and the buttons for whoever may press them."""
    return level_control(LEVELS, endpoint.level, store=LEVEL, may_change=view.user.may(ADMIN))


def register(registry: Registry, card_id: str) -> None:
    """Register what the buttons do; the card then says the new level, and whoever listens to its retry."""

    @registry.callback(
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Output(ids.retry(card_id), "data"),
        Input(LEVEL, "data"),
        role=ADMIN,
    )
    def change_level(view: View, wanted: dict[str, Any] | None) -> Any:
        level: Any = (wanted or {}).get("level")
        if view.endpoint_id is None or level not in LEVELS:
            raise PreventUpdate
        # The address may have the number of one that counts under another: the head shows that other one.
        shown = [each.id for each in view.query(endpoints, Scope(0, 0, endpoint_ids=(view.endpoint_id,)))]
        try:
            set_level(view.store, next(iter(shown), view.endpoint_id), level)
        except FmdOtelError as error:
            return f"Not changed: {error}", no_update
        view.services.cache.clear()
        return f"This endpoint is now at monitor level {level}: it {LEVELS[level]}.", time.time_ns()
