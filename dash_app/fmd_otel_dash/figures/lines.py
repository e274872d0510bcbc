"""Lines over time: traffic with its errors, and durations; the comparison as a dashed ghost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import (
    ACCENT,
    MARGIN_LEGEND,
    ORANGE,
    RED,
    STATUS_COLORS,
    TEAL,
    Figure,
    axis,
    duration_unit,
    ghost,
    legend,
    longest,
    significant,
    time_axis,
    wall,
)
from fmd_otel_dash.figures.timeaxis import axis_zone

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_dash.queries.timeline import Point, Timeline

_RATES = ((1.0, "per second", 1), (1 / 60, "per minute", 60), (0.0, "per hour", 3600))


def traffic(found: Timeline, before: Timeline | None) -> Figure:
    """Draw requests over time as a rate, with client and server errors on top."""
    unit, seconds = _rate_unit(found)
    zone = axis_zone(found.scope)
    x = [wall(point.start_us, zone) for point in found.points]

    def bars(name: str, color: str, n: Callable[[Point], int]) -> dict[str, Any]:
        return {
            "type": "bar",
            "name": name,
            "x": x,
            "y": [_rate(n(point), point, seconds) or None for point in found.points],
            "customdata": [n(point) for point in found.points],
            "marker": {"color": color, "line": {"width": 0}},
            "offset": 0,
            "width": found.step_s * 1000 * 0.92,
            "hovertemplate": "%{y:,.3~g} " + unit + " (n = %{customdata:,})",
        }

    traces = [
        bars("Successful", "rgba(66,99,235,.6)",
             lambda point: point.counts.n - point.counts.errors - point.counts.client_errors),
        bars("4xx", STATUS_COLORS[4], lambda point: point.counts.client_errors),
        bars("5xx", RED, lambda point: point.counts.errors),
    ]  # fmt: skip
    traces = [trace for trace in traces if any(trace["customdata"])]
    if before:
        traces += _ghost(
            found,
            before,
            "Before",
            lambda point: _rate(point.counts.n, point, seconds),
            "%{y:,.3~g} " + unit,
        )
    return {
        "data": traces,
        "layout": {
            "barmode": "stack",
            "hovermode": "x unified",
            "xaxis": time_axis(found.scope, hoverformat="%a %-d %b, %H:%M"),
            "yaxis": axis(rangemode="tozero", title={"text": unit, "standoff": 8}),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def durations(found: Timeline, before: Timeline | None) -> Figure:
    """Draw p50, p95 and p99 over time; of the comparison, p95."""
    unit, size_us = duration_unit(longest(point.p99_us for point in found.points))
    zone = axis_zone(found.scope)
    x = [wall(point.start_us, zone) for point in found.points]

    def line(name: str, color: str, width: float, value: Callable[[Point], float | None]) -> dict[str, Any]:
        shown = [value(point) for point in found.points]
        return {
            "type": "scatter",
            # A lone point between two gaps would have no line to be seen by.
            "mode": "lines+markers",
            "marker": {"size": 3 if len(shown) > 40 else 5},  # noqa: PLR2004 - points
            "name": name,
            "x": x,
            "y": [significant(us / size_us) if us is not None else None for us in shown],
            "text": [formatting.duration(us) for us in shown],
            "customdata": [point.counts.n for point in found.points],
            "line": {"color": color, "width": width},
            "hovertemplate": "%{text} (n = %{customdata:,})",
        }

    traces = [
        line("p99", ORANGE, 1.2, lambda point: point.p99_us),
        line("p95", ACCENT, 2.2, lambda point: point.p95_us),
        line("p50", TEAL, 1.5, lambda point: point.p50_us),
    ]
    if before:
        traces += _ghost(
            found,
            before,
            "p95 before",
            lambda point: significant(point.p95_us / size_us) if point.p95_us is not None else None,
            "%{y:,.3~g} " + unit,
        )
    return {
        "data": traces,
        "layout": {
            "hovermode": "x unified",
            "xaxis": time_axis(found.scope, hoverformat="%a %-d %b, %H:%M"),
            "yaxis": axis(rangemode="tozero", ticksuffix=f" {unit}"),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def _ghost(
    found: Timeline, before: Timeline, name: str, value: Callable[[Point], float | None], shown: str
) -> list[dict[str, Any]]:
    """Return the comparison, moved to where the range is."""
    if not before.counts.n:
        return []
    shift_us, zone = found.scope.start_us - before.scope.start_us, axis_zone(found.scope)
    return [
        {
            "type": "scatter",
            "name": name,
            "x": [wall(point.start_us + shift_us, zone) for point in before.points],
            "y": [value(point) for point in before.points],
            "hovertemplate": shown,
            **ghost(),
        }
    ]


def _rate(n: int, point: Point, seconds: int) -> float | None:
    return significant(n / point.covered_s * seconds) if point.covered_s else None


def _rate_unit(found: Timeline) -> tuple[str, int]:
    fastest = longest(point.per_s for point in found.points)
    return next((unit, seconds) for least, unit, seconds in _RATES if fastest >= least)
