"""How often what broke, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash.figures.base import (
    BELOW_A_LINE,
    GREY,
    MARGIN_LEGEND,
    OTHERS,
    Figure,
    count_axis,
    ghost,
    label,
    legend,
    others_text,
    tallest,
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


def over_time(
    groups: Sequence[ExceptionGroup],
    scope: Scope,
    before: Sequence[ExceptionGroup] = (),
    compare: Scope | None = None,
) -> Figure:
    """Draw the most frequent groups as stacked bars, the others together; the comparison as a dashed line."""
    named, others = groups[: len(COLORS)], groups[len(COLORS) :]
    traces = [
        _bars(label(_name(group), 34), group.spark, group.spark.n, color, scope)
        # As text: a browser's numbers are not as long.
        | {"customdata": [str(group.id)] * len(group.spark.n)}
        for group, color in zip(named, COLORS, strict=False)
    ]
    if others:
        together = tuple(map(sum, zip(*(group.spark.n for group in others), strict=True)))
        traces.append(_bars(others_text(len(others)), others[0].spark, together, OTHERS, scope))
    bars = len(traces)
    if before and compare:
        traces = [trace | {"opacity": BELOW_A_LINE} for trace in traces]
        traces.append(_ghost(before, scope, compare))
    return {
        "data": traces,
        "layout": {
            "barmode": "stack",
            "bargap": 0.08,
            # Not all of a moment at once: a click would not say which bar it was on.
            "hovermode": "closest",
            "showlegend": bars > 1 or len(traces) > bars,
            "xaxis": time_axis(scope),
            "yaxis": count_axis(max(tallest(group.spark.n for group in each) for each in (groups, before))),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def _name(group: ExceptionGroup) -> str:
    """Return a type without its module, and the function it came from: there may be many KeyErrors."""
    function = function_of(group)
    return f"{group.type.rpartition('.')[2]} in {function}" if function else group.type


def function_of(group: ExceptionGroup) -> str:
    """Return the function that it came from, which tells more of a group than its file does."""
    return group.place.rpartition(" in ")[2]


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
        "hovertemplate": "%{x|%a %-d %b, %H:%M}<br><b>%{fullData.name}</b>: %{y:,}<extra></extra>",
    }


def _ghost(before: Sequence[ExceptionGroup], scope: Scope, compare: Scope) -> dict[str, Any]:
    """Return all exceptions of the comparison, moved to where the range is."""
    spark = before[0].spark
    counts = [sum(column) for column in zip(*(group.spark.n for group in before), strict=True)]
    zone, shift_us = axis_zone(scope), scope.start_us - compare.start_us
    return {
        "type": "scatter",
        "name": "Before",
        "x": [wall(spark.start_us + shift_us + i * spark.width_s * _US, zone) for i in range(len(counts))],
        "y": counts,
        "hovertemplate": "<b>Before</b>: %{y:,}<extra></extra>",
        **ghost(GREY, shape="hv", width=2.2),
    }
