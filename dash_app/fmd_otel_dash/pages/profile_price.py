"""What profiling costs an endpoint, beside the buttons that set its level.

What is said here is an estimate, from the endpoint's own profiles (how often a request is looked at) and from
a benchmark (what a look costs), and says so.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from dash import Input, Output, html, no_update
from dash.exceptions import PreventUpdate

from fmd_otel_dash import formatting, ids
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.pages.endpoint_head import HEAD
from fmd_otel_dash.pages.endpoint_rows import LEVELS
from fmd_otel_dash.queries.profiles import profiles
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter.catalog import set_level
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.queries.profiles import ProfileRow
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

LEVEL = "profile-level"
"""Store that the level buttons write to."""
LOOK_US = (150, 450)
"""CPU that one look at a stack takes: 26 to 28 frames, on two busy cores (docs/views.md)."""
LARGEST_SHARE = 0.02
"""Of one core: the sampler looks less often before it takes more."""
_FAR_US = 1 << 62


def register(registry: Registry, card_id: str) -> None:
    """Register what the level buttons of a card do; it and the page's head then say the new level."""

    @registry.callback(
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Output(ids.retry(card_id), "data"),
        Output(ids.retry(HEAD), "data"),
        Input(LEVEL, "data"),
        role=ADMIN,
    )
    def change_level(view: View, wanted: dict[str, Any] | None) -> Any:
        level: Any = (wanted or {}).get("level")
        if view.endpoint_id is None or level not in LEVELS:
            raise PreventUpdate
        try:
            set_level(view.store, view.endpoint_id, level)
        except FmdOtelError as error:
            return f"Not changed: {error}", no_update, no_update
        view.services.cache.clear()
        at = time.time_ns()
        return f"This endpoint is now at monitor level {level}: it {LEVELS[level]}.", at, at


def note(view: View, endpoint: Endpoint) -> Any:
    """Return the levels, and what level 3 costs here."""
    newest = view.query(profiles, endpoint.id, (0, _FAR_US))
    return html.Div(
        [
            html.Span("Monitor level", className="fmd-price-label"),
            html.Span(
                [_level(view, endpoint, level) for level in LEVELS],
                className="fmd-levels",
                **attributes(role="group", aria_label="Monitor level"),
            ),
            html.Span(price_text(newest)),
        ],
        className="fmd-price",
    )


def price_text(rows: Sequence[ProfileRow]) -> str:
    """Return what level 3 costs a request, by what is known of the newest profiles."""
    sampled = [row for row in rows if not row.exact and row.duration_us > 0]
    if not sampled:
        return (
            "Level 3 has not been tried here. Benchmarked, it takes 0 to 6 % of the throughput of a busy "
            "CPU, below 1 ms of CPU for a request that waits, and next to nothing for one over within 10 ms."
        )
    duration = sum(row.duration_us for row in sampled) / len(sampled)
    looks = sum(row.samples for row in sampled) / len(sampled)
    most = LARGEST_SHARE * duration
    looked = f"{looks:.1f} looks at the stack a request (newest {len(sampled):,} profiles)"
    low, high = (looks * us for us in LOOK_US)
    if low >= most:
        return (
            f"Level 3 costs at most {formatting.duration(most)} of {formatting.duration(duration)} here: the "
            f"sampler keeps below 2 % of a core. {looked}."
        )
    return (
        f"Level 3 costs about {formatting.duration(low)} to {formatting.duration(min(high, most))} of "
        f"{formatting.duration(duration)} here: an estimate from {looked}, each {LOOK_US[0] / 1000:g} to "
        f"{LOOK_US[1] / 1000:g} ms of CPU in the benchmark, and never above 2 % of a core."
    )


def _level(view: View, endpoint: Endpoint, level: int) -> Any:
    here = level == endpoint.level
    text = f"Level {level}: {LEVELS[level]}"
    if not view.user.may(ADMIN):
        return html.Span(level, className=f"fmd-level-fixed level-{level}", title=text) if here else None
    return html.Button(
        level,
        type="button",
        className="fmd-level" + (f" on level-{level}" if here else ""),
        title=text,
        **attributes(
            aria_label=text,
            aria_pressed="true" if here else "false",
            data_store=LEVEL,
            data_send=json.dumps({"level": level}),
        ),
    )
