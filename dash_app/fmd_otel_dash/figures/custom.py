"""Values that an application gave of itself, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.figures.base import (
    ACCENT,
    ACCENT_SOFT,
    MARGIN,
    Figure,
    axis,
    significant,
    time_axis,
    wall,
)
from fmd_otel_dash.figures.timeaxis import axis_zone

if TYPE_CHECKING:
    from fmd_otel_dash.queries.graphs import Values
    from fmd_otel_dash.queries.scope import Scope

_FEW = 60


def values(found: Values, scope: Scope) -> Figure:
    """Draw values as a line; where steps hold several, with a band from the smallest to the greatest."""
    zone = axis_zone(scope)
    x = [wall(step.ts_us, zone) for step in found.steps]
    least = [significant(step.least, 6) for step in found.steps]
    greatest = [significant(step.greatest, 6) for step in found.steps]
    traces: list[dict[str, Any]] = []
    if found.step_s:
        edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
        traces = [
            edge | {"y": greatest},
            edge | {"y": least, "fill": "tonexty", "fillcolor": ACCENT_SOFT},
        ]
    traces.append(
        {
            "type": "scatter",
            "mode": "lines+markers" if len(found.steps) <= _FEW else "lines",
            "x": x,
            "y": [significant(step.mean, 6) for step in found.steps],
            "line": {"color": ACCENT, "width": 1.8},
            "marker": {"size": 5},
            "customdata": [
                [step.n, *between] for step, *between in zip(found.steps, least, greatest, strict=True)
            ],
            "hovertemplate": "%{y:,}"
            + (" (n = %{customdata[0]}, %{customdata[1]} to %{customdata[2]})" if found.step_s else "")
            + "<extra></extra>",
        }
    )
    return {
        "data": traces,
        "layout": {
            "showlegend": False,
            "hovermode": "x unified",
            "xaxis": time_axis(scope),
            "yaxis": axis(rangemode="normal"),
            "margin": MARGIN,
        },
    }
