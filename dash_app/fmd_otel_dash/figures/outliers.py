"""Outliers: when they were and how slow, and how busy the machine was meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.figures.base import (
    ACCENT,
    ACCENT_SOFT,
    FAINT,
    GREY,
    MARGIN,
    MARGIN_LEGEND,
    ORANGE,
    TEAL,
    Figure,
    axis,
    duration_unit,
    label,
    legend,
    lines,
    log_ticks,
    longest,
    significant,
    time_axis,
    wall,
)
from fmd_otel_dash.figures.timeaxis import axis_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from fmd_otel_dash.queries.outlier_load import OutlierLoad
    from fmd_otel_dash.queries.outliers import Outlier
    from fmd_otel_dash.queries.scope import Scope

_MB = 1 << 20
_MOST_DOTS = 60
"""Of each core, the newest: more would be a line."""


def over_time(
    rows: Sequence[Outlier],
    scope: Scope,
    colors: Mapping[str, str],
    before: Sequence[Outlier] = (),
    shift_us: int = 0,
) -> Figure:
    """Draw each outlier as a dot at its duration, with a stroke at the threshold that it passed.

    Those of the comparison, earlier by ``shift_us``, are faint rings.
    """
    zone = axis_zone(scope)
    x = [wall(row.ts_us, zone) for row in rows]
    smallest = min((row.threshold_us for row in rows), default=1)
    largest = max((row.duration_us for row in (*rows, *before)), default=1)
    values, texts = log_ticks(smallest, largest)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "name": "Threshold",
                "x": x,
                "y": [row.threshold_us for row in rows],
                "marker": {"symbol": "line-ew", "size": 9, "line": {"width": 1.5, "color": GREY}},
                "hoverinfo": "skip",
            },
            *(_rings(before, shift_us, zone, colors) if before else ()),
            {
                "type": "scatter",
                "mode": "markers",
                "name": "Outlier",
                "x": x,
                "y": [row.duration_us for row in rows],
                "marker": {
                    "size": 9,
                    "color": [endpoint_color(row.endpoint.name, colors) for row in rows],
                    "line": {"width": 1, "color": "rgba(255,255,255,.6)"},
                },
                "customdata": [row.key for row in rows],
                "text": [_text(row) for row in rows],
                "hovertemplate": "%{text}<extra></extra>",
            },
        ],
        "layout": {
            "hovermode": "closest",
            "showlegend": False,
            "xaxis": time_axis(scope),
            "yaxis": axis(type="log", tickvals=values, ticktext=texts),
            "margin": MARGIN,
        },
    }


def _rings(
    before: Sequence[Outlier], shift_us: int, zone: tzinfo, colors: Mapping[str, str]
) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "Before",
            "opacity": FAINT,
            "x": [wall(row.ts_us + shift_us, zone) for row in before],
            "y": [row.duration_us for row in before],
            "marker": {
                "symbol": "circle-open",
                "size": 9,
                "color": [endpoint_color(row.endpoint.name, colors) for row in before],
                "line": {"width": 1.6},
            },
            "customdata": [row.key for row in before],
            "text": [_text(row) for row in before],
            "hovertemplate": "Before: %{text}<extra></extra>",
        }
    ]


def cores(loads: Sequence[OutlierLoad]) -> Figure:
    """Draw a box of the load of each core, over all outliers, and a dot for each of them."""
    width = max((len(load.cores) for load in loads), default=0)
    boxes: list[dict[str, Any]] = []
    dots: list[dict[str, Any]] = []
    for number in range(width):
        values = [(load.cores[number], load.key) for load in loads if number < len(load.cores)]
        boxes.append(_box(f"core {number}", [value for value, _ in values], ACCENT))
        dots.append(_dots(f"core {number}", values[-_MOST_DOTS:]))
    total = [(load.cpu_percent, load.key) for load in loads if load.cpu_percent is not None]
    if total:
        boxes.append(_box("host", [value for value, _ in total], TEAL))
        dots.append(_dots("host", total[-_MOST_DOTS:]))
    return {
        "data": boxes + dots,
        "layout": {
            "meta": {"x": "Core", "fences": ["lowest", "highest"]},
            "showlegend": False,
            "hovermode": "closest",
            "xaxis": axis(showgrid=False),
            "yaxis": axis(range=[-2, 104], ticksuffix=" %"),
            "margin": MARGIN,
        },
    }


def memory(loads: Sequence[OutlierLoad], scope: Scope) -> Figure:
    """Draw the worker's memory, and the host's, at each outlier."""
    own = [(load.ts_us, load.process_bytes, load.key) for load in loads if load.process_bytes is not None]
    host = [(load.ts_us, load.host_share, load.key) for load in loads if load.host_share is not None]
    zone = axis_zone(scope)
    # No lines: from one outlier to the next it may be another worker's memory.
    common = {"type": "scatter", "mode": "markers"}
    return {
        "data": [
            common
            | {
                "name": "Worker",
                "x": [wall(ts, zone) for ts, _, _ in own],
                "y": [significant(size / _MB) for _, size, _ in own],
                "customdata": [key for _, _, key in own],
                "marker": {"size": 6, "color": ACCENT, "opacity": 0.7},
                "hovertemplate": "%{x|%a %-d %b, %H:%M}<br>worker: %{y:,.4~g} MB<extra></extra>",
            },
            common
            | {
                "name": "Host, in use",
                "x": [wall(ts, zone) for ts, _, _ in host],
                "y": [significant(share * 100) for _, share, _ in host],
                "customdata": [key for _, _, key in host],
                "yaxis": "y2",
                "marker": {"size": 6, "color": ORANGE, "opacity": 0.7, "symbol": "diamond-open"},
                "hovertemplate": "%{x|%a %-d %b, %H:%M}<br>host: %{y:.3~g} % in use<extra></extra>",
            },
        ],
        "layout": {
            "hovermode": "closest",
            "xaxis": time_axis(scope),
            "yaxis": axis(rangemode="tozero", ticksuffix=" MB"),
            "yaxis2": axis(
                overlaying="y",
                side="right",
                range=[0, 105],
                ticksuffix=" %",
                showgrid=False,
                nticks=5,
                tickmode="auto",
            ),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def samples(points: Sequence[Sequence[int]]) -> Figure:
    """Draw the memory of a worker while one outlier ran; pairs of microseconds and bytes."""
    unit, size_us = duration_unit(longest(point[0] for point in points))
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [significant(point[0] / size_us) for point in points],
                "y": [significant(point[1] / _MB) for point in points],
                "line": {"color": ACCENT, "width": 1.8},
                "fill": "tozeroy",
                "fillcolor": ACCENT_SOFT,
                "marker": {"size": 4},
                "hovertemplate": "%{y:,.4~g} MB after %{x} " + unit + "<extra></extra>",
            }
        ],
        "layout": {
            "meta": {"x": "After", "y": "Memory"},
            "xaxis": axis(ticksuffix=f" {unit}", showgrid=False, nticks=5),
            "yaxis": axis(rangemode="tozero", ticksuffix=" MB"),
            "margin": MARGIN,
            "showlegend": False,
        },
    }


def _box(name: str, values: Sequence[float], color: str) -> dict[str, Any]:
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return {
        "type": "box",
        "name": name,
        "x": [name],
        "q1": [at(0.25)],
        "median": [at(0.5)],
        "q3": [at(0.75)],
        "lowerfence": [ordered[0]],
        "upperfence": [ordered[-1]],
        "line": {"color": color, "width": 1.3},
        "fillcolor": ACCENT_SOFT if color == ACCENT else "rgba(12,133,153,.25)",
        "width": 0.5,
        "hoverinfo": "y+name",
    }


def _dots(name: str, values: Sequence[tuple[float, str]]) -> dict[str, Any]:
    """Return a dot for each outlier, which leads to it."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "",
        "x": [name] * len(values),
        "y": [value for value, _ in values],
        "customdata": [key for _, key in values],
        "marker": {"size": 7, "color": GREY, "opacity": 0.55},
        "hovertemplate": name + ": %{y:.3~g} %<extra></extra>",
    }


def _text(row: Outlier) -> str:
    return lines(
        label(row.endpoint.name),
        f"{formatting.duration(row.duration_us)}, {row.times_threshold:.1f} times the threshold of "
        f"{formatting.duration(row.threshold_us)}",
        f"usually {formatting.duration(row.average_us)}"
        + (f", version {label(row.version)}" if row.version else ""),
    )
