"""Heat maps: requests by hour and day, shares by endpoint and version, durations over time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import (
    DIFFERENCE,
    FADE,
    FADE_EARLY,
    MARGIN,
    ORANGE,
    Figure,
    axis,
    day_ticks,
    ghost,
    label,
    log_ticks,
    significant,
    time_axis,
    wall,
)
from fmd_otel_dash.figures.latencybands import bands_over
from fmd_otel_dash.figures.timeaxis import axis_zone
from fmd_otel_dash.queries.scope import US_PER_S

if TYPE_CHECKING:
    from fmd_otel_dash.queries.hourly import Hourly
    from fmd_otel_dash.queries.timeline import Timeline
    from fmd_otel_dash.queries.versions import Utilization

Cells = tuple[tuple[float | None, ...], ...]
MAX_VERSIONS = 30
_HOUR_MINUTES = 60
_TEXT_COLUMNS = 12
_COLOR_BAR = {"thickness": 10, "outlinewidth": 0, "len": 1, "ticks": "", "x": 1.01, "xpad": 4}


def hourly(found: Hourly, before: Cells = (), *, difference: bool = False) -> Figure:
    """Draw requests by hour of the day (down) and by day (across).

    Args:
        found: what to draw.
        before: what each hour is compared with, in the same order, if with anything.
        difference: draw by how much it is more or less, instead of how much it is.
    """
    cells = before or tuple((None,) * len(row) for row in found.n)
    if difference:
        z = [list(map(_more, *rows)) for rows in zip(found.n, cells, strict=True)]
    else:
        z = [list(row) for row in found.n]
    trace: dict[str, Any] = {
        "type": "heatmap",
        # Edges: a date alone means midnight, and a column would stand across it.
        "x": _edges(found),
        "y": list(range(len(found.n))),
        "z": z,
        "text": [
            [
                _note(found, i, n, minutes) + _beside(n, then, difference=difference)
                for i, (n, minutes, then) in enumerate(zip(*rows, strict=True))
            ]
            for rows in zip(found.n, found.minutes, cells, strict=True)
        ],
        "hoverongaps": False,
        "hovertemplate": ("" if found.by_week else "%{x|%a %-d %b %Y}, ")
        + ("%{y}:00 – %{y}:59<br><b>%{z:" + ("+,.3~g" if difference else ",") + "}</b> ")
        + ("requests more or less" if difference else "requests")
        + "%{text}<extra></extra>",
        **({"colorscale": DIFFERENCE, "zmid": 0} if difference else {"colorscale": FADE, "zmin": 0}),
        "xgap": 1,
        "ygap": 1,
        "colorbar": _COLOR_BAR | {"tickformat": "+,d" if difference else ",d"},
    }
    return {
        "data": [trace],
        "layout": {
            "meta": {"z": "requests more than before" if difference else "requests"},
            "xaxis": axis(type="date", showgrid=False, **day_ticks(found.columns)),
            "yaxis": axis(
                showgrid=False,
                autorange="reversed",
                tickvals=[0, 4, 8, 12, 16, 20],
                ticktext=[f"{hour:02d}:00" for hour in (0, 4, 8, 12, 16, 20)],
            ),
            "margin": MARGIN,
        },
    }


def utilization(found: Utilization, before: Utilization | None = None, *, max_endpoints: int = 25) -> Figure:
    """Draw which share of each version's requests (across) went to which endpoint (down).

    Only the newest versions and the busiest endpoints: more would be specks. Of the comparison, a cell says
    its share when it is pointed at.
    """
    earlier = _shares_by_ids(before) if before else {}
    first = max(0, len(found.versions) - MAX_VERSIONS)
    versions, endpoints = found.versions[first:], found.endpoints[:max_endpoints]
    shares = [row[first:] for row in found.shares[:max_endpoints]]
    counts = [row[first:] for row in found.n[:max_endpoints]]
    totals = found.totals[first:]
    several = len({version.service for version in found.versions}) > 1
    names = [
        label(f"{version.service} {version.name}" if several else version.name, 16) for version in versions
    ]
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": list(range(len(versions))),
        "y": list(range(len(endpoints))),
        "z": [[round(share * 100, 2) for share in row] for row in shares],
        # What differs from cell to cell, and no more: there are hundreds of them.
        "customdata": [
            [
                [
                    label(endpoint.name, 60),
                    name,
                    f"{n:,} of its {total:,}",
                    _share_before(earlier.get((endpoint.id, version.id))),
                ]
                for n, total, name, version in zip(row, totals, names, versions, strict=True)
            ]
            for endpoint, row in zip(endpoints, counts, strict=True)
        ],
        "hovertemplate": "<b>%{customdata[0]}</b><br>%{z:.3~g} % of version %{customdata[1]}"
        "<br>%{customdata[2]} requests%{customdata[3]}<extra></extra>",
        "colorscale": FADE_EARLY,
        "zmin": 0,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
    }
    if len(versions) <= _TEXT_COLUMNS:
        text = [[_short(share) for share in row] for row in shares]
        trace |= {"text": text, "texttemplate": "%{text}", "textfont": {"size": 11}}
    figure: Figure = {
        "data": [trace],
        "layout": {
            "meta": {"x": "Version", "y": "Endpoint", "z": "% of the version's requests"},
            "xaxis": axis(
                showgrid=False,
                side="top",
                tickvals=trace["x"],
                ticktext=names,
                tickangle=-45 if len(names) > 8 else 0,  # noqa: PLR2004 - wider ones collide
            ),
            "yaxis": axis(
                showgrid=False,
                autorange="reversed",
                tickvals=trace["y"],
                ticktext=[label(endpoint.name, 24) for endpoint in endpoints],
            ),
            "margin": {"l": 44, "r": 12, "t": 28, "b": 4},
        },
    }
    return figure


def durations(found: Timeline, before: Timeline | None = None) -> Figure:
    """Draw how many requests took how long, over time; with a comparison, p95 of both as lines."""
    zone = axis_zone(found.scope)
    bands = bands_over(bkt for point in found.points for bkt, _ in point.latency)
    if not bands.numbers:
        return {"data": [], "layout": {}}
    counted: dict[int, dict[int, int]] = {}
    for column, point in enumerate(found.points):
        for bkt, n in point.latency:
            band = counted.setdefault(bands.of(bkt), {})
            band[column] = band.get(column, 0) + n
    edges = bands.edges_us
    end_us = found.points[-1].start_us + found.step_s * US_PER_S
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": [wall(us, zone) for us in (*(point.start_us for point in found.points), end_us)],
        "y": [round(edge) for edge in edges],
        "z": [
            [counted.get(place, {}).get(column) for column in range(len(found.points))]
            for place in range(len(bands.numbers))
        ],
        "text": [
            [text if counted.get(place, {}).get(column) else "" for column in range(len(found.points))]
            for place, text in enumerate(map(bands.text, range(len(bands.numbers))))
        ],
        "hoverongaps": False,
        "hovertemplate": "%{x|%a %-d %b, %H:%M}<br>%{text}<br><b>%{z:,}</b> requests<extra></extra>",
        "colorscale": FADE,
        "zmin": 0,
        "xgap": 1,
        "ygap": 1,
        "showscale": False,
    }
    values, text = log_ticks(edges[0], edges[-1])
    return {
        "data": [trace, *(_p95_lines(found, before) if before and before.counts.n else ())],
        "layout": {
            "meta": {"z": "requests"},
            "xaxis": time_axis(found.scope),
            "yaxis": axis(type="log", showgrid=False, tickvals=values, ticktext=text),
            "margin": MARGIN,
        },
    }


def _p95_lines(found: Timeline, before: Timeline) -> list[dict[str, Any]]:
    zone = axis_zone(found.scope)

    def line(name: str, of: Timeline, shift_us: int) -> dict[str, Any]:
        half_us = of.step_s * US_PER_S // 2
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [wall(point.start_us + half_us + shift_us, zone) for point in of.points],
            "y": [significant(point.p95_us) for point in of.points],
            "line": {"color": ORANGE, "width": 1.3},
            # Only cells answer, also where a line crosses them.
            "hoverinfo": "skip",
            "showlegend": False,
        }

    shift_us = found.scope.start_us - before.scope.start_us
    return [line("p95 before", before, shift_us) | ghost(ORANGE), line("p95", found, 0)]


def _more(n: int | None, before: float | None) -> float | None:
    return None if n is None or before is None else significant(n - before)


def _beside(n: int | None, before: float | None, *, difference: bool) -> str:
    """Return what an hour is compared with, as it stands beside the hour itself."""
    if n is None or before is None:
        return ""
    then = f"{before:,.0f}" if before == round(before) else f"{before:,.1f} on average"
    return f"<br>{n:,}; before: {then}" if difference else f"<br>before: {then}"


def _shares_by_ids(before: Utilization) -> dict[tuple[int, int], float]:
    return {
        (endpoint.id, version.id): share
        for endpoint, row in zip(before.endpoints, before.shares, strict=True)
        for version, share in zip(before.versions, row, strict=True)
    }


def _share_before(share: float | None) -> str:
    return "" if share is None else f"<br>before: {formatting.percent(share)}"


def _short(share: float) -> str:
    """Return a share as a percentage without its sign: four characters are what fits on a telephone."""
    return "" if share == 0 else "< .1" if share < 0.001 else f"{share * 100:.1f}"  # noqa: PLR2004 - what is printed


def _edges(found: Hourly) -> list[str]:
    if not found.columns:
        return []
    step = timedelta(days=7 if found.by_week else 1)
    return [column.isoformat() for column in (*found.columns, found.columns[-1] + step)]


def _note(found: Hourly, i: int, n: int | None, minutes: int) -> str:
    """Return what a reader has to know of an hour that is none, and of which week it is."""
    if n is None:
        return ""
    if found.by_week:
        return f" in the week of {found.columns[i].day} {found.columns[i]:%b %Y}"
    if minutes == _HOUR_MINUTES:
        return ""
    if minutes > _HOUR_MINUTES:
        return f" in {minutes} min: the clocks went back"
    return f" in the {minutes} min that lie in the range"
