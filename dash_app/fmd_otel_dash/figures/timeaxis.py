"""An axis of time where the clocks go back within it.

Charts are drawn in local time, which plotly takes for what a clock shows. In the night in which the clocks go
back, an hour is shown twice: a line would run back over itself. So for such a range the axis keeps the offset
that was in force at its start, and only its labels and hover texts say what the clocks showed.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fmd_otel_dash.queries.scope import US_PER_S, local_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmd_otel_dash.queries.scope import Scope

OFFSET = "_offset_s"
"""What the axis is ahead of UTC, and …"""
ZONE = "_zone"
"""… whose clocks its labels follow: notes on an axis for whoever draws on it, gone before plotly sees it."""

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_STEPS_S = (_HOUR_S, 2 * _HOUR_S, 3 * _HOUR_S, 6 * _HOUR_S, 12 * _HOUR_S, _DAY_S)
_HALF_DAY_S = _DAY_S // 2
_MOST_TICKS = 7


def axis_zone(scope: Scope) -> tzinfo:
    """Return the zone in which a chart of a scope is drawn: one in which time only runs forward."""
    stretches = scope.stretches()
    if any(after.offset_s < before.offset_s for before, after in pairwise(stretches)):
        return timezone(timedelta(seconds=stretches[0].offset_s))
    return scope.zone


def labels(scope: Scope) -> dict[str, Any]:
    """Return what an axis needs so that its labels say what the clocks show; nothing in an ordinary range."""
    zone = axis_zone(scope)
    if zone is scope.zone:
        return {}
    offset = timedelta(seconds=scope.stretches()[0].offset_s)
    ticks = list(_ticks(scope))
    return {
        OFFSET: int(offset.total_seconds()),
        ZONE: scope.tz,
        "tickvals": [f"{local_time(us, scope.zone).astimezone(zone):%Y-%m-%d %H:%M:%S}" for us, _ in ticks],
        "ticktext": [text for _, text in ticks],
    }


def clock_of(figure: dict[str, Any], tz: tzinfo) -> tzinfo:
    """Return the zone in which the x axis of a figure is drawn."""
    offset_s = figure.get("layout", {}).get("xaxis", {}).get(OFFSET)
    return tz if offset_s is None else timezone(timedelta(seconds=offset_s))


def with_clock(figure: dict[str, Any], zone_of: Any) -> dict[str, Any]:
    """Return a figure whose hover texts say what the clocks showed; unchanged where the axis says it itself.

    Args:
        figure: its x axis is one of time.
        zone_of: makes a zone of its name.
    """
    layout = figure.get("layout", {})
    offset_s = layout.get("xaxis", {}).get(OFFSET)
    if offset_s is None:
        return figure
    axis_clock = timezone(timedelta(seconds=offset_s))
    zone = zone_of(layout["xaxis"][ZONE])
    name = datetime.now(axis_clock).tzname() or ""
    data = [
        {**trace, "hovertemplate": trace["hovertemplate"].replace("%H:%M}", f"%H:%M}} {name}")}
        if "%{x|" in trace.get("hovertemplate", "")
        else trace
        for trace in figure["data"]
    ]
    axis = {key: value for key, value in layout["xaxis"].items() if key not in {OFFSET, ZONE}}
    meta = {**layout.get("meta", {}), "offset": name.removeprefix("UTC") or "Z"}
    layout = {**layout, "xaxis": axis, "meta": meta}
    if layout.get("hovermode") == "x unified":
        moments = sorted({x for trace in figure["data"] for x in trace.get("x", ())})
        data.append(
            {
                # Has no dot; its text is the title of what is shown about a moment.
                "type": "scatter",
                "mode": "markers",
                "name": "",
                "showlegend": False,
                "x": moments,
                "y": [0] * len(moments),
                "marker": {"opacity": 0},
                "text": [_said(datetime.fromisoformat(x).replace(tzinfo=axis_clock), zone) for x in moments],
                "hovertemplate": "<b>%{text}</b><extra></extra>",
            }
        )
        axis["unifiedhovertitle"] = {"text": " "}
    return {**figure, "data": data, "layout": layout}


def _said(moment: datetime, zone: tzinfo) -> str:
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b, %H:%M %Z}"


def _ticks(scope: Scope) -> Iterator[tuple[int, str]]:
    """Yield moments at which the clocks show something round, and what they show."""
    step_s = next((step for step in _STEPS_S if scope.length_us <= _MOST_TICKS * step * US_PER_S), 0)
    days = -(-scope.length_us // (_MOST_TICKS * _DAY_S * US_PER_S))
    seen: set[str] = set()
    next_us = scope.start_us
    for stretch in scope.stretches():
        begin, end = ((us // US_PER_S) + stretch.offset_s for us in (stretch.start_us, stretch.end_us))
        width = step_s or days * _DAY_S
        for local_s in range(-(-begin // width) * width, end, width):
            moment_us = (local_s - stretch.offset_s) * US_PER_S
            if moment_us < next_us:
                continue  # the same again, an hour later: no room for it
            next_us = moment_us + min(width, _HALF_DAY_S) * US_PER_S
            local = local_time(moment_us, scope.zone)
            if width >= _DAY_S:
                text = f"{local.day} {local:%b}"
            else:
                text = f"{local:%H:%M}"
                if f"{local:%d %H:%M}" in seen:
                    text += f" {local:%Z}"
                if not seen or local.hour < width // _HOUR_S:
                    text += f"<br>{local:%a} {local.day} {local:%b}"
                seen.add(f"{local:%d %H:%M}")
            yield moment_us, text
