"""What "today", a day and an hour are, wherever the reader's clock hangs."""

from __future__ import annotations

import pytest

US = 1_000_000
HOUR = 3600 * US


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("Europe/Amsterdam", (2026, 3, 29, 21), 23),
        ("Europe/Amsterdam", (2026, 10, 25, 22), 25),
        ("America/New_York", (2026, 3, 9, 3), 23),
        ("Asia/Kolkata", (2026, 11, 22, 18), 24),
        ("Australia/Lord_Howe", (2026, 4, 5, 13), 24.5),
    ],
)
def test_a_day_of_the_zone_is_counted_whole(zone, moment, hours, clock, write, card):
    now = clock(*moment)
    quarter = HOUR // 4
    write([now - i * quarter - US for i in range(4 * 60)])

    (figure,) = card("daily-stack", "/daily_utilization", "?from=now/d&to=now%2B1d/d", zone).figures

    totals = next(trace for trace in figure["data"] if trace.get("text"))
    (text,) = totals["text"]
    assert (f"{hours:g} hours" in text) == (hours != 24)


def test_an_hour_that_comes_twice_says_so_on_the_heat_map(clock, write, card):
    now = clock(2026, 10, 25, 12)
    write([now - int(hours * HOUR) - US for hours in (10.5, 11.5)])  # 01:29 and 00:29 UTC: both are 02:29

    (figure,) = card("hourly-map", "/hourly_load", "?from=now/d&to=now", "Europe/Amsterdam").figures

    assert figure["data"][0]["z"][2] == [2]
    assert "the clocks went back" in figure["data"][0]["text"][2][0]


def test_an_hour_that_was_skipped_is_a_gap_on_the_heat_map(clock, write, card):
    now = clock(2026, 3, 29, 12)
    write(now - HOUR)

    (figure,) = card("hourly-map", "/hourly_load", "?from=now/d&to=now", "Europe/Amsterdam").figures

    assert figure["data"][0]["z"][2] == [None]
    assert figure["data"][0]["z"][1] == [0]


@pytest.mark.parametrize(
    "zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns"]
)
def test_zones_off_the_full_hour_have_their_own_hours(zone, now, write, card):
    write([now - i * HOUR // 4 for i in range(1, 97)])

    (figure,) = card("hourly-map", "/hourly_load", "", zone).figures

    counts = [n for row in figure["data"][0]["z"] for n in row if n]
    assert sum(counts) == 96
    assert max(counts) == 4


def test_a_request_is_listed_with_the_time_of_the_zone(now, write, card):
    write(now - HOUR)

    (row,) = card("requests-list", "/requests", "", "Asia/Kolkata").grid_rows

    assert row["time"] == "22 Nov 16:30:00.000"


def test_the_head_counts_today_by_the_zones_midnight(clock, write, card):
    now = clock(2026, 11, 21, 19)  # half past midnight in Kolkata
    write([now - US, now - HOUR])

    assert "1 today" in card("endpoint-head", "/endpoint/1", "", "Asia/Kolkata").text
    assert "2 today" in card("endpoint-head", "/endpoint/1", "", "UTC").text


@pytest.mark.parametrize(
    ("zone", "moment"),
    [
        ("Europe/Amsterdam", (2026, 10, 25, 9)),
        ("America/New_York", (2026, 11, 1, 14)),
        ("Australia/Lord_Howe", (2026, 4, 4, 22)),
        ("Asia/Kolkata", (2026, 10, 25, 9)),
    ],
)
@pytest.mark.parametrize("name", ["overview-traffic", "overview-durations"])
def test_a_line_over_the_night_of_the_change_only_runs_forward(zone, moment, name, clock, write, card):
    now = clock(*moment)
    write([now - i * HOUR // 4 - US for i in range(12 * 4)])

    (figure,) = card(name, "/overview", "?from=now-12h&to=now", zone).figures

    for trace in figure["data"]:
        assert list(trace["x"]) == sorted(set(trace["x"]))
    n = sum(sum(trace["customdata"]) for trace in figure["data"] if trace["name"] in {"Successful", "p50"})
    assert n == 12 * 4
