"""Users and addresses: how long their requests took, and under which version."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import (
    ACCENT,
    ACCENT_SOFT,
    FAINT,
    Figure,
    axis,
    label,
    legend,
    lines,
    longest,
    requests_text,
)
from fmd_otel_dash.figures.boxes import (
    duration_axis,
    ghost_boxes,
    hover_points,
    lying_boxes,
    stats_text,
    strokes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmd_otel_dash.queries.subjects import BySubjectAndVersion, SubjectLatency
    from fmd_otel_dash.stats.percentiles import BoxStats

MAX_VERSIONS = 24
"""More columns are no longer told apart; the newest stay."""
MAX_BOXES = 12
"""Boxes of one user, likewise."""
_LARGEST_PX, _SMALLEST_PX = 34, 7
_COLUMN_PX, _NAMES_PX = 40, 110
BELOW_PX = 58
"""Below the circles, for what their colours mean."""
_COLORS = [[0, "#4dabf7"], [0.5, "#fab005"], [1, "#e03131"]]
"""Fast to slow; told apart by lightness as well."""
_VERSION_COLORS = ("#4263eb", "#0c8599", "#e8590c", "#9c36b5", "#2f9e44", "#c2255c", "#f08c00", "#495057")


def boxes(
    rows: Sequence[SubjectLatency], before: Mapping[str, BoxStats] | None = None, *, log_scale: bool
) -> Figure:
    """Draw one lying box per user or address, the busiest on top; the comparison's dashed around it."""
    places = list(range(len(rows)))
    then = [(place, (before or {}).get(row.counts.value)) for place, row in enumerate(rows)]
    compared = [(place, one) for place, one in then if one is not None]
    stats = [row.box for row in rows]
    return {
        "data": [
            *(
                ghost_boxes([b for _, b in compared], [i for i, _ in compared], lying=True)
                if compared
                else ()
            ),
            lying_boxes(stats, places, "This range")
            | {"line": {"color": ACCENT, "width": 1.2}, "fillcolor": ACCENT_SOFT, "width": 0.5},
            strokes("p99", [box.p99_us for box in stats], places, lying=True),
            hover_points([box.median_us for box in stats], places, [_text(row) for row in rows], lying=True)
            | {"customdata": places},
        ],
        "layout": {
            "meta": {"y": "User"},
            "showlegend": False,
            "hovermode": "y",
            "hoverdistance": -1,
            "xaxis": duration_axis(
                min((box.p5_us for box in stats), default=1),
                longest(box.p99_us for box in stats),
                log=log_scale,
            )
            | {"side": "top"},
            "yaxis": _rows_axis([row.counts.value for row in rows]),
            "margin": {"l": 44, "r": 20, "t": 30, "b": 8},
        },
    }


def circles(found: BySubjectAndVersion, before: Mapping[str, Mapping[int, BoxStats]] | None = None) -> Figure:
    """Draw a circle for each user and version: large and red is slow; the comparison's is a faint ring."""
    x, y, medians, texts, keys = [], [], [], [], []
    rings: list[tuple[int, int, float]] = []
    first = max(0, len(found.versions) - MAX_VERSIONS)
    versions = found.versions[first:]
    for place, row in enumerate(found.rows):
        for column, cell in enumerate(row.cells[first:]):
            if cell is None:
                continue
            x.append(column)
            y.append(place)
            medians.append(cell.median_us)
            then = (before or {}).get(row.counts.value, {}).get(versions[column].id)
            texts.append(_short_text(cell, then))
            keys.append([place, first + column])
            if then is not None:
                rings.append((column, place, then.median_us))
    low, high = (min(medians), max(medians)) if medians else (1.0, 1.0)
    largest = max([high, *(us for _, _, us in rings)])
    values, ticks = _color_ticks(low, high)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "markers",
                "x": x,
                "y": y,
                "marker": {
                    "size": [round(_size(us, largest), 1) for us in medians],
                    "color": [round(log(us), 4) for us in medians],
                    "cmin": round(log(low), 4) - 0.01,
                    "cmax": round(log(high), 4) + 0.01,
                    "colorscale": _COLORS,
                    "opacity": 0.82,
                    "line": {"width": 1, "color": "rgba(255,255,255,.5)"},
                    # Below them, where it takes no width.
                    "colorbar": {
                        "orientation": "h",
                        "x": 0.5,
                        "len": 0.8,
                        "y": 0,
                        "yanchor": "top",
                        "ypad": 6,
                        "thickness": 8,
                        "outlinewidth": 0,
                        "tickvals": values,
                        "ticktext": ticks,
                        "title": {"text": "median duration", "side": "bottom", "font": {"size": 12}},
                    },
                },
                "text": texts,
                "customdata": keys,
                # Who and which version the axes know; to say it again hundreds of times is much to send.
                "hovertemplate": "<b>%{y}</b>, version %{x}<br>%{text}<extra></extra>",
            },
            *([_rings(rings, largest)] if rings else ()),
        ],
        "layout": {
            "meta": {"x": "Version", "y": "Who"},
            "showlegend": False,
            "hovermode": "closest",
            "xaxis": axis(
                range=[-0.6, len(versions) - 0.4],
                tickvals=list(range(len(versions))),
                ticktext=[label(version.name, 16) for version in versions],
                side="top",
                fixedrange=True,
            ),
            "yaxis": _rows_axis([row.counts.value for row in found.rows]) | {"showgrid": True},
            "margin": {"l": 44, "r": 12, "t": 34, "b": BELOW_PX},
        },
    }


def least_width(found: BySubjectAndVersion) -> int:
    """Return how many pixels it takes that no two circles lie upon each other."""
    return _NAMES_PX + _COLUMN_PX * min(len(found.versions), MAX_VERSIONS)


def _rings(rings: Sequence[tuple[int, int, float]], largest_us: float) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "Before",
        "x": [column for column, _, _ in rings],
        "y": [place for _, place, _ in rings],
        "opacity": FAINT,
        "marker": {
            "symbol": "circle-open",
            "size": [round(_size(us, largest_us), 1) for _, _, us in rings],
            "color": ACCENT,
            "line": {"width": 2},
        },
        "hoverinfo": "skip",
    }


def boxes_by_version(found: BySubjectAndVersion, *, log_scale: bool) -> Figure:
    """Draw one lying box per user and version, the versions of a user beside each other."""
    traces: list[dict[str, Any]] = []
    cells: list[BoxStats] = []
    first = max(0, len(found.versions) - MAX_BOXES)
    count = max(1, len(found.versions) - first)
    width = 0.8 / count
    for column, version in list(enumerate(found.versions))[first:]:
        here = [(place, row.cells[column]) for place, row in enumerate(found.rows)]
        mine = [(place, cell) for place, cell in here if cell is not None]
        if not mine:
            continue
        cells += [cell for _, cell in mine]
        color = _VERSION_COLORS[column % len(_VERSION_COLORS)]
        at = [place + (column - first - (count - 1) / 2) * width for place, _ in mine]
        stats = [cell for _, cell in mine]
        traces += [
            lying_boxes(stats, at, label(version.name, 16))
            | {"line": {"color": color, "width": 1.1}, "fillcolor": color + "44", "width": width * 0.8},
            hover_points(
                [cell.median_us for cell in stats],
                at,  # type: ignore[arg-type] # the same
                [_cell_text(found.rows[place].counts.value, version.name, cell) for place, cell in mine],
                lying=True,
            )
            | {
                "showlegend": False,
                "customdata": [[place, column] for place, _ in mine],
            },
        ]
    return {
        "data": traces,
        "layout": {
            "meta": {"y": "Who", "series": "Version"},
            "boxmode": "overlay",
            "showlegend": True,
            "legend": legend(),
            "hovermode": "closest",
            "xaxis": duration_axis(
                min((cell.p5_us for cell in cells), default=1),
                longest(cell.p95_us for cell in cells),
                log=log_scale,
            ),
            "yaxis": _rows_axis([row.counts.value for row in found.rows]),
            "margin": {"l": 44, "r": 20, "t": 36, "b": 24},
        },
    }


def _rows_axis(names: Sequence[str]) -> dict[str, Any]:
    return axis(
        showgrid=False,
        range=[len(names) - 0.5, -0.5],
        tickvals=list(range(len(names))),
        ticktext=[label(name, 22) for name in names],
        fixedrange=True,
    )


def _size(us: float, largest_us: float) -> float:
    """Return a diameter: the area grows with the duration, which is what the eye compares."""
    return max(_SMALLEST_PX, _LARGEST_PX * sqrt(us / max(1.0, largest_us)))


def _color_ticks(low_us: float, high_us: float) -> tuple[list[float], list[str]]:
    middle = sqrt(low_us * high_us)
    places = dict.fromkeys((low_us, middle, high_us)) if high_us > low_us else {low_us: None}
    return [log(us) for us in places], [formatting.duration(us) for us in places]


def _text(row: SubjectLatency) -> str:
    return lines(
        f"<b>{label(row.counts.value, 60)}</b>",
        stats_text(row.box),
        f"{requests_text(row.counts.n)} · {formatting.percent(row.counts.error_rate)} errors",
    )


def _short_text(cell: BoxStats, before: BoxStats | None = None) -> str:
    middle, high, highest = (formatting.duration(us) for us in (cell.median_us, cell.p95_us, cell.p99_us))
    now = f"median {middle} · p95 {high} · p99 {highest} · {requests_text(cell.n)}"
    if before is None:
        return now
    return lines(now, f"before: median {formatting.duration(before.median_us)} of {requests_text(before.n)}")


def _cell_text(name: str, version: str, cell: BoxStats) -> str:
    return lines(
        f"<b>{label(name, 40)}</b>, version {label(version, 20)}",
        stats_text(cell),
        requests_text(cell.n),
    )
