"""Where versions first served: a line each in a figure over time, and a name where there is room for one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from fmd_otel_dash.figures.base import label as safe_name
from fmd_otel_dash.figures.timeaxis import clock_of
from fmd_otel_dash.queries.scope import local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MAX_MARKERS = 12
_NAME_LENGTH = 20
_CHARACTER_SHARE = 0.014
"""Of the width of a figure, what a character of a name needs where two figures stand side by side."""
_LINE = {"color": "rgba(134,142,150,.7)", "width": 1, "dash": "dot"}


def with_deploys(figure: dict[str, Any], deploys: Iterable[tuple[str, int]], tz: str) -> dict[str, Any]:
    """Return a figure over time with a line and a name where each version first served.

    Args:
        figure: its x axis is wall-clock time in ``tz``, or says in which it is.
        deploys: version and first request in microseconds; only the last twelve fit legibly. Of names that
            would lie upon each other the latest is written; zoomed in, the others are, too.
        tz: the zone of the x axis.
    """
    zone = clock_of(figure, ZoneInfo(tz))
    latest = sorted(deploys, key=lambda deploy: deploy[1])[-_MAX_MARKERS:]
    # It comes from whoever deploys, and plotly takes text for markup.
    marks = [
        (local_time(ts_us, zone).replace(tzinfo=None, microsecond=0), safe_name(name, _NAME_LENGTH))
        for name, ts_us in latest
    ]
    layout = figure.get("layout", {})
    return {
        **figure,
        "layout": {
            **layout,
            "shapes": [*layout.get("shapes", []), *(_line(at) for at, _ in marks)],
            "annotations": [
                *layout.get("annotations", []),
                *(_name(*mark, leftwards=leftwards) for mark, leftwards in _legible(marks, _ends(layout))),
            ],
        },
    }


def _legible(
    marks: Sequence[tuple[datetime, str]], ends: tuple[datetime, datetime] | None
) -> list[tuple[tuple[datetime, str], bool]]:
    """Return the marks whose names have room, the first first, each with whether it is written leftwards."""
    if ends is None:
        return [(mark, False) for mark in marks]
    start, end = ends
    found, free = [], end
    for at, name in reversed(marks):
        needed = (end - start) * min(1.0, _CHARACTER_SHARE * (len(name) + 1))
        # A name that begins near the right edge would be cut off there.
        leftwards = at + needed > end
        left, right = (at - needed, at) if leftwards else (at, at + needed)
        if right <= free:
            found.append(((at, name), leftwards))
            free = left
    return found[::-1]


def _ends(layout: dict[str, Any]) -> tuple[datetime, datetime] | None:
    """Return where the x axis begins and ends, if it says so."""
    ends = layout.get("xaxis", {}).get("range")
    if not ends:
        return None
    start, end = (datetime.fromisoformat(each) for each in ends)
    return start, end


def _line(at: datetime) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": str(at),
        "x1": str(at),
        "y0": 0,
        "y1": 1,
        "line": _LINE,
    }


def _name(at: datetime, name: str, *, leftwards: bool) -> dict[str, Any]:
    return {
        "xref": "x",
        "yref": "paper",
        "x": str(at),
        "y": 1,
        "text": name,
        "showarrow": False,
        "xanchor": "right" if leftwards else "left",
        "yanchor": "top",
        "xshift": -3 if leftwards else 3,
        "font": {"size": 11},
        "captureevents": False,
    }
