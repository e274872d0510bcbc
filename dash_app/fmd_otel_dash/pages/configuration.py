"""Configuration: monitor levels by rule and by hand, and the settings in force with who set them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.components import page
from fmd_otel_dash.pages import configuration_levels, configuration_rules, configuration_settings
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Configuration"


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        configuration_rules.layout(view),
        configuration_levels.layout(),
        *configuration_settings.layout(),
        subtitle="How closely endpoints are looked at, what is set, and by whom",
    )


def register(registry: Registry) -> None:
    """Register what fills the page, and what changes levels."""
    configuration_rules.register(registry, configuration_levels.COUNTS)
    configuration_levels.register(registry)
    configuration_settings.register(registry)


PAGE = Page(path="/configuration", title=TITLE, layout=layout, register=register, role=ADMIN, icon="gauge")
