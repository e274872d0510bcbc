"""Bars: requests per day by endpoint, per hour of the day, and answers by status code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.figures.base import (
    BELOW_A_LINE,
    GREY,
    MARGIN,
    MARGIN_LEGEND,
    OTHERS,
    STATUS_COLORS,
    Figure,
    axis,
    count_axis,
    day_ticks,
    ghost,
    label,
    legend,
    lines,
    others_text,
    requests_text,
    significant,
    tallest,
    time_axis,
    wall,
)
from fmd_otel_dash.figures.timeaxis import axis_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmd_otel_dash.queries.daily import Daily
    from fmd_otel_dash.queries.hourly import Hourly
    from fmd_otel_dash.queries.status import StatusCodes

NAMED = 9
"""Endpoints with a bar of their own, of the daily stack; the others are drawn together."""
OF_OTHERS = 0
"""In place of an endpoint's id, what a click on the others tells."""
_FULL_DAY_H = 24
_DAY_MS = 86_400_000
_PATTERNS = ("", "/", "x", ".")
"""Endpoints whose names happen to get one colour are told apart by these."""


def daily(found: Daily, before: Daily | None, colors: Mapping[str, str]) -> Figure:
    """Draw requests per day, stacked by endpoint; the comparison's totals as a dashed line."""
    days = [day.isoformat() for day in found.days]
    traces: list[dict[str, Any]] = []
    used: dict[str, int] = {}
    strength = BELOW_A_LINE if before and before.total else 1
    for series in found.endpoints[:NAMED]:
        color = endpoint_color(series.endpoint.name, colors)
        nth = used[color] = used.get(color, -1) + 1
        bar = _bar(days, series.n, label(series.endpoint.name), color, _PATTERNS[nth % len(_PATTERNS)])
        traces.append(bar | {"customdata": [series.endpoint.id] * len(days), "opacity": strength})
    rest = found.endpoints[NAMED:]
    if rest:
        sums = [sum(column) for column in zip(*(series.n for series in rest), strict=True)]
        bar = _bar(days, sums, others_text(len(rest)), OTHERS, "")
        traces.append(bar | {"customdata": [OF_OTHERS] * len(days), "opacity": strength})
    totals = [sum(column) for column in zip(*(series.n for series in found.endpoints), strict=True)]
    traces.append(
        {
            "type": "scatter",
            "mode": "markers",
            "marker": {"size": 14, "color": "rgba(0,0,0,0)"},
            "x": days,
            "y": totals,
            "text": [
                lines(f"<b>{requests_text(n)} on {day:%A} {day.day} {day:%B %Y}</b>", _length_note(hours))
                for n, hours, day in zip(totals, found.hours, found.days, strict=False)
            ],
            "hovertemplate": "%{text}<extra></extra>",
            "name": "Total",
            "showlegend": False,
        }
    )
    if before and before.total:
        traces.append(_ghost(found, before, days))
    # A date alone means midnight, and a bar would stand across it; deployments have their hour in the day.
    for trace in traces:
        trace |= {"xperiod": _DAY_MS, "xperiodalignment": "middle"}
    return {
        "data": traces,
        "layout": {
            "barmode": "stack",
            "bargap": 0.25,
            # Not all of a day at once: a click would not say which of its bars it was on.
            "hovermode": "closest",
            "xaxis": axis(type="date", showgrid=False, **day_ticks(found.days)),
            "yaxis": count_axis(max(totals, default=0)),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def by_hour_of_day(found: Hourly, before: Hourly | None) -> Figure:
    """Draw the typical day: mean requests per hour, by hour of the day."""
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "x": list(range(24)),
            "y": _hourly_means(found),
            # Not so strong that the dashed line would be lost on it.
            "marker": {"color": "rgba(66,99,235,.5)"},
            "name": "This range",
            "hovertemplate": "%{x}:00 – %{x}:59<br><b>%{y:,.4~g}</b> requests an hour<extra></extra>",
        }
    ]
    if before and before.total:
        traces.append(
            {
                "type": "scatter",
                "x": list(range(24)),
                "y": _hourly_means(before),
                "name": "Before",
                "hovertemplate": "Before: %{y:,.4~g} requests an hour<extra></extra>",
                **ghost(shape="hvh"),
            }
        )
    return {
        "data": traces,
        "layout": {
            "bargap": 0.2,
            "showlegend": False,
            "margin": MARGIN,
            "xaxis": axis(
                showgrid=False,
                tickvals=[0, 4, 8, 12, 16, 20],
                ticktext=[f"{hour:02d}:00" for hour in (0, 4, 8, 12, 16, 20)],
            ),
            "yaxis": axis(rangemode="tozero", tickformat=",.3~g"),
        },
    }


def status_codes(found: StatusCodes, before: StatusCodes | None = None) -> Figure:
    """Draw answers over time, stacked by code; codes of a class share a hue and differ in strength.

    All answers of the comparison are a dashed line.
    """
    strength = BELOW_A_LINE if before and before.total else 1
    zone = axis_zone(found.scope)
    x = [wall(start_us, zone) for start_us in found.starts_us]
    seen: dict[int, int] = {}
    traces = []
    for code, counts in found.n.items():
        nth = seen[code // 100] = seen.get(code // 100, -1) + 1
        trace = _bar(x, counts, str(code), STATUS_COLORS.get(code // 100, GREY), "")
        trace["marker"]["opacity"] = max(0.35, 1 - 0.25 * nth) * strength
        trace["offset"] = 0
        trace["width"] = found.step_s * 1000 * 0.92
        trace["hovertemplate"] = "%{x|%a %-d %b, %H:%M}<br><b>%{fullData.name}</b>: %{y:,}<extra></extra>"
        traces.append(trace)
    if before and before.total:
        shift_us = found.scope.start_us - before.scope.start_us
        traces.append(
            {
                "type": "scatter",
                "name": "Before",
                "x": [wall(start_us + shift_us, zone) for start_us in before.starts_us],
                "y": [sum(counts) for counts in zip(*before.n.values(), strict=True)],
                "hovertemplate": "<b>Before</b>: %{y:,}<extra></extra>",
                **ghost(GREY, shape="hv", width=2.2),
            }
        )
    return {
        "data": traces,
        "layout": {
            "barmode": "stack",
            # As above.
            "hovermode": "closest",
            "xaxis": time_axis(found.scope),
            "yaxis": count_axis(tallest(found.n.values())),
            "legend": legend(),
            "margin": MARGIN_LEGEND,
        },
    }


def _bar(x: Sequence[str], y: Sequence[int], name: str, color: str, pattern: str) -> dict[str, Any]:
    marker: dict[str, Any] = {"color": color, "line": {"width": 0}}
    if pattern:
        marker["pattern"] = {"shape": pattern, "fillmode": "overlay", "size": 6, "solidity": 0.25}
    return {
        "type": "bar",
        "x": list(x),
        # A zero would still get its line in the hover text.
        "y": [n or None for n in y],
        "name": name,
        "marker": marker,
        "hovertemplate": "%{x|%A %-d %B %Y}<br><b>%{fullData.name}</b>: %{y:,}<extra></extra>",
    }


def _ghost(found: Daily, before: Daily, days: Sequence[str]) -> dict[str, Any]:
    totals = [sum(column) for column in zip(*(series.n for series in before.endpoints), strict=True)]
    shown = totals[: len(found.days)]
    return {
        "type": "scatter",
        "x": list(days[: len(shown)]),
        "y": shown,
        "text": [f"{day:%A} {day.day} {day:%B %Y}" for day in before.days[: len(shown)]],
        "customdata": [day.isoformat() for day in before.days[: len(shown)]],
        "name": "Before",
        "hovertemplate": "%{text}<br><b>Before</b>: %{y:,}<extra></extra>",
        **ghost(GREY, shape="hvh", width=2.6),
    }


def _hourly_means(found: Hourly) -> list[float | None]:
    means = []
    for counts, minutes in zip(found.n, found.minutes, strict=True):
        hours = sum(minutes) / 60
        means.append(significant(sum(n or 0 for n in counts) / hours) if hours else None)
    return means


def _length_note(hours: float) -> str:
    """Return what a reader has to know of a day that is not 24 hours long."""
    if abs(hours - _FULL_DAY_H) < 0.01:  # noqa: PLR2004 - half a minute
        return ""
    if hours > _FULL_DAY_H:
        return f"a day of {hours:g} hours: the clocks went back"
    if hours >= _FULL_DAY_H - 1:
        return f"a day of {formatting.count(hours) if hours == int(hours) else f'{hours:.3g}'} hours"
    return f"in the {hours:.1f} hours that lie in the range"
