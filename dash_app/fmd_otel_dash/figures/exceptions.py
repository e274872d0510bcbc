"""How often what broke, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.figures.base import (
    MARGIN_LEGEND,
    OTHERS,
    Figure,
    axis,
    label,
    legend,
    time_axis,
    wall,
)
from fmd_otel_dash.figures.timeaxis import axis_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.exceptions import ExceptionGroup, Spark
    from fmd_otel_dash.queries.scope import Scope

COLORS = ("#e03131", "#f08c00", "#9c36b5", "#4263eb", "#0c8599")
_US = 1_000_000


def over_time(groups: Sequence[ExceptionGroup], scope: Scope) -> Figure:
    """Draw the most frequent groups as stacked bars, the others together."""
    named, others = groups[: len(COLORS)], groups[len(COLORS) :]
    traces = [
        _bars(label(_name(group), 34), group.spark, group.spark.n, color, scope)
        for group, color in zip(named, COLORS, strict=False)
    ]
    if others:
        together = tuple(map(sum, zip(*(group.spark.n for group in others), strict=True)))
        traces.append(_bars(f"{len(others)} others", others[0].spark, together, OTHERS, scope))
    return {
        "data": traces,
        "layout": {
            "barmode": "stack",
            "bargap": 0.08,
            "hovermode": "x unified",
            "showlegend": len(traces) > 1,
            "xaxis": time_axis(scope),
            "yaxis": axis(rangemode="tozero"),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def _name(group: ExceptionGroup) -> str:
    """Return a type without its module, and the function it came from: there may be many KeyErrors."""
    function = group.place.rpartition(" in ")[2]
    return f"{group.type.rpartition('.')[2]} in {function}" if function else group.type


def _bars(name: str, spark: Spark, n: Sequence[int], color: str, scope: Scope) -> dict[str, Any]:
    starts = [spark.start_us + i * spark.width_s * _US for i in range(len(n))]
    zone = axis_zone(scope)
    return {
        "type": "bar",
        "name": name,
        "x": [wall(us, zone) for us in starts],
        "y": [count or None for count in n],
        "offset": 0,
        "width": spark.width_s * 1000 * 0.92,
        "marker": {"color": color, "line": {"width": 0}},
        "hovertemplate": "%{y:,}",
    }
