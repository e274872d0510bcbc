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
    lines,
    log_ticks,
    significant,
)
from fmd_otel_dash.reports.drawing import COARSE, span, steps
from fmd_otel_exporter.buckets import lower_bound_us

if TYPE_CHECKING:
    from fmd_otel_dash.stats.percentiles import Buckets


BEFORE, AFTER = 0, 1
"""Which of the two a point belongs to: the first of its ``customdata``; the second is its bucket."""


def overlay(before: Buckets, after: Buckets, names: tuple[str, str] = ("Before", "After")) -> Figure:
    """Draw the share of requests by duration, in steps of an eighth of a doubling, of two samples."""
    ends = span(before, after)
    low, high = ends or (0, 0)
    edges = [lower_bound_us(low + COARSE * i) for i in range((high - low) // COARSE + 1)] if ends else []
    old, new = (steps(sample, low, high) if ends else [] for sample in (before, after))
    texts = [
        lines(
            f"<b>{formatting.duration(us)} to {formatting.duration(us * 2 ** (1 / 8))}</b>",
            f"{names[1]}: {b:.3g} %",
            f"{names[0]}: {a:.3g} %",
        )
        for us, a, b in zip(edges, old, new, strict=True)
    ]
    common = {
        "type": "scatter",
        "mode": "lines",
        "x": [significant(us, 5) for us in edges],
        "text": texts,
        "hovertemplate": "%{text}<extra></extra>",
    }
    buckets = range(low, low + COARSE * len(edges), COARSE)
    values, labels = log_ticks(edges[0], edges[-1]) if edges else ([], [])
    return {
        "data": [
            common
            | {
                "name": names[1],
                "y": [significant(share, 3) for share in new],
                "customdata": [[AFTER, bucket] for bucket in buckets],
                "line": {"color": ACCENT, "width": 1.6, "shape": "hvh"},
                "fill": "tozeroy",
                "fillcolor": ACCENT_SOFT,
            },
            common
            | {
                "name": names[0],
                "y": [significant(share, 3) for share in old],
                "customdata": [[BEFORE, bucket] for bucket in buckets],
                **ghost(shape="hvh"),
            },
        ],
        "layout": {
            # Not both at once: a click would not say which it was on.
            "hovermode": "closest",
            "xaxis": axis(type="log", showgrid=False, tickvals=values, ticktext=labels),
            "yaxis": axis(rangemode="tozero", ticksuffix=" %"),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }
