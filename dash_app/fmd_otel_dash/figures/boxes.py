"""Box plots made of percentiles: nobody has to send a sample to see its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import (
    ACCENT,
    ACCENT_SOFT,
    MARGIN,
    ORANGE,
    Figure,
    axis,
    duration_unit,
    ghost,
    label,
    lines,
    log_ticks,
    longest,
    requests_text,
    significant,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmd_otel_dash.queries.performance import EndpointPerformance
    from fmd_otel_dash.queries.versions import Deployment
    from fmd_otel_dash.stats.percentiles import BoxStats, Change

ROW_HEIGHT = 34
_NARROW = 0.5
_GHOST_WIDTH = 0.8


def endpoints(rows: Sequence[EndpointPerformance], *, log: bool) -> Figure:
    """Draw one lying box per endpoint, the first on top; the comparison's dashed around it."""
    names = [label(row.endpoint.name, 24) for row in rows]
    compared = [(i, row.before) for i, row in enumerate(rows) if row.before is not None]
    traces: list[dict[str, Any]] = []
    if compared:
        traces += ghost_boxes([box for _, box in compared], [i for i, _ in compared], lying=True)
    traces += [
        lying_boxes([row.box for row in rows], list(range(len(rows))), "This range")
        | {"line": {"color": ACCENT, "width": 1.2}, "fillcolor": ACCENT_SOFT, "width": _NARROW},
        strokes("p99", [row.box.p99_us for row in rows], list(range(len(rows))), lying=True),
        hover_points(
            [row.box.median_us for row in rows],
            list(range(len(rows))),
            [_text(row) for row in rows],
            lying=True,
        )
        | {"customdata": [row.endpoint.id for row in rows]},
    ]
    values = [row.box.p5_us for row in rows], [row.box.p99_us for row in rows]
    return {
        "data": traces,
        "layout": {
            "meta": {"y": "Endpoint", "series": "Of"},
            "boxmode": "overlay",
            "showlegend": False,
            "hovermode": "y",
            "hoverdistance": -1,
            "xaxis": duration_axis(min(values[0], default=1), longest(values[1]), log=log) | {"side": "top"},
            "yaxis": axis(
                showgrid=False,
                range=[len(rows) - 0.5, -0.5],
                tickvals=list(range(len(rows))),
                ticktext=names,
                fixedrange=True,
            ),
            "margin": {"l": 44, "r": 20, "t": 30, "b": 8},
        },
    }


def versions(
    rows: Sequence[Deployment], before: Mapping[int, Deployment] | None = None, *, log: bool = False
) -> Figure:
    """Draw one standing box per version, oldest first; the comparison's, by its id, dashed around it."""
    rows = [row for row in rows if row.box is not None]
    then = [(before or {}).get(row.version.id) for row in rows]
    compared = [(place, one.box) for place, one in enumerate(then) if one is not None and one.box is not None]
    boxes = [row.box for row in rows if row.box is not None]
    x = list(range(len(rows)))
    several = len({row.version.service for row in rows}) > 1
    names = [
        label(f"{row.version.service} {row.version.name}" if several else row.version.name, 16)
        for row in rows
    ]
    ends = min((box.p5_us for box in boxes), default=1), longest(box.p99_us for box in boxes)
    return {
        "data": [
            *(
                ghost_boxes([b for _, b in compared], [i for i, _ in compared], lying=False)
                if compared
                else ()
            ),
            standing_boxes(boxes, x, "This range")
            | {"line": {"color": ACCENT, "width": 1.3}, "fillcolor": ACCENT_SOFT, "width": _NARROW},
            strokes("p99", [box.p99_us for box in boxes], x, lying=False),
            hover_points(
                [box.median_us for box in boxes],
                x,
                [_version_text(row, name, box) for row, name, box in zip(rows, names, boxes, strict=True)],
                lying=False,
            )
            | {"customdata": [row.version.id for row in rows]},
        ],
        "layout": {
            "meta": {"x": "Version"},
            "showlegend": False,
            "hovermode": "x",
            "hoverdistance": -1,
            "xaxis": axis(
                showgrid=False,
                range=[-0.6, len(rows) - 0.4],
                tickvals=x,
                ticktext=names,
                tickangle=-45 if len(rows) > 10 else 0,  # noqa: PLR2004 - wider ones collide
                fixedrange=True,
            ),
            "yaxis": duration_axis(*ends, log=log),
            "margin": MARGIN,
        },
    }


def stats_text(box: BoxStats) -> str:
    """Return a box in words."""
    return lines(
        f"median {formatting.duration(box.median_us)} · p95 {formatting.duration(box.p95_us)} · "
        f"p99 {formatting.duration(box.p99_us)}",
        f"half of them {formatting.duration(box.q1_us)} – {formatting.duration(box.q3_us)}, "
        f"nine in ten {formatting.duration(box.p5_us)} – {formatting.duration(box.p95_us)}",
    )


def change_text(change: Change | None, against: str) -> str:
    """Return how much slower or faster p95 is, in words, with both sample sizes."""
    if change is None:
        return ""
    direction = "slower" if change.ratio > 0 else "faster"
    sure = "" if change.significant else ", within chance"
    return (
        f"{abs(change.ratio) * 100:.1f} % {direction} than {against}{sure} "
        f"(n = {change.n_after:,} / {change.n_before:,})"
    )


def lying_boxes(boxes: Sequence[BoxStats], y: Sequence[float], name: str) -> dict[str, Any]:
    """Return a trace of boxes that lie in rows."""
    return {"orientation": "h", "y": list(y), **_box_numbers(boxes, name)}


def standing_boxes(boxes: Sequence[BoxStats], x: Sequence[float], name: str) -> dict[str, Any]:
    """Return a trace of boxes that stand beside each other."""
    return {"x": list(x), **_box_numbers(boxes, name)}


def _box_numbers(boxes: Sequence[BoxStats], name: str) -> dict[str, Any]:
    return {
        "type": "box",
        "name": name,
        "q1": [significant(box.q1_us) for box in boxes],
        "median": [significant(box.median_us) for box in boxes],
        "q3": [significant(box.q3_us) for box in boxes],
        "lowerfence": [significant(box.p5_us) for box in boxes],
        "upperfence": [significant(box.p95_us) for box in boxes],
        "hoverinfo": "skip",
    }


def ghost_boxes(boxes: Sequence[BoxStats], places: Sequence[float], *, lying: bool) -> list[dict[str, Any]]:
    """Return the boxes of a comparison, a little larger than those they stand around.

    As one dashed line, since plotly's own boxes know no dashes; those are there unseen, for the table.
    """
    along: list[float | None] = []
    across: list[float | None] = []
    for box, place in zip(boxes, places, strict=True):
        p5, q1, median, q3, p95 = (
            significant(us) for us in (box.p5_us, box.q1_us, box.median_us, box.q3_us, box.p95_us)
        )
        low, high = place - _GHOST_WIDTH / 2, place + _GHOST_WIDTH / 2
        along += [p5, q1, q1, q3, q3, q1, q1, None, q3, p95, None, median, median, None]
        across += [place, place, low, low, high, high, place, None, place, place, None, low, high, None]
    plain = lying_boxes(boxes, places, "Comparison") if lying else standing_boxes(boxes, places, "Comparison")
    return [
        {
            "type": "scatter",
            "name": "Comparison",
            "showlegend": False,
            "x": along if lying else across,
            "y": across if lying else along,
            "hoverinfo": "skip",
            **ghost(width=1.3),
        },
        plain | {"opacity": 0},
    ]


def strokes(name: str, values: Sequence[float], places: Sequence[int], *, lying: bool) -> dict[str, Any]:
    """Return short strokes: p99 lies outside the box."""
    along = [significant(value) for value in values]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": along if lying else list(places),
        "y": list(places) if lying else along,
        "marker": {
            "symbol": "line-ns" if lying else "line-ew",
            "size": 12,
            "line": {"width": 2.2, "color": ORANGE},
            "color": ORANGE,
        },
        "hoverinfo": "skip",
    }


def hover_points(
    values: Sequence[float], places: Sequence[int], texts: Sequence[str], *, lying: bool
) -> dict[str, Any]:
    """Return invisible points that answer for a row: plotly labels a box's numbers one by one, bare."""
    along = [significant(value) for value in values]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": along if lying else list(places),
        "y": list(places) if lying else along,
        "marker": {"size": 1, "color": "rgba(0,0,0,0)"},
        "text": list(texts),
        "hovertemplate": "%{text}<extra></extra>",
    }


def _p95(words: str) -> str:
    return f"p95 is {words}" if words else ""


def _text(row: EndpointPerformance) -> str:
    return lines(
        f"<b>{label(row.endpoint.name, 60)}</b>",
        stats_text(row.box),
        requests_text(row.n) + f" · {formatting.percent(row.time_share)} of all time spent",
        _p95(change_text(row.change, "before")),
    )


def _version_text(row: Deployment, name: str, box: BoxStats) -> str:
    return lines(
        f"<b>{name}</b>",
        stats_text(box),
        f"{requests_text(row.n)} · {formatting.percent(row.error_rate)} errors",
        _p95(change_text(row.change, label(row.predecessor, 16))),
    )


def duration_axis(smallest_us: float, largest_us: float, *, log: bool) -> dict[str, Any]:
    """Return an axis of durations, with ticks at round values in units that fit."""
    if log:
        values, text = log_ticks(smallest_us, largest_us)
        return axis(type="log", tickvals=values, ticktext=text, fixedrange=True)
    unit, size_us = duration_unit(largest_us)
    step = _nice_step(largest_us / size_us)
    count = int(largest_us / size_us / step) + 1
    ticks = [i * step for i in range(count + 1)]
    return axis(
        rangemode="tozero",
        tickvals=[tick * size_us for tick in ticks],
        ticktext=[f"{tick:g} {unit}" for tick in ticks],
        fixedrange=True,
    )


def _nice_step(largest: float) -> float:
    """Return a round step that cuts an axis in about five."""
    step = 10.0 ** (len(str(int(largest))) - 1) if largest >= 1 else 0.1
    for factor in (0.1, 0.2, 0.5, 1, 2, 5):
        if largest / (step * factor) <= 6:  # noqa: PLR2004 - ticks
            return step * factor
    return step * 10
