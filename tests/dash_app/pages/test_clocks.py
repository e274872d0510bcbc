"""What "today", a day and an hour are, wherever the reader's clock hangs."""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from fmd_otel_dash import formatting, urlstate
from fmd_otel_dash.pages import daily, hourly
from fmd_otel_dash.rangetext import parse_text

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


AMSTERDAM, NEW_YORK = "Europe/Amsterdam", "America/New_York"
KOLKATA, LORD_HOWE = "Asia/Kolkata", "Australia/Lord_Howe"
ZONES = (AMSTERDAM, NEW_YORK, KOLKATA, LORD_HOWE)
# Zone, day, hour of the clock, and how long that hour lasted.
HOURS = [
    (AMSTERDAM, "2026-03-29", 1, 1),
    (AMSTERDAM, "2026-03-29", 3, 1),
    (AMSTERDAM, "2026-10-25", 1, 1),
    (AMSTERDAM, "2026-10-25", 2, 2),
    (AMSTERDAM, "2026-10-25", 3, 1),
    (NEW_YORK, "2026-03-08", 1, 1),
    (NEW_YORK, "2026-03-08", 3, 1),
    (NEW_YORK, "2026-11-01", 0, 1),
    (NEW_YORK, "2026-11-01", 1, 2),
    (NEW_YORK, "2026-11-01", 23, 1),
    (KOLKATA, "2026-03-29", 23, 1),
    (LORD_HOWE, "2026-04-05", 0, 1),
    (LORD_HOWE, "2026-04-05", 1, 1.5),
    (LORD_HOWE, "2026-04-05", 2, 1),
    (LORD_HOWE, "2026-10-04", 1, 1),
    (LORD_HOWE, "2026-10-04", 2, 0.5),
    (LORD_HOWE, "2026-10-04", 3, 1),
]


def window_of(href, now):
    state = urlstate.parse("?" + href.partition("?")[2])
    found = urlstate.resolve(state, now_us=now)
    assert not found.problem
    return found


@pytest.mark.parametrize(("zone", "day", "hour", "lasted"), HOURS)
def test_a_click_on_an_hour_leads_to_just_the_requests_that_it_counts(
    zone, day, hour, lasted, now, write, card, view_of
):
    """One request every quarter of an hour, and the list of an hour has as many as its cell says."""
    noon = int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone)).timestamp()) * US
    write([noon + i * HOUR // 4 for i in range(-80, 80)])
    search = f"?tz={zone}&from={day}&to={day}"
    (figure,) = card("hourly-map", "/hourly_load", search).figures
    href = hourly.clicked_hour(view_of("/hourly_load", search), {"x": f"{day} 12:00", "y": hour})

    found = window_of(href, now)

    assert found.end_us - found.start_us == lasted * HOUR
    assert figure["data"][0]["z"][hour] == [4 * lasted]
    path, _, query = href.removeprefix("/dashboard").partition("?")
    assert len(card("requests-list", path, f"?{query}").grid_rows) == 4 * lasted


@pytest.mark.parametrize(
    ("zone", "day", "hour"),
    [(AMSTERDAM, "2026-03-29", 2), (NEW_YORK, "2026-03-08", 2)],
)
def test_an_hour_that_was_skipped_leads_nowhere(zone, day, hour, now, write, view_of):
    write(now)
    view = view_of("/hourly_load", f"?tz={zone}&from={day}&to={day}")
    assert hourly.clicked_hour(view, {"x": f"{day} 12:00", "y": hour}) is None


def test_an_hour_at_the_end_of_the_range_leads_no_farther_than_the_range(now, write, view_of):
    write(now)
    view = view_of("/hourly_load", "?from=2026-11-22T09:30:00Z&to=2026-11-22T11:15:00Z")
    for hour, minutes in ((9, 30), (10, 60), (11, 15)):
        found = window_of(hourly.clicked_hour(view, {"x": "2026-11-22 12:00", "y": hour}), now)
        assert found.end_us - found.start_us == minutes * HOUR // 60


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        (AMSTERDAM, "2026-03-29", 23),
        (AMSTERDAM, "2026-10-25", 25),
        (NEW_YORK, "2026-03-08", 23),
        (NEW_YORK, "2026-11-01", 25),
        (KOLKATA, "2026-03-29", 24),
        (LORD_HOWE, "2026-04-05", 24.5),
        (LORD_HOWE, "2026-10-04", 23.5),
    ],
)
def test_a_click_on_a_day_leads_to_the_whole_day(zone, day, length, now, view_of):
    view = view_of("/daily_utilization", f"?tz={zone}")
    found = window_of(daily.clicked_day(view, {"x": day}), now)
    assert found.end_us - found.start_us == length * HOUR


@pytest.mark.parametrize(("zone", "day", "hour", "lasted"), HOURS)
def test_an_hour_that_is_typed_is_the_hour_that_is_clicked(zone, day, hour, lasted, now):
    until = f"{hour + 1:02d}:00" if hour < 23 else "00:00"
    start, end = parse_text(f"{day} {hour:02d}:00 to {until}", now_us=now, zone=ZoneInfo(zone))
    found = window_of("?" + f"from={start}&to={end}&tz={zone}", now)
    # What is skipped half is typed as a whole: from 02:00, which is 02:30, to 03:00.
    assert found.end_us - found.start_us == lasted * HOUR


# A moment of each zone after its clocks changed, and how many hours these last by the calendar of 2026: today
# so far, yesterday, this week so far, last week, this month so far, last month.
PRESETS = [
    (AMSTERDAM, "2026-03-30T06:00", 6, 23, 6, 7 * 24 - 1, 29 * 24 + 6 - 1, 28 * 24),
    (AMSTERDAM, "2026-04-01T06:00", 6, 24, 54, 7 * 24 - 1, 6, 31 * 24 - 1),
    (AMSTERDAM, "2026-10-26T06:00", 6, 25, 6, 7 * 24 + 1, 25 * 24 + 6 + 1, 30 * 24),
    (NEW_YORK, "2026-03-09T06:00", 6, 23, 6, 7 * 24 - 1, 8 * 24 + 6 - 1, 28 * 24),
    (NEW_YORK, "2026-11-02T06:00", 6, 25, 6, 7 * 24 + 1, 24 + 6 + 1, 31 * 24),
    (KOLKATA, "2026-03-30T06:00", 6, 24, 6, 7 * 24, 29 * 24 + 6, 28 * 24),
    (LORD_HOWE, "2026-04-06T06:00", 6, 24.5, 6, 7 * 24 + 0.5, 5 * 24 + 6.5, 31 * 24),
    (LORD_HOWE, "2026-10-05T06:00", 6, 23.5, 6, 7 * 24 - 0.5, 4 * 24 + 5.5, 30 * 24),
]


@pytest.mark.parametrize(
    ("zone", "moment", "today", "yesterday", "week", "last_week", "month", "last_month"), PRESETS
)
def test_named_ranges_follow_the_calendar_across_a_change_of_the_clocks(
    zone, moment, today, yesterday, week, last_week, month, last_month, clock, write, card
):
    now_us = int(datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone)).timestamp()) * US
    utc = datetime.fromtimestamp(now_us // US, ZoneInfo("UTC"))
    assert clock(utc.year, utc.month, utc.day, utc.hour, utc.minute) == now_us
    write([now_us - i * HOUR // 2 - US for i in range(2 * 24 * 100)])
    lengths = {
        "today": today, "yesterday": yesterday, "this week": week, "last week": last_week,
        "this month": month, "last month": last_month,
    }  # fmt: skip

    for text, hours in lengths.items():
        start, end = parse_text(text, now_us=now_us, zone=ZoneInfo(zone))
        found = window_of(f"?from={start}&to={end}&tz={zone}", now_us)
        assert found.end_us - found.start_us == hours * HOUR, text
        for compare in ("prev", "day", "week", "month"):
            shown = card("overview-kpis", "/overview", f"?from={start}&to={end}&cmp={compare}", zone).text
            assert f"Requests {formatting.count(2 * hours)} " in shown
            change = shown.partition("vs")[0].rpartition("Requests")[2]
            few = re.search(r"few requests before: (\d+) ", change)
            # As many hours by the clock may be one more or less, and have requests accordingly.
            is_told = few is not None and abs(int(few.group(1)) - 2 * hours) <= 2
            assert is_told or "0.0 %" in change or "to compare" in change, (text, compare, change)
