"""The configuration page's levels: how many endpoints have which, and many of them set at once by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.components import card, plain_table
from fmd_otel_dash.components.forms import segments
from fmd_otel_dash.pages.configuration_rules import LIST
from fmd_otel_dash.pages.endpoint_rows import LEVELS
from fmd_otel_dash.pages.pattern_form import PatternForm, named
from fmd_otel_dash.queries.endpoints import all_endpoints
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter.catalog import pin_levels
from fmd_otel_exporter.errors import SettingsError
from fmd_otel_exporter.level_rules import matches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

COUNTS = "configuration-levels"
LEVEL = "levels-level"
_FORM = PatternForm(
    "levels", "Many at once, by hand", ". Rules leave these endpoints alone from then on.", button="Apply",
    symbol="status", fields=(LEVEL,),
)  # fmt: skip


def layout() -> Any:
    """Return the table and the form."""
    return html.Div(
        [
            card(COUNTS, "Monitor levels", kind="table", height=160),
            _FORM.layout(segments(LEVEL, "Level", [(str(n), str(n)) for n in LEVELS], "1")),
        ],
        className="fmd-column",
        style={"--span": 5},
    )


def register(registry: Registry) -> None:
    """Register what fills the table, and what changes levels."""

    @registry.card(COUNTS, role=ADMIN)
    def levels(view: View) -> Any:
        known = _chosen(view)
        by_hand = sum(each.pinned for each in known)
        return [
            plain_table(
                ("Level", "Endpoints", "What it does"),
                [(n, f"{sum(each.level == n for each in known):,}", words) for n, words in LEVELS.items()],
                numeric=(1,),
            ),
            html.Div(f"{by_hand:,} of them set by hand", className="fmd-caption") if by_hand else None,
        ]

    _FORM.register(registry, _preview, _apply, (COUNTS, LIST))


def _preview(view: View, pattern: str, _level: str | None) -> str:
    found = matching(_chosen(view), pattern)
    if not found:
        return f"Matches no endpoint{_where(view)}."
    several = len({each.service for each in view.query(all_endpoints)}) > 1
    return f"Matches {len(found):,}{_where(view)}: {named(found, with_service=several)}"


def _apply(view: View, pattern: str, level: str | None) -> str:
    found = matching(_chosen(view), pattern)
    if not found:
        raise SettingsError("no endpoint matches this pattern")
    if level not in {str(n) for n in LEVELS}:
        raise SettingsError(f"the level must be one of {', '.join(map(str, LEVELS))}")
    pin_levels(view.store, {each.id: int(level) for each in found})
    many = f"{len(found)} endpoint{'' if len(found) == 1 else 's'}{_where(view)}"
    return f"{many} at level {level}; every worker follows within two seconds."


def matching(known: Sequence[Endpoint], pattern: str) -> list[Endpoint]:
    """Return the endpoints whose name matches one of some patterns, such as ``api.*, static``."""
    return [each for each in known if matches(pattern, each.own_name)]


def _chosen(view: View) -> list[Endpoint]:
    """Return the endpoints of the services that the page is about: of all, if none is chosen."""
    services = view.state.services
    return [each for each in view.query(all_endpoints) if not services or each.service in services]


def _where(view: View) -> str:
    return f" of {', '.join(view.state.services)}" if view.state.services else ""
