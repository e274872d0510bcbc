"""One endpoint: how much, how well, how fast."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.components import card, graph, kpi, kpi_row, with_deploys
from fmd_otel_dash.figures import heatmap, lines
from fmd_otel_dash.figures.base import wall
from fmd_otel_dash.figures.latencybands import band_us, bands_over
from fmd_otel_dash.figures.timeaxis import axis_zone
from fmd_otel_dash.pages import endpoint_head
from fmd_otel_dash.pages.common import (
    absent,
    against,
    below_figure,
    below_requests,
    caption,
    deploys,
    looked_at,
    on_click,
    part_of_range,
    requests_href,
    step_text,
)
from fmd_otel_dash.pages.drill import duration_filters, figure_hrefs, line_href
from fmd_otel_dash.pages.endpoint_head import endpoint_page, read
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.timeline import MAX_POINTS, Timeline, timeline
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.queries.overview import Overview
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

FIGURES = "endpoint-figures"
TRAFFIC = "endpoint-traffic"
DURATIONS = "endpoint-durations"
SPREAD = "endpoint-spread"
SPREAD_POINTS = 60
"""Steps of the duration heat map: with some thirty bands it then stays below 2,000 cells."""
_FEWEST_STEPS = 24
_REQUESTS_PER_STEP = 5
_FEWEST_POINTS = 10
_REQUESTS_PER_POINT = 30


def layout(_view: View) -> Any:
    """Return the page without data."""
    return endpoint_page(
        card(FIGURES, kind="kpi", height=98, plain=True),
        card(TRAFFIC, "Requests", hint="As a rate; click a step for its requests", span=6, height=304),
        card(
            DURATIONS,
            "Duration",
            hint="p50, p95 and p99 of each step; click one for its requests",
            span=6,
            height=304,
        ),
        card(
            SPREAD,
            "Durations over time",
            hint="Darker is more requests. Two bands are two kinds of request. Click a cell to list its own.",
            height=324,
        ),
    )


def register(registry: Registry) -> None:
    """Register what fills the page, and the head that it shares with the endpoint's other pages."""
    endpoint_head.register(registry)

    @registry.card(FIGURES)
    def figures(view: View) -> Any:
        found = read(view)
        hrefs = figure_hrefs(view, found.kpis.p95_us, found.kpis.p50_us, errors_at=3)
        return [kpi_row(_kpis(view, found), hrefs), part_of_range(view)] if found.kpis.n else None

    @registry.card(TRAFFIC)
    def traffic(view: View) -> Any:
        found, before = _traffic(view)
        if not found.counts.n:
            return absent(view, read(view).last_recorded_us)
        return [
            _over_time(view, lines.traffic(found, before), TRAFFIC, "Requests over time"),
            caption(view, found.counts.n, looked_at(view), _ghost(view, before)),
        ]

    @registry.card(DURATIONS)
    def durations(view: View) -> Any:
        found, before = _durations(view)
        if not found.counts.n:
            return None
        return [
            _over_time(view, lines.durations(found, before), DURATIONS, "p50, p95 and p99 over time"),
            caption(view, found.counts.n, looked_at(view), step_text(found.step_s), _ghost(view, before)),
        ]

    @registry.card(SPREAD)
    def spread(view: View) -> Any:
        found = view.query(timeline, view.after, SPREAD_POINTS)
        if not found.counts.n:
            return None
        before = view.query(timeline, view.ghost, SPREAD_POINTS) if view.ghost else None
        figure = heatmap.durations(found, before)
        return [
            graph(
                with_deploys(figure, deploys(view), view.scope.tz), name=SPREAD, height=300, zoom=True,
                label="How many requests took how long, over time", leads=True,
            ),
            caption(
                view, found.counts.n, looked_at(view), "line: p95" if _ghost(view, before) else "",
                _ghost(view, before),
            ),
        ]  # fmt: skip

    on_click(registry, TRAFFIC, clicked_step)
    on_click(registry, DURATIONS, clicked_duration)
    on_click(registry, SPREAD, clicked_cell)


def clicked_step(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a step of the bars."""
    return line_href(view, _traffic(view), point, lines.traffic)


def clicked_duration(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a step of the durations."""
    return line_href(view, _durations(view), point, lines.durations)


def clicked_cell(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a step that took about as long as the cell says."""
    found = view.query(timeline, view.after, SPREAD_POINTS)
    x, middle_us = str(point.get("x", "")), point.get("y")
    zone = axis_zone(found.scope)
    starts = [wall(each.start_us, zone) for each in found.points]
    column = bisect_right(starts, x) - 1
    if column < 0 or not isinstance(middle_us, int | float):
        return None
    bands = bands_over(bkt for each in found.points for bkt, _ in each.latency)
    return requests_href(
        view.with_versions(*found.scope.versions),
        *_within(found, found.points[column].start_us),
        **duration_filters(*band_us(middle_us, bands.coarse)),
    )


def _within(found: Timeline, start_us: int) -> tuple[int, int]:
    end_us = start_us + found.step_s * US_PER_S
    return max(start_us, found.scope.start_us), min(end_us, found.scope.end_us)


def traffic_points(n: int) -> int:
    """Return how many steps requests are drawn in: one or two in each would be a comb."""
    return max(_FEWEST_STEPS, min(MAX_POINTS, n // _REQUESTS_PER_STEP))


def duration_points(n: int) -> int:
    """Return how many steps percentiles are drawn in: of a handful of requests, p95 is but the slowest."""
    return max(_FEWEST_POINTS, min(MAX_POINTS, n // _REQUESTS_PER_POINT))


def _traffic(view: View) -> tuple[Timeline, Timeline | None]:
    return _lines(view, traffic_points(read(view).kpis.n), durations=False)


def _durations(view: View) -> tuple[Timeline, Timeline | None]:
    return _lines(view, duration_points(read(view).kpis.n), durations=True)


def _lines(view: View, points: int, *, durations: bool) -> tuple[Timeline, Timeline | None]:
    before = view.query(timeline, view.ghost, points, durations=durations) if view.ghost else None
    return view.query(timeline, view.after, points, durations=durations), before


def _over_time(view: View, figure: dict[str, Any], name: str, text: str) -> Any:
    return graph(
        with_deploys(figure, deploys(view), view.scope.tz),
        name=name,
        height=280,
        zoom=True,
        label=text,
        leads=True,
    )


def _ghost(view: View, before: Timeline | None) -> str:
    return against(view) if before and before.counts.n else ""


def _kpis(view: View, found: Overview) -> list[Any]:
    now, moved = found.kpis, found.changes
    return [
        kpi(
            "Requests",
            formatting.count(now.n),
            **below_requests(view, now, found.previous),
            hint=f"{now.n:,} requests",
        ),
        kpi(
            "p95",
            formatting.duration(now.p95_us),
            **below_figure(view, found.previous, formatting.measured_change, moved.p95),
            hint=f"95 % of {now.n:,} requests took less",
        ),
        kpi(
            "Median",
            formatting.duration(now.p50_us),
            **below_figure(view, found.previous, formatting.measured_change, moved.p50),
            hint=f"Half took less; 99 % less than {formatting.duration(now.p99_us)}",
        ),
        kpi(
            "Error rate",
            formatting.percent(now.error_rate),
            **below_figure(view, found.previous, formatting.point_change, moved.errors),
            hint=f"{now.errors:,} answers of 500 and above; {now.client_errors:,} of 400 to 499 left out",
        ),
    ]


PAGE = Page(
    path="/endpoint/<int:endpoint_id>",
    title="Summary",
    layout=layout,
    register=register,
    section="endpoint",
    key="o",
    icon="chart",
)
