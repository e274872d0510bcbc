"""Heat maps: requests by hour and day, shares by endpoint and version, durations over time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import (
    FADE,
    Figure,
    axis,
    label,
    lines,
    log_ticks,
    requests_text,
    wall,
)
from fmd_otel_exporter.buckets import lower_bound_us

if TYPE_CHECKING:
    from fmd_otel_dash.queries.hourly import Hourly
    from fmd_otel_dash.queries.timeline import Timeline
    from fmd_otel_dash.queries.versions import Utilization

_HOUR_MINUTES = 60
_TEXT_COLUMNS = 12
_COLOR_BAR = {"thickness": 10, "outlinewidth": 0, "len": 1, "ticks": "", "x": 1.01, "xpad": 4}
_COARSE = 8
"""Latency buckets to a band of a duration heat map: a quarter of an octave, 19 % wide."""
_MAX_CELLS = 2000


def hourly(found: Hourly) -> Figure:
    """Draw requests by hour of the day (down) and by day (across)."""
    hours = range(len(found.n))
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [column.isoformat() for column in found.columns],
        "y": list(hours),
        "z": [list(row) for row in found.n],
        "text": [[_note(found, n, minutes) for n, minutes in zip(*rows, strict=True)]
                 for rows in zip(found.n, found.minutes, strict=True)],
        "hoverongaps": False,
        "hovertemplate": ("Week of " if found.by_week else "") + "%{x|%a %-d %b %Y}, %{y}:00"
                         "<br><b>%{z:,}</b> requests%{text}<extra></extra>",
        "colorscale": FADE,
        "zmin": 0,
        "xgap": 1,
        "ygap": 1,
        "colorbar": _COLOR_BAR,
    }  # fmt: skip
    return {
        "data": [trace],
        "layout": {
            "xaxis": axis(type="date", showgrid=False, tickformat="%-d %b", nticks=12),
            "yaxis": axis(
                showgrid=False,
                autorange="reversed",
                tickvals=[0, 4, 8, 12, 16, 20],
                ticktext=[f"{hour:02d}:00" for hour in (0, 4, 8, 12, 16, 20)],
            ),
        },
    }


def utilization(found: Utilization, *, max_endpoints: int = 40, max_versions: int = 30) -> Figure:
    """Draw which share of each version's requests (across) went to which endpoint (down).

    Only the newest versions and the busiest endpoints: more would be specks.
    """
    first = max(0, len(found.versions) - max_versions)
    versions, endpoints = found.versions[first:], found.endpoints[:max_endpoints]
    shares = [row[first:] for row in found.shares[:max_endpoints]]
    counts = [row[first:] for row in found.n[:max_endpoints]]
    totals = found.totals[first:]
    several = len({version.service for version in found.versions}) > 1
    names = [
        label(f"{version.service} {version.name}" if several else version.name, 16) for version in versions
    ]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": list(range(len(versions))),
        "y": list(range(len(endpoints))),
        "z": [[round(share * 100, 2) for share in row] for row in shares],
        "text": [
            [
                lines(
                    f"<b>{label(endpoint.name, 60)}</b>",
                    f"{formatting.percent(share)} of version {name}",
                    f"{n:,} of its {requests_text(total)}",
                )
                for share, n, total, name in zip(*row, totals, names, strict=True)
            ]
            for endpoint, *row in zip(endpoints, shares, counts, strict=True)
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "colorscale": FADE,
        "zmin": 0,
        "xgap": 1,
        "ygap": 1,
        "colorbar": _COLOR_BAR | {"ticksuffix": " %"},
    }
    figure: Figure = {
        "data": [trace],
        "layout": {
            "xaxis": axis(
                showgrid=False,
                side="top",
                tickvals=trace["x"],
                ticktext=names,
                tickangle=-45 if len(names) > 8 else 0,  # noqa: PLR2004 - wider ones collide
            ),
            "yaxis": axis(
                showgrid=False,
                autorange="reversed",
                tickvals=trace["y"],
                ticktext=[label(endpoint.name, 24) for endpoint in endpoints],
            ),
            "margin": {"l": 52, "r": 16, "t": 36, "b": 8},
        },
    }
    return figure


def durations(found: Timeline) -> Figure:
    """Draw how many requests took how long, over time."""
    zone = found.scope.zone
    counted: dict[int, dict[int, int]] = {}
    for column, point in enumerate(found.points):
        for bkt, n in point.latency:
            band = counted.setdefault(bkt // _COARSE, {})
            band[column] = band.get(column, 0) + n
    if not counted:
        return {"data": [], "layout": {}}
    bands = range(min(counted), max(counted) + 1)
    edges = [lower_bound_us(band * _COARSE) for band in (*bands, bands.stop)]
    middles = [(low * high) ** 0.5 for low, high in itertools.pairwise(edges)]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [wall(point.start_us, zone) for point in found.points],
        "y": [round(middle) for middle in middles],
        "z": [[counted.get(band, {}).get(column) for column in range(len(found.points))] for band in bands],
        "customdata": [
            [f"{formatting.duration(low)} – {formatting.duration(high)}"] * len(found.points)
            for low, high in itertools.pairwise(edges)
        ],
        "hoverongaps": False,
        "hovertemplate": "%{x|%a %-d %b, %H:%M}<br>%{customdata}<br><b>%{z:,}</b> requests<extra></extra>",
        "colorscale": FADE,
        "zmin": 0,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
    }
    values, text = log_ticks(edges[0], edges[-1])
    return {
        "data": [trace],
        "layout": {
            "xaxis": axis(type="date", showgrid=False),
            "yaxis": axis(type="log", showgrid=False, tickvals=values, ticktext=text),
        },
    }


def _note(found: Hourly, n: int | None, minutes: int) -> str:
    """Return what a reader has to know of an hour that is none."""
    if n is None or found.by_week or minutes == _HOUR_MINUTES:
        return ""
    if minutes > _HOUR_MINUTES:
        return f" in {minutes} min: the clocks went back"
    return f" in the {minutes} min that lie in the range"
