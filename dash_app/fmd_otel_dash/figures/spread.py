"""How the requests of each endpoint spread over durations: a heat map, one row an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import FADE, FAINT, ORANGE, Figure, axis, label, lines, log_ticks, significant
from fmd_otel_dash.figures.latencybands import LatencyBands, bands_over
from fmd_otel_dash.stats.percentiles import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.performance import EndpointPerformance

ROW_HEIGHT = 30
_TOP = 0.0015
"""Bands that fewer of an endpoint's requests lie in, at either end of all, are left out."""


def bands_of(rows: Sequence[EndpointPerformance]) -> LatencyBands:
    """Return the bands that are drawn."""
    shown = {bkt for row in rows for bkt in _within(row.latency)}
    return bands_over(shown)


def endpoint_spread(rows: Sequence[EndpointPerformance]) -> Figure:
    """Draw which share of an endpoint's requests took how long, the first endpoint on top."""
    bands = bands_of(rows)
    z: list[list[float | None]] = []
    texts: list[list[str]] = []
    for row in rows:
        counts = _counted(row.latency, bands)
        total = count(row.latency) or 1
        z.append([significant(100 * n / total, 3) if n else None for n in counts])
        texts.append([_text(row, bands.text(place), n, total) if n else "" for place, n in enumerate(counts)])
    edges = bands.edges_us
    values, ticks = log_ticks(edges[0], edges[-1]) if bands.numbers else ([], [])
    places = list(range(len(rows)))
    return {
        "data": [
            {
                "type": "heatmap",
                "x": [significant(edge, 6) for edge in edges],
                "y": places,
                "z": z,
                "text": texts,
                "hoverongaps": False,
                "hovertemplate": "%{text}<extra></extra>",
                "colorscale": FADE,
                "zmin": 0,
                "xgap": 1,
                "ygap": 2,
                "colorbar": {"thickness": 10, "outlinewidth": 0, "len": 1, "ticks": "", "x": 1.01, "xpad": 4,
                             "ticksuffix": " %"},
            },
            _p95("p95 before", [(i, row.before.p95_us) for i, row in enumerate(rows) if row.before],
                 opacity=FAINT),
            _p95("p95", [(i, row.box.p95_us) for i, row in enumerate(rows)]),
        ],
        "layout": {
            "meta": {"y": "Endpoint", "z": "% of the endpoint's requests"},
            "showlegend": False,
            "hovermode": "closest",
            "xaxis": axis(type="log", side="top", showgrid=False, tickvals=values, ticktext=ticks,
                          fixedrange=True),
            "yaxis": axis(
                showgrid=False,
                range=[len(rows) - 0.5, -0.5],
                tickvals=places,
                ticktext=[label(row.endpoint.name, 24) for row in rows],
                fixedrange=True,
            ),
            "margin": {"l": 44, "r": 12, "t": 30, "b": 8},
        },
    }  # fmt: skip


def _within(sample: dict[int, int]) -> list[int]:
    """Return a sample's buckets without the stray ones at its ends: they would take up half the width."""
    total, passed, kept = count(sample), 0, []
    for bkt, n in sorted(sample.items()):
        passed += n
        if passed >= _TOP * total and passed - n <= (1 - _TOP) * total:
            kept.append(bkt)
    return kept


def _counted(sample: dict[int, int], bands: LatencyBands) -> list[int]:
    counts = [0] * len(bands.numbers)
    for bkt, n in sample.items():
        if 0 <= bands.of(bkt) < len(counts):
            counts[bands.of(bkt)] += n
    return counts


def _p95(name: str, values: Sequence[tuple[int, float]], *, opacity: float = 1) -> dict[str, Any]:
    """Return a stroke in each row."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [significant(us) for _, us in values],
        "y": [place for place, _ in values],
        "marker": {"symbol": "line-ns", "size": 18, "line": {"width": 2.4, "color": ORANGE}},
        "opacity": opacity,
        "hoverinfo": "skip",
    }


def _text(row: EndpointPerformance, span: str, n: int, total: int) -> str:
    return lines(
        f"<b>{label(row.endpoint.name, 60)}</b>",
        f"{formatting.percent(n / total)} took {span}",
        f"{n:,} of its {total:,} requests",
    )
