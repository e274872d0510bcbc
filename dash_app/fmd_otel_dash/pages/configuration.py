"""Configuration: the settings in force, who set them, and the monitor levels of many endpoints at once."""

from __future__ import annotations

import fnmatch
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dash import Input, Output, State, html

from fmd_otel_dash import ids
from fmd_otel_dash.components import card, page, plain_table
from fmd_otel_dash.components.forms import segments, text_field
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.pages.common import endpoints
from fmd_otel_dash.pages.endpoint_rows import LEVELS
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.roles import ADMIN
from fmd_otel_dash.router import Page
from fmd_otel_exporter.catalog import set_level
from fmd_otel_exporter.errors import FmdOtelError, safe_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Configuration"
SETTINGS = "configuration-settings"
COUNTS = "configuration-levels"
PATTERN, LEVEL, APPLY = "levels-pattern", "levels-level", "levels-apply"
MATCHES, PROBLEM = "levels-matches", "levels-problem"
_MOST_NAMED = 12
_SECRET = "••••••"  # noqa: S105 # what stands in place of one
_SECRETS = frozenset({"password", "security_token"})
_NAMES = {"default_level": "MONITOR_LEVEL", "url_prefix": "CUSTOM_LINK"}
"""Settings whose name in the configuration is another one."""


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(
            SETTINGS,
            "Settings of this dashboard",
            hint="An application may have been told otherwise; what concerns requests is its own say.",
            kind="table",
            height=420,
            span=7,
        ),
        html.Div(
            [card(COUNTS, "Monitor levels", kind="table", height=160), _form()],
            className="fmd-column",
            style={"--span": 5},
        ),
        subtitle="What is set, and by whom",
    )


def register(registry: Registry) -> None:
    """Register what fills the page, and what changes levels."""

    @registry.card(SETTINGS, role=ADMIN)
    def settings(view: View) -> Any:
        return plain_table(("Setting", "Value", "Set by"), [_row(view, each.name) for each in _shown(view)])

    @registry.card(COUNTS, role=ADMIN)
    def levels(view: View) -> Any:
        known = _all(view)
        return plain_table(
            ("Level", "What it does", "Endpoints"),
            [(n, words, f"{sum(each.level == n for each in known):,}") for n, words in LEVELS.items()],
            numeric=(2,),
        )

    @registry.callback(
        Output(MATCHES, "children"), Input(PATTERN, "value"), role=ADMIN, prevent_initial_call=True
    )
    def preview(view: View, pattern: str | None) -> Any:
        return _preview(matching(_all(view), pattern or ""))

    @registry.callback(
        Output(PROBLEM, "children"),
        Output(ids.retry(COUNTS), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(APPLY, "n_clicks"),
        State(PATTERN, "value"),
        State(LEVEL, "value"),
        role=ADMIN,
    )
    def apply(view: View, clicks: int, pattern: str | None, level: str | None) -> Any:
        found = matching(_all(view), pattern or "")
        if not found:
            return "No endpoint matches this pattern.", "", ""
        if level not in {str(n) for n in LEVELS}:
            return f"The level must be one of {', '.join(map(str, LEVELS))}.", "", ""
        try:
            for each in found:
                set_level(view.store, each.id, int(level))
        except FmdOtelError as error:
            return str(error), f"tried {clicks}", ""
        many = f"{len(found)} endpoint{'' if len(found) == 1 else 's'}"
        return "", f"applied {clicks}", f"{many} at level {level}; every worker follows within two seconds."


def matching(known: Sequence[Endpoint], pattern: str) -> list[Endpoint]:
    """Return the endpoints whose name matches one of some patterns, such as ``api.*, static``."""
    patterns = [each.strip() for each in pattern.split(",") if each.strip()]
    return [each for each in known if any(fnmatch.fnmatchcase(each.name, one) for one in patterns)]


def _all(view: View) -> tuple[Endpoint, ...]:
    return view.query(endpoints, Scope(0, 0))


def _preview(found: Sequence[Endpoint]) -> str:
    if not found:
        return "Matches no endpoint."
    named = ", ".join(each.name for each in found[:_MOST_NAMED])
    more = len(found) - _MOST_NAMED
    return f"Matches {len(found):,}: {named}" + (f" and {more:,} more" if more > 0 else "")


def _shown(view: View) -> list[Any]:
    return [each for each in fields(view.settings) if each.name != "origins"]


def _row(view: View, name: str) -> tuple[Any, ...]:
    key = _NAMES.get(name, name.upper())
    value = getattr(view.settings, name)
    return html.Code(key), _value(name, value), view.settings.origins.get(key, "default")


def _value(name: str, value: Any) -> Any:
    if value is None or value in ("", {}):
        return html.Span("not set", className="fmd-faint")
    if name in _SECRETS:
        return _SECRET
    if name == "database":
        return html.Code(safe_url(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return html.Bdi(str(dict(value) if isinstance(value, dict) else value))


def _form() -> Any:
    return html.Section(
        [
            html.H2("Many at once"),
            text_field(PATTERN, "Endpoints"),
            html.Div("Names with * and ?, separated by commas: api.*, static", className="fmd-subtitle"),
            html.Div(id=MATCHES, className="fmd-hint", role="status"),
            segments(LEVEL, "Level", [(str(n), str(n)) for n in LEVELS], "1"),
            html.Div(id=PROBLEM, className="fmd-problem", role="alert"),
            html.Button([icon("status", size=15), "Apply"], id=APPLY, className="fmd-button fmd-primary"),
        ],
        className="fmd-card fmd-form",
    )


PAGE = Page(path="/configuration", title=TITLE, layout=layout, register=register, role=ADMIN, icon="gauge")
