"""Percentile bands over time: p50, p95 and p99 of all requests and of some endpoints, one strip each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import (
    ACCENT,
    MARGIN_LEGEND,
    ORANGE,
    TEAL,
    Figure,
    axis,
    duration_unit,
    ghost,
    label,
    legend,
    longest,
    significant,
    time_axis,
    wall,
)
from fmd_otel_dash.figures.timeaxis import axis_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.timeline import Point, Timeline

STRIP_HEIGHT = 118
TRACES = 6
"""Of each strip; so a click's curve says which strip it was in."""
_GAP = 0.3
_FILLS = ("rgba(66,99,235,.28)", "rgba(232,89,12,.16)")


def strips(scope: Scope, rows: Sequence[tuple[str, Timeline, Timeline | None]]) -> Figure:
    """Draw a strip for each row (a name, its timeline, the comparison's), all on one axis of time."""
    traces: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    notes = []
    height = 1 / max(1, len(rows))
    for number, (name, found, before) in enumerate(rows):
        suffix = "" if number == 0 else str(number + 1)
        top = 1 - number * height
        unit, size_us = duration_unit(longest(point.p99_us for point in found.points))
        strip = _strip(found, before, unit, size_us, first=not number)
        traces += [
            trace | {"yaxis": f"y{suffix}", "meta": {"column": f"{label(name)} {trace['name']}"}}
            for trace in strip
        ]
        layout[f"yaxis{suffix}"] = axis(
            domain=[top - height * (1 - _GAP), top - height * 0.02],
            rangemode="tozero",
            ticksuffix=f" {unit}",
            nticks=4,
            fixedrange=True,
        )
        notes.append(
            {
                "xref": "paper", "yref": "paper", "x": 0, "y": top, "xanchor": "left", "yanchor": "bottom",
                "text": f"<b>{label(name, 40)}</b>", "showarrow": False, "font": {"size": 12},
            }
        )  # fmt: skip
    last = "" if len(rows) < 2 else str(len(rows))  # noqa: PLR2004 - the first axis has no number
    return {
        "data": traces,
        "layout": {
            **layout,
            "hovermode": "x unified",
            "xaxis": time_axis(scope, hoverformat="%a %-d %b, %H:%M", anchor=f"y{last}"),
            "annotations": notes,
            "legend": legend(),
            "margin": MARGIN_LEGEND | {"t": 72},
        },
    }


def _strip(
    found: Timeline, before: Timeline | None, unit: str, size_us: int, *, first: bool
) -> list[dict[str, Any]]:
    zone = axis_zone(found.scope)

    def value(us: float | None) -> float | None:
        return significant(us / size_us) if us is not None else None

    x = [wall(point.start_us, zone) for point in found.points]
    names: tuple[tuple[str, str, float, Callable[[Point], float | None]], ...] = (
        ("p99", ORANGE, 1, lambda point: point.p99_us),
        ("p95", ACCENT, 1.8, lambda point: point.p95_us),
        ("p50", TEAL, 1.4, lambda point: point.p50_us),
    )
    drawn = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "marker": {"size": 3},
            "name": name,
            "legendgroup": name,
            "showlegend": first,
            "x": x,
            "y": [value(pick(point)) for point in found.points],
            "text": [formatting.duration(pick(point)) for point in found.points],
            "customdata": [point.counts.n for point in found.points],
            "line": {"color": color, "width": width},
            "hovertemplate": "%{text} (n = %{customdata:,})",
        }
        for name, color, width, pick in names
    ]
    fills = [
        _fill(x, [value(point.p50_us) for point in found.points],
              [value(point.p95_us) for point in found.points], _FILLS[0]),
        _fill(x, [value(point.p95_us) for point in found.points],
              [value(point.p99_us) for point in found.points], _FILLS[1]),
    ]  # fmt: skip
    shift_us = found.scope.start_us - before.scope.start_us if before else 0
    points = before.points if before and before.counts.n else ()
    earlier = {
        "type": "scatter",
        "name": "p95 before",
        "legendgroup": "before",
        "legendrank": 1001,
        "showlegend": first and bool(points),
        "x": [wall(point.start_us + shift_us, zone) for point in points],
        "y": [value(point.p95_us) for point in points],
        "hovertemplate": "%{y:,.3~g} " + unit,
        **ghost(),
    }
    return [*fills, earlier, *drawn]


def _fill(
    x: Sequence[str], low: Sequence[float | None], high: Sequence[float | None], color: str
) -> dict[str, Any]:
    """Return the area between two lines, in as many pieces as gaps leave."""
    xs: list[str | None] = []
    ys: list[float | None] = []
    start = 0
    while start < len(x):
        end = start
        while end < len(x) and low[end] is not None and high[end] is not None:
            end += 1
        if end - start > 1:
            xs += [*x[start:end], *reversed(x[start:end]), None]
            ys += [*low[start:end], *reversed(high[start:end]), None]
        start = end + 1
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "",
        "showlegend": False,
        "x": xs,
        "y": ys,
        "fill": "toself",
        "fillcolor": color,
        "line": {"width": 0, "color": color},
        "hoverinfo": "skip",
    }
