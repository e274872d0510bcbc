"""Two distributions of durations over one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import (
    ACCENT,
    ACCENT_SOFT,
    MARGIN_LEGEND,
    Figure,
    axis,
    ghost,
    legend,
    log_ticks,
    significant,
)
from fmd_otel_dash.reports.drawing import COARSE, span, steps
from fmd_otel_exporter.buckets import lower_bound_us

if TYPE_CHECKING:
    from fmd_otel_dash.stats.percentiles import Buckets


def overlay(before: Buckets, after: Buckets, names: tuple[str, str] = ("Before", "After")) -> Figure:
    """Draw the share of requests by duration, in steps of an eighth of a doubling, of two samples."""
    ends = span(before, after)
    low, high = ends or (0, 0)
    edges = [lower_bound_us(low + COARSE * i) for i in range((high - low) // COARSE + 1)] if ends else []
    texts = [
        f"{formatting.duration(us)} to {formatting.duration(us * 2 ** (1 / 8))}" for us in edges
    ]  # fmt: skip
    common = {
        "type": "scatter",
        "mode": "lines",
        "x": [significant(us, 5) for us in edges],
        "text": texts,
        "hovertemplate": "%{y:.3~g} % took %{text}",
    }
    values, labels = log_ticks(edges[0], edges[-1]) if edges else ([], [])
    return {
        "data": [
            common
            | {
                "name": names[1],
                "y": [significant(share, 3) for share in steps(after, low, high)] if ends else [],
                "line": {"color": ACCENT, "width": 1.6, "shape": "hvh"},
                "fill": "tozeroy",
                "fillcolor": ACCENT_SOFT,
            },
            common
            | {
                "name": names[0],
                "y": [significant(share, 3) for share in steps(before, low, high)] if ends else [],
                **ghost(shape="hvh"),
            },
        ],
        "layout": {
            "hovermode": "x unified",
            "xaxis": axis(type="log", showgrid=False, tickvals=values, ticktext=labels),
            "yaxis": axis(rangemode="tozero", ticksuffix=" %"),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }
