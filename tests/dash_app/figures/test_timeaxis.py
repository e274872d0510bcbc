"""Charts over the night in which the clocks go back: time runs forward, and labels say what clocks showed."""

from __future__ import annotations

from datetime import datetime, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest

from fmd_otel_dash.components.deploys import with_deploys
from fmd_otel_dash.components.graph import graph
from fmd_otel_dash.figures import heatmap, lines
from fmd_otel_dash.figures.timeaxis import axis_zone, with_clock
from fmd_otel_dash.queries.counts import Counts
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.timeline import Point, Timeline

HOUR = 3600 * 1_000_000


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp()) * 1_000_000


NIGHTS = {  # the moment at which the clocks go back, and the offset before
    "Europe/Amsterdam": (at(2026, 10, 25, 1), "+02:00"),
    "America/New_York": (at(2026, 11, 1, 6), "-04:00"),
    "Australia/Lord_Howe": (at(2026, 4, 4, 15), "+11:00"),
    "Atlantic/Azores": (at(2026, 10, 25, 1), "Z"),
}


def line_of(scope: Scope, step_s: int = 1800) -> Timeline:
    starts = range(scope.start_us, scope.end_us, step_s * 1_000_000)
    return Timeline(
        scope,
        step_s,
        tuple(
            Point(start, step_s, Counts(2, 0, 0, 2000), ((700, 2),), 1000.0, 1000.0, 1000.0)
            for start in starts
        ),
    )


def night(zone: str, hours: int = 6) -> Scope:
    change, _ = NIGHTS[zone]
    return Scope(change - hours * HOUR, change + hours * HOUR, zone)


@pytest.mark.parametrize("zone", NIGHTS)
@pytest.mark.parametrize(
    "draw", [lambda found: lines.traffic(found, found), lambda found: lines.durations(found, found)]
)
def test_a_line_never_runs_back_over_itself(zone, draw):  # fmt: skip
    figure = with_clock(draw(line_of(night(zone))), ZoneInfo)

    for trace in figure["data"]:
        assert all(before < after for before, after in pairwise(trace["x"]))
        steps = {
            datetime.fromisoformat(after) - datetime.fromisoformat(before)
            for before, after in pairwise(trace["x"])
        }
        assert len(steps) == 1
    start, end = map(datetime.fromisoformat, figure["layout"]["xaxis"]["range"])
    assert (end - start).total_seconds() == 12 * 3600
    go.Figure(figure)


@pytest.mark.parametrize("zone", NIGHTS)
def test_labels_and_titles_say_what_the_clocks_showed(zone):
    scope = night(zone, 3)
    found = line_of(scope)
    figure = with_clock(lines.traffic(found, None), ZoneInfo)

    axis = figure["layout"]["xaxis"]
    assert figure["layout"]["meta"]["offset"] == NIGHTS[zone][1]
    shown = [f"{datetime.fromtimestamp(p.start_us / 1e6, ZoneInfo(zone)):%H:%M %Z}" for p in found.points]
    assert [text.rpartition(", ")[2] for text in figure["data"][-1]["text"]] == shown
    moments = dict(zip(figure["data"][-1]["x"], shown, strict=True))
    ticks = dict(zip(axis["tickvals"], axis["ticktext"], strict=True))
    assert len(ticks) >= 5
    for at_x, text in ticks.items():
        if at_x in moments:
            assert text[:5] == moments[at_x][:5]


def test_the_hour_that_comes_twice_is_told_apart():
    axis = lines.traffic(line_of(night("Europe/Amsterdam", 3)), None)["layout"]["xaxis"]

    texts = [text.partition("<br>")[0] for text in axis["ticktext"]]
    assert texts == ["00:00", "01:00", "02:00", "02:00 CET", "03:00", "04:00"]


def test_a_month_has_a_label_at_midnights():
    change, _ = NIGHTS["Europe/Amsterdam"]
    scope = Scope(change - 20 * 24 * HOUR, change + 10 * 24 * HOUR, "Europe/Amsterdam")
    axis = lines.traffic(line_of(scope, 86_400), None)["layout"]["xaxis"]

    assert 4 <= len(axis["tickvals"]) <= 8
    # After the change, midnight is an hour later on an axis that has not changed.
    assert {each[11:] for each in axis["tickvals"]} == {"00:00:00", "01:00:00"}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Europe/Amsterdam"])
def test_an_ordinary_range_is_drawn_as_the_clock_shows_it(zone):
    scope = Scope(at(2026, 3, 28), at(2026, 3, 30), zone)  # clocks go forward in Amsterdam: a gap, no harm
    figure = lines.traffic(line_of(scope), None)

    assert axis_zone(scope) == ZoneInfo(zone)
    assert with_clock(figure, ZoneInfo) is figure
    assert "tickvals" not in figure["layout"]["xaxis"]


def test_a_version_is_marked_where_its_moment_is():
    scope = night("Europe/Amsterdam")
    change, _ = NIGHTS["Europe/Amsterdam"]
    figure = with_deploys(lines.traffic(line_of(scope), None), [("2.0", change + HOUR)], scope.tz)

    (shape,) = figure["layout"]["shapes"]
    assert shape["x0"] == "2026-10-25 04:00:00"  # 03:00 on the clocks, which have gone back


def test_a_heat_map_says_which_offset_its_times_have():
    scope = night("Europe/Amsterdam")
    shown = graph(heatmap.durations(line_of(scope)), name="spread", zoom=True)

    (trace,) = shown.children[0].figure["data"]
    assert "%H:%M} UTC+02:00" in trace["hovertemplate"]
    assert all(before < after for before, after in pairwise(trace["x"]))


def test_labels_keep_their_distance():
    axis = lines.traffic(line_of(night("Europe/Amsterdam", 6)), None)["layout"]["xaxis"]

    moments = [datetime.fromisoformat(each) for each in axis["tickvals"]]
    assert min(after - before for before, after in pairwise(moments)).total_seconds() >= 2 * 3600
