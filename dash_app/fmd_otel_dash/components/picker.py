"""The range picker: quick ranges, free text, a calendar, versions, the zone, and what to compare with.

Choosing something only changes the address; ``assets/60-url.js`` does that for all but what has to be
understood first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import dash_mantine_components as dmc
from dash import html

from fmd_otel_dash import ids
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.components.share import share_narrow
from fmd_otel_dash.rangetext import VERSION_PREFIX
from fmd_otel_dash.urlstate import COMPARISONS, QUICK_RANGES

if TYPE_CHECKING:
    from collections.abc import Iterable

_SKIPPED_ZONES = ("Etc/", "SystemV/", "US/", "posix/", "right/")


def picker() -> Any:
    """Return the picker as it stands in the header."""
    return html.Div(
        [
            html.Button(
                icon("left"), id=ids.RANGE_BACK, className="fmd-icon-button fmd-wide",
                title="Earlier (Shift ←)", **attributes(aria_label="Earlier"),
            ),
            html.Details(
                [
                    html.Summary(
                        [icon("clock", size=16), html.Span(id=ids.RANGE_LABEL), icon("down", size=14)],
                        id="range-button",
                        className="fmd-range-button",
                        title="Range of time (t)",
                    ),
                    html.Div(_panel(), className="fmd-drop fmd-picker"),
                ],
                id=ids.PICKER,
                className="fmd-menu",
            ),
            html.Button(
                icon("right"), id=ids.RANGE_FORWARD, className="fmd-icon-button fmd-wide",
                title="Later (Shift →)", **attributes(aria_label="Later"),
            ),
            html.Button(
                icon("zoom-out"), id=ids.ZOOM_OUT, className="fmd-icon-button fmd-wide",
                title="Zoom out (z)", **attributes(aria_label="Zoom out"),
            ),
        ],
        className="fmd-picker-group",
    )  # fmt: skip


def quick_button(label: str, start: str, end: str, *, hint: str = "") -> Any:
    """Return a button that sets a range."""
    return html.Button(
        label, className="fmd-quick", title=hint or None, **attributes(data_start=start, data_end=end)
    )


def version_buttons(versions: Iterable[tuple[str, str]]) -> list[Any]:
    """Return "since this version" buttons, from pairs of version and how long ago it began."""
    buttons = [
        quick_button(f"Since {version}", f"{VERSION_PREFIX}{version}", "now", hint=f"First request {ago}")
        for version, ago in versions
    ]
    return [html.Div("Deployed", className="fmd-picker-title"), *buttons] if buttons else []


def pin_button(baseline: str) -> Any:
    """Return a button that pins a range as what to compare others with."""
    return html.Button(
        [icon("pin", size=14), "Pin as baseline"],
        className="fmd-quick",
        type="button",
        title="Compare every range with the one shown now",
        **attributes(data_pin=baseline),
    )


def _panel() -> Any:
    return html.Div(
        [
            html.Div(
                [html.Div("Quick", className="fmd-picker-title")]
                + [quick_button(label, start, end) for label, start, end in QUICK_RANGES],
                className="fmd-picker-quick",
            ),
            html.Div(
                [
                    dmc.TextInput(
                        id=ids.RANGE_TEXT,
                        label="Any range",
                        placeholder="3h, yesterday, since 1.7.0",
                        description="Or 2026-11-01 to 2026-11-03, 09:00 to 11:00",
                        size="xs",
                        debounce=True,
                    ),
                    html.Div(id=ids.RANGE_PROBLEM, className="fmd-problem", role="alert"),
                    dmc.DatePicker(
                        id=ids.CALENDAR,
                        type="range",
                        size="xs",
                        allowSingleDateInRange=True,
                        hideOutsideDates=True,
                        ariaLabels={
                            "nextMonth": "Next month",
                            "previousMonth": "Previous month",
                            "monthLevelControl": "Choose a month",
                        },
                    ),
                ],
                className="fmd-picker-main",
            ),
            html.Div(
                [
                    dmc.Select(
                        id=ids.url_filter("cmp"),
                        label="Compare with",
                        data=[
                            {"value": value, "label": text.capitalize()}
                            for value, text in COMPARISONS.items()
                        ],
                        value="prev",
                        allowDeselect=False,
                        size="xs",
                        comboboxProps={"withinPortal": False},
                    ),
                    html.Div(
                        dmc.MultiSelect(
                            id=ids.url_filter("svc"),
                            label="Services",
                            data=[],
                            placeholder="All",
                            clearable=True,
                            hidePickedOptions=True,
                            size="xs",
                            comboboxProps={"withinPortal": False},
                        ),
                        id=ids.SERVICES,
                        hidden=True,
                    ),
                    dmc.Select(
                        id=ids.url_filter("tz"),
                        label="Time zone",
                        data=list(zones()),
                        placeholder="Automatic",
                        searchable=True,
                        clearable=True,
                        limit=60,
                        size="xs",
                        comboboxProps={"withinPortal": False},
                    ),
                    html.Div(id=ids.ZONE_NOTE, className="fmd-subtitle"),
                    html.Div(id=ids.VERSIONS),
                    share_narrow(),
                ],
                className="fmd-picker-side",
            ),
        ],
        className="fmd-picker-panel",
    )


@lru_cache(maxsize=1)
def zones() -> tuple[str, ...]:
    """Return the names of zones that people live in, UTC first."""
    places = sorted(z for z in available_timezones() if "/" in z and not z.startswith(_SKIPPED_ZONES))
    return ("UTC", *places)
