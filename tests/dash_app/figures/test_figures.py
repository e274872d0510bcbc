from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fmd_otel_dash import formatting
from fmd_otel_dash.figures import bars, boxes, heatmap, lines, subjects
from fmd_otel_dash.figures.base import duration_unit, label, log_ticks, significant
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.status import StatusCodes
from fmd_otel_dash.queries.subjects import Busiest, BySubjectAndVersion, SubjectCounts, SubjectVersions
from fmd_otel_dash.stats.percentiles import box

HOSTILE = [
    "<script>alert(1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "🛒.カート",
    "x" * 255,
    "\u202eevil",
    "א.ב",
]


def status_codes_of(codes, steps=60):
    return StatusCodes(
        Scope(0, steps * 3600 * 1_000_000),
        3600,
        tuple(i * 3600 * 1_000_000 for i in range(steps)),
        {code: tuple(5 for _ in range(steps)) for code in codes},
        None,
    )


def test_a_heat_map_of_hours_is_light_and_valid(checked, hourly_of):
    figure = checked(heatmap.hourly(hourly_of(30)), most_bytes=12_000)

    assert figure["data"][0]["zmin"] == 0
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"


def test_an_hour_that_comes_twice_or_is_cut_off_says_so(checked, hourly_of):
    found = hourly_of(3)
    minutes = [list(row) for row in found.minutes]
    minutes[2][1], minutes[5][2] = 120, 17

    figure = checked(heatmap.hourly(replace(found, minutes=tuple(tuple(row) for row in minutes))))

    text = figure["data"][0]["text"]
    assert "the clocks went back" in text[2][1]
    assert "17 min" in text[5][2]
    assert text[0][0] == ""


def test_the_typical_day_is_a_mean_over_the_hours_there_were(checked, hourly_of):
    figure = checked(bars.by_hour_of_day(hourly_of(10), hourly_of(5, n=4)))

    assert figure["data"][0]["y"] == [7] * 24
    assert figure["data"][1]["y"] == [4] * 24
    assert figure["data"][1]["line"]["dash"] == "dash"


def test_days_are_stacked_with_the_rest_in_grey(checked, daily_of):
    figure = checked(bars.daily(daily_of(30, [f"shop.page_{i}" for i in range(40)]), daily_of(30, ["a"]), {}))

    names = [trace.get("name") for trace in figure["data"]]
    assert "31 others" in names
    assert "Before" in names


def test_endpoints_of_one_colour_are_told_apart_by_a_pattern(checked, daily_of):
    colors = {"a": "#112233", "b": "#112233"}

    figure = checked(bars.daily(daily_of(3, ["a", "b"]), None, colors))

    first, second = figure["data"][:2]
    assert first["marker"]["color"] == second["marker"]["color"] == "#112233"
    assert "pattern" not in first["marker"]
    assert second["marker"]["pattern"]["shape"]


def test_a_day_of_another_length_says_so(checked, daily_of):
    found = replace(daily_of(4, ["a"]), hours=(24.0, 23.0, 25.0, 6.5))

    texts = checked(bars.daily(found, None, {}))["data"][1]["text"]

    assert "hours" not in texts[0]
    assert "23 hours" in texts[1]
    assert "25 hours" in texts[2]
    assert "6.5 hours that lie in the range" in texts[3]


def test_codes_of_a_class_differ_in_strength(checked):
    figure = checked(bars.status_codes(status_codes_of([200, 201, 404, 500])))

    ok, created = figure["data"][:2]
    assert ok["marker"]["color"] == created["marker"]["color"]
    assert ok["marker"]["opacity"] != created["marker"]["opacity"]


def test_codes_beyond_the_classes_are_drawn_too(checked):
    checked(bars.status_codes(status_codes_of([0, 200, 799])))


def test_shares_are_percentages_with_their_sample(checked, utilization_of):
    figure = checked(heatmap.utilization(utilization_of(["a", "b"], ["1.0", "2.0"])))

    assert figure["data"][0]["z"] == [[50, 50], [50, 50]]
    assert figure["data"][0]["customdata"][0][0][2] == "10 of its 20"


def test_many_versions_show_the_newest(checked, utilization_of):
    found = utilization_of([f"e{i}" for i in range(100)], [f"1.{i}" for i in range(50)])

    figure = checked(heatmap.utilization(found), most_bytes=200_000)

    assert figure["layout"]["xaxis"]["ticktext"][-1] == "1.49"
    assert len(figure["data"][0]["z"]) == 25


@pytest.mark.parametrize("log", [False, True])
def test_boxes_of_endpoints_need_no_samples(checked, performance_of, log):
    figure = checked(boxes.endpoints(performance_of([f"shop.page_{i}" for i in range(20)]), log=log))

    assert all("y" in trace for trace in figure["data"])
    assert "n = 200 / 200" in figure["data"][-1]["text"][0]


@pytest.mark.parametrize("log", [False, True])
def test_boxes_of_versions_say_what_changed(checked, deployments_of, log):
    figure = checked(boxes.versions(deployments_of(["1.0", "1.1", "2.0"]), log=log))

    assert "slower than 1.0" in figure["data"][-1]["text"][1]
    assert figure["layout"]["xaxis"]["ticktext"] == ["1.0", "1.1", "2.0"]


def test_traffic_and_durations_carry_the_ghost_of_the_comparison(checked, timeline_of):
    now, before = timeline_of(120), timeline_of(120, start_us=0)

    for figure in (checked(lines.traffic(now, before)), checked(lines.durations(now, before))):
        ghost = figure["data"][-1]
        assert ghost["line"]["dash"] == "dash"
        assert ghost["x"][0] == figure["data"][0]["x"][0]


def test_a_comparison_without_requests_is_not_drawn(checked, timeline_of):
    figure = checked(lines.durations(timeline_of(10), timeline_of(10, n=0)))

    assert len(figure["data"]) == 3


def test_durations_over_time_keep_to_two_thousand_cells(checked, timeline_of):
    figure = checked(heatmap.durations(timeline_of(60)), most_bytes=60_000)

    assert figure["layout"]["yaxis"]["type"] == "log"


def test_nothing_at_all_is_still_a_figure(checked, hourly_of, daily_of, timeline_of, utilization_of):
    checked(heatmap.hourly(hourly_of(0)))
    checked(heatmap.utilization(utilization_of([], [])))
    checked(heatmap.durations(timeline_of(3, n=0)))
    checked(bars.daily(daily_of(0, []), None, {}))
    checked(bars.by_hour_of_day(hourly_of(0), None))
    checked(bars.status_codes(status_codes_of([])))
    checked(boxes.endpoints([], log=True))
    checked(boxes.versions([], log=False))
    checked(lines.traffic(timeline_of(0), None))
    checked(lines.durations(timeline_of(3, n=0), None))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_and_do_nothing(
    checked, name, daily_of, performance_of, utilization_of, deployments_of
):
    for figure in (
        checked(bars.daily(daily_of(2, [name, "b"]), None, {})),
        checked(boxes.endpoints(performance_of([name, "b"]), log=True)),
        checked(heatmap.utilization(utilization_of([name], [name]))),
        checked(boxes.versions(deployments_of([name, "b"]))),
    ):
        text = json.dumps(figure, ensure_ascii=False)
        assert "<script" not in text
        assert "<a " not in text
        assert "\u202e" not in text


def test_two_long_names_that_begin_alike_stay_two_rows(checked, performance_of):
    figure = checked(boxes.endpoints(performance_of(["x" * 250 + "1", "x" * 250 + "2"]), log=True))

    assert figure["layout"]["yaxis"]["tickvals"] == [0, 1]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("shop.cart", "shop.cart"), ("a<b", "a&lt;b"), ("a" * 30 + "b" * 30, "a" * 17 + "…" + "b" * 16)],
)
def test_a_label_keeps_both_ends_of_a_name(name, shown):
    assert label(name).strip("\u2068\u2069") == shown


@pytest.mark.parametrize(
    ("us", "unit"), [(500, "µs"), (40_000, "ms"), (3_000_000, "s"), (600_000_000, "min")]
)
def test_the_unit_fits_the_longest(us, unit):
    assert duration_unit(us)[0] == unit


def test_logarithmic_ticks_are_round_and_in_their_own_units():
    assert log_ticks(500, 2_000_000)[1] == ["1 ms", "10 ms", "100 ms", "1 s"]
    assert log_ticks(12_000, 90_000)[1] == ["10 ms", "20 ms", "50 ms", "100 ms"]


@pytest.mark.parametrize(
    ("value", "shown"), [(1234.5678, 1235), (0.00123456, 0.001235), (0, 0), (None, None), (5, 5)]
)
def test_digits_that_nobody_sees_are_not_sent(value, shown):
    assert significant(value) == shown


def test_a_circle_says_of_how_many_requests_it_is_and_its_percentiles(checked, version, sample):
    many, few = box(sample(40_000, n=200)), box(sample(20_000, n=7))
    counts = SubjectCounts("ada", 207, 0, 207 * 40_000)
    found = BySubjectAndVersion(
        Busiest(Scope(0, 1), 1, (counts,), 1, 207, None),
        (version("1.0", 1), version("2.0", 2)),
        (SubjectVersions(counts, (few, many)),),
    )

    figure = checked(subjects.circles(found, {"ada": {2: few}}))
    first, second = figure["data"][0]["text"]

    assert figure["data"][0]["hovertemplate"].startswith("<b>%{y}</b>, version %{x}<br>%{text}")
    assert figure["layout"]["yaxis"]["ticktext"] == ["ada"]
    assert figure["layout"]["xaxis"]["ticktext"] == ["1.0", "2.0"]
    assert "7 requests" in first
    assert "before" not in first
    for words in (
        f"median {formatting.duration(many.median_us)}",
        f"p95 {formatting.duration(many.p95_us)}",
        f"p99 {formatting.duration(many.p99_us)}",
        "200 requests",
        f"before: median {formatting.duration(few.median_us)} of 7 requests",
    ):
        assert words in second


def test_the_circle_of_the_comparison_is_a_faint_ring_of_the_same_measure(checked, version, sample):
    stats = box(sample(40_000))
    counts = SubjectCounts("ada", 200, 0, 200 * 40_000)
    found = BySubjectAndVersion(
        Busiest(Scope(0, 1), 1, (counts,), 1, 200, None),
        (version("1.0", 1),),
        (SubjectVersions(counts, (stats,)),),
    )

    circle, ring = checked(subjects.circles(found, {"ada": {1: stats}}))["data"]

    assert ring["marker"]["size"] == circle["marker"]["size"]
    assert (ring["opacity"], ring["hoverinfo"]) == (0.4, "skip")
