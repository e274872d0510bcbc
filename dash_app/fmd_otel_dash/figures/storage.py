"""How large the database was and will be, and what came in on each day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import ACCENT, MARGIN, MARGIN_LEGEND, Figure, axis, day_ticks, legend

if TYPE_CHECKING:
    from datetime import date

    from fmd_otel_dash.queries.growth import Projection
    from fmd_otel_dash.queries.storage import Storage

_DAY_MS = 86_400_000
_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_AREA = "rgba(66,99,235,.10)"
_DASHED = {"color": "rgba(66,99,235,.65)", "width": 2, "dash": "dot"}


def size(found: Storage, ahead: Projection | None) -> Figure:
    """Draw the size as it was measured, and as it will be if traffic stays as it is."""
    today = found.days[-1]
    now_bytes = found.total_bytes or 0
    past = [(day, n_bytes) for day, n_bytes in found.history if found.days[0] <= day < today]
    past.append((today, now_bytes))
    future = [(today + timedelta(days=n), n_bytes) for n, n_bytes in enumerate(ahead.sizes if ahead else ())]
    unit_bytes, unit = _unit(max(n_bytes for _, n_bytes in [*past, *future]))

    def points(values: list[tuple[date, int]]) -> dict[str, object]:
        return {
            "type": "scatter",
            "x": [day.isoformat() for day, _ in values],
            "y": [round(n_bytes / unit_bytes, 3) for _, n_bytes in values],
            "text": [formatting.size(n_bytes) for _, n_bytes in values],
            "hovertemplate": "%{text}",
        }

    traces: list[dict[str, object]] = [
        points(past)
        | {
            "name": "Size",
            "mode": "lines+markers",
            "line": {"color": ACCENT, "width": 2.2},
            "marker": {"size": 4 if len(past) > 1 else 8, "color": ACCENT},
            "fill": "tozeroy",
            "fillcolor": _AREA,
        }
    ]
    if future:
        traces.append(points(future) | {"name": "If traffic stays", "mode": "lines", "line": _DASHED})
    return {
        "data": traces,
        "layout": {
            "hovermode": "x unified",
            "xaxis": axis(
                type="date",
                showgrid=False,
                hoverformat="%A %-d %B %Y",
                nticks=6,
                tickformat="%-d %b",
                tickangle=0,
                ticklabelstandoff=4,
            ),
            "yaxis": axis(rangemode="tozero", ticksuffix=f" {unit}", nticks=5),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def requests_a_day(found: Storage) -> Figure:
    """Draw the last month's requests, a bar a day."""
    return {
        "data": [
            {
                "type": "bar",
                "x": [day.isoformat() for day in found.days],
                "y": list(found.requests),
                "marker": {"color": "rgba(66,99,235,.6)", "line": {"width": 0}},
                "hovertemplate": "%{y:,} requests<extra></extra>",
                "xperiod": _DAY_MS,
                "xperiodalignment": "middle",
            }
        ],
        "layout": {
            "meta": {"y": "Requests"},
            "bargap": 0.25,
            "hovermode": "x unified",
            "xaxis": axis(
                type="date",
                showgrid=False,
                hoverformat="%A %-d %B",
                tickangle=0,
                ticklabelstandoff=6,
                **day_ticks(found.days, most=6),
            ),
            "yaxis": axis(rangemode="tozero", nticks=3, tickformat=","),
            "margin": MARGIN | {"b": 30},
        },
    }


def _unit(largest: float) -> tuple[float, str]:
    return next(((limit, unit) for limit, unit in _UNITS if largest >= limit), (1.0, "B"))
