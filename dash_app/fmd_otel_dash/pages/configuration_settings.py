"""The configuration page's settings: of this dashboard, and of each service as its processes report them."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import card, foreign, plain_table
from fmd_otel_dash.queries.processes import facts
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter.errors import safe_url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.processes import Process
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_dash.view import View

SETTINGS, SERVICES = "configuration-settings", "configuration-services"
DEFAULT = "default"
_SECRET = "••••••"  # noqa: S105 # what stands in place of one
_SECRETS = frozenset({"password", "security_token"})
_NAMES = {"default_level": "MONITOR_LEVEL", "default_rules": "MONITOR_RULES", "url_prefix": "CUSTOM_LINK"}
"""Settings whose name in the configuration is another one."""
_NOT_SHOWN = frozenset({"origins", "effective", "auth"})


def layout() -> list[Any]:
    """Return the cards."""
    return [
        card(
            SERVICES,
            "Settings of the applications",
            subtitle="As the processes at work report them",
            kind="table",
            height=240,
            span=12,
        ),
        card(SETTINGS, "Settings of this dashboard", kind="table", height=420, span=12),
    ]


def register(registry: Registry) -> None:
    """Register what fills the cards."""

    @registry.card(SETTINGS, role=ADMIN)
    def settings(view: View) -> Any:
        return _table(_dashboard(view.settings))

    @registry.card(SERVICES, role=ADMIN)
    def services(view: View) -> Any:
        told = [one for one in view.query(facts).processes if one.state == "live" and one.settings]
        if not told:
            return html.Div("No process of an application is at work now.", className="fmd-subtitle")
        names = sorted({one.service for one in told})
        return [_service(name, [one for one in told if one.service == name]) for name in names]


def _service(name: str, processes: Sequence[Process]) -> Any:
    n = len(processes)
    return html.Div(
        [
            html.H3(
                [
                    foreign(name or "no request yet"),
                    html.Span(f" {n} process{'' if n == 1 else 'es'}", className="fmd-faint"),
                ]
            ),
            _table(reported(processes)),
        ],
        className="fmd-settings-of",
    )


def reported(processes: Sequence[Process]) -> list[tuple[str, str, str]]:
    """Return the settings of some processes of a service; where they differ, how many have which."""
    names = dict.fromkeys(name for one in processes for name in one.settings)
    found = []
    for name in names:
        values = Counter(one.settings[name] for one in processes if name in one.settings)
        if len(values) == 1:
            ((value, origin),) = values
        else:
            value = "; ".join(f"{text or '–'} ({n}×)" for (text, _), n in values.most_common())
            origin = "; ".join(dict.fromkeys(each for (_, each), _ in values.most_common()))
        found.append((name, value, origin))
    return found


def _dashboard(settings: DashboardSettings) -> list[tuple[str, str, str]]:
    if settings.effective:
        return list(settings.effective)
    found = []
    for each in fields(settings):
        if each.name not in _NOT_SHOWN:
            key = _NAMES.get(each.name, each.name.upper())
            value = _value(each.name, getattr(settings, each.name))
            found.append((key, value, settings.origins.get(key, DEFAULT)))
    return found


def _value(name: str, value: Any) -> str:
    if value in (None, "", ()) or value == {}:
        return ""
    if name in _SECRETS:
        return _SECRET
    if name == "database":
        return safe_url(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(dict(value)) if isinstance(value, dict) else str(value)


def _table(rows: Sequence[tuple[str, str, str]]) -> Any:
    """Return settings, those that somebody has set first."""
    ordered = sorted(rows, key=lambda row: row[2] == DEFAULT)
    return plain_table(
        ("Setting", "Value", "Set by"),
        [
            (
                html.Code(name),
                foreign(value) if value else html.Span("–", className="fmd-faint"),
                html.Span(origin, className="fmd-faint" if origin == DEFAULT else None),
            )
            for name, value, origin in ordered
        ],
    )
