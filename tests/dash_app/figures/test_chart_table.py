"""The table below a chart says what the chart says: made in the browser, of the figures as they are sent."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import fmd_otel_dash
from fmd_otel_dash import formatting
from fmd_otel_dash.components.deploys import with_deploys
from fmd_otel_dash.figures import bars, boxes, heatmap, lines
from fmd_otel_dash.figures.bands import strips
from fmd_otel_dash.figures.latencybands import band_us
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.status import StatusCodes
from tests.dash_app.figures.conftest import DAY_US, START_US

ASSETS = Path(fmd_otel_dash.__file__).parent / "assets"
RUN = """
global.window = {};
require(process.argv[1]);
require(process.argv[2]);
const figure = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(window.fmd.chartTable(figure)));
"""
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


@pytest.fixture
def table():
    """Return the table of a figure: headings, and rows of cells."""

    def make(figure):
        files = [str(ASSETS / name) for name in ("20-profile-model.js", "30-chart-table.js")]
        ran = subprocess.run(
            [str(NODE), "-e", RUN, *files],
            input=json.dumps(figure),
            capture_output=True,
            text=True,
            check=True,
        )
        made = json.loads(ran.stdout)
        assert all(len(row["cells"]) == len(made["columns"]) for row in made["rows"])
        made["headings"] = [column["title"] for column in made["columns"]]
        made["texts"] = [[cell["text"] for cell in row["cells"]] for row in made["rows"]]
        return made

    return make


def cell(made, row, column):
    return made["rows"][row]["cells"][made["headings"].index(column)]


def test_bars_over_time_have_a_row_a_moment_and_a_column_a_trace(table, timeline_of):
    made = table(lines.traffic(timeline_of(3), timeline_of(3, start_us=START_US - DAY_US)))

    assert made["headings"] == [
        "Time", "Successful (per minute)", "4xx (per minute)", "5xx (per minute)", "Before (per minute)",
    ]  # fmt: skip
    assert made["texts"][0] == ["2026-11-02 00:00", "3.1", "0.1667", "0.06667", "3.333"]
    assert made["more"] == 0


def test_a_cell_leads_where_a_click_on_its_bar_leads(table, timeline_of):
    figure = lines.traffic(timeline_of(3), timeline_of(3, start_us=START_US - DAY_US))

    made = table(figure)

    point = cell(made, 1, "5xx (per minute)")["point"]
    assert point == {
        "curveNumber": 2, "pointNumber": 1, "pointIndex": 1, "x": figure["data"][2]["x"][1],
        "y": figure["data"][2]["y"][1], "customdata": figure["data"][2]["customdata"][1],
    }  # fmt: skip
    assert "point" not in cell(made, 1, "Before (per minute)")


def test_a_bar_that_is_not_there_leads_nowhere(table):
    found = StatusCodes(
        Scope(START_US, START_US + 2 * 3600_000_000), 3600, (START_US, START_US + 3600_000_000),
        {200: (7, 5), 500: (0, 2)}, None,
    )  # fmt: skip

    made = table(bars.status_codes(found))

    assert made["texts"] == [["2026-11-02 00:00", "7", ""], ["2026-11-02 01:00", "5", "2"]]
    assert "point" not in cell(made, 0, "500")
    assert cell(made, 1, "500")["point"]["curveNumber"] == 1


def test_percentiles_have_their_unit_in_the_heading(table, timeline_of):
    assert table(lines.durations(timeline_of(2), None))["headings"] == [
        "Time",
        "p99 (ms)",
        "p95 (ms)",
        "p50 (ms)",
    ]


def test_days_are_days_and_have_a_total(table, daily_of):
    found = daily_of(2, ["shop.cart", "<b>evil</b>"])

    made = table(bars.daily(replace(found, hours=(24.0, 25.0)), None, {}))

    assert made["headings"] == ["Day", "shop.cart", "<b>evil</b>", "Total", "Details"]
    assert made["texts"] == [
        ["2026-11-01", "100", "99", "199", ""],
        ["2026-11-02", "100", "99", "199", "a day of 25 hours: the clocks went back"],
    ]


def test_hours_of_the_day_are_hours(table, hourly_of):
    made = table(bars.by_hour_of_day(hourly_of(3), None))

    assert made["headings"] == ["Hour", "This range"]
    assert made["texts"][5] == ["05:00", "7"]


def test_deployments_stand_beside_the_moment_from_which_they_served(table, timeline_of):
    figure = with_deploys(
        lines.durations(timeline_of(3), None), [("1.7.0", START_US + 90 * 60_000_000)], "UTC"
    )

    assert [row[-1] for row in table(figure)["texts"]] == ["", "1.7.0 deployed", ""]


def test_a_heat_map_has_its_longer_side_down_and_leads_from_the_middle_of_each_cell(table, hourly_of):
    made = table(heatmap.hourly(hourly_of(3)))

    assert made["headings"] == ["Hour", "2026-11-01", "2026-11-02", "2026-11-03"]
    assert len(made["rows"]) == 24
    assert made["texts"][23] == ["23:00", "7", "7", "7"]
    assert made["unit"] == "requests"
    point = made["rows"][23]["cells"][2]["point"]
    assert point["x"] == "2026-11-02 12:00:00"
    assert (point["y"], point["z"], point["pointNumber"]) == (23, 7, [23, 1])


def test_a_long_heat_map_is_turned(table, hourly_of):
    made = table(heatmap.hourly(hourly_of(31)))

    assert made["headings"][:2] == ["Day", "00:00"]
    assert (len(made["rows"]), len(made["headings"])) == (31, 25)
    assert made["rows"][2]["cells"][1]["point"]["x"] == "2026-11-03 12:00:00"
    assert made["rows"][2]["cells"][1]["point"]["y"] == 0


def test_bands_of_durations_say_from_where_to_where(table, timeline_of):
    figure = heatmap.durations(timeline_of(60, n=3))

    made = table(figure)

    assert made["headings"][0] == "Time"
    assert all(" – " in heading for heading in made["headings"][1:])
    shown = next(each for each in made["rows"][0]["cells"] if each.get("point"))
    low, high = band_us(shown["point"]["y"])
    edges = figure["data"][0]["y"]
    assert round(low) in edges
    assert edges.index(round(low)) == shown["point"]["pointNumber"][0]
    assert low < shown["point"]["y"] < high


def test_shares_have_endpoints_down_and_versions_across(table, utilization_of):
    made = table(heatmap.utilization(utilization_of(["shop.cart"], ["1.0", "2.0"])))

    assert made["headings"][0] == "Endpoint"
    assert made["unit"] == "% of the version's requests"
    assert made["rows"][0]["cells"][1]["point"]["pointNumber"] == [0, 0]


@pytest.mark.parametrize("log", [True, False])
def test_boxes_have_their_percentiles_and_lead_from_their_name(table, performance_of, log):
    found = performance_of(["shop.cart", "shop.pay"])

    made = table(boxes.endpoints(found, log=log))

    assert made["headings"] == ["Endpoint", "Of", "p5", "p25", "median", "p75", "p95", "p99", "Details"]
    # The comparison stands beside what it is compared with, and has no page of its own.
    assert [row[:2] for row in made["texts"]] == [
        ["shop.cart", "Comparison"], ["shop.cart", "This range"],
        ["shop.pay", "Comparison"], ["shop.pay", "This range"],
    ]  # fmt: skip
    assert made["rows"][3]["cells"][0]["point"]["customdata"] == found[1].endpoint.id
    assert "point" not in made["rows"][2]["cells"][0]
    assert made["texts"][3][4] == formatting.duration(found[1].box.median_us)
    assert made["texts"][3][-1].startswith("200 requests")


def test_boxes_of_versions_stand_in_their_order(table, deployments_of):
    made = table(boxes.versions(deployments_of(["1.0", "2.0"])))

    assert made["headings"] == ["Version", "p5", "p25", "median", "p75", "p95", "p99", "Details"]
    assert [row[0] for row in made["texts"]] == ["1.0", "2.0"]


def test_of_many_rows_the_first_five_hundred_are_shown(table):
    figure = {"data": [{"type": "bar", "name": "n", "x": list(range(700)), "y": [1] * 700}], "layout": {}}

    made = table(figure)

    assert (len(made["rows"]), made["more"]) == (500, 200)


def test_dots_at_one_moment_stay_two_rows(table):
    at = "2026-11-02 10:00:00"
    dots = {"type": "scatter", "mode": "markers", "name": "Outlier", "x": [at, at], "y": [3, 4]}

    assert table({"data": [dots], "layout": {}})["texts"] == [
        ["2026-11-02 10:00", "3"],
        ["2026-11-02 10:00", "4"],
    ]


def test_a_gap_stays_and_the_empty_ends_of_a_range_go(table):
    bar = {"type": "bar", "name": "n", "x": [1, 2, 3, 4, 5], "y": [None, 1, None, 2, None]}

    assert table({"data": [bar], "layout": {}})["texts"] == [["2", "1"], ["3", ""], ["4", "2"]]


def test_nothing_is_no_rows(table):
    assert table({"data": [], "layout": {}})["rows"] == []


def test_strips_over_time_have_a_column_for_each_line_of_each_strip(table, timeline_of):
    found = timeline_of(3)
    made = table(strips(found.scope, [("All endpoints", found, None), ("shop.cart", found, None)]))

    assert made["headings"][0] == "Time"
    assert [heading.rpartition(" (")[0] for heading in made["headings"][1:] if "before" not in heading] == [
        f"{name} {line}" for name in ("All endpoints", "shop.cart") for line in ("p99", "p95", "p50")
    ]
    assert len(made["rows"]) == 3
