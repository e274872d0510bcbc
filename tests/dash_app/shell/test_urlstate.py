from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash import urlstate
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.rangetext import RangeError, moment_us, parse_text, utc_moment
from fmd_otel_dash.urlstate import (
    UrlState,
    format_search,
    label,
    parse,
    resolve,
    shifted,
    with_text,
    zoomed_out,
)

NOW_US = 1_795_330_800 * US_PER_S  # Sunday 2026-11-22 07:00 UTC
AMSTERDAM = "Europe/Amsterdam"
HOUR_US = 3600 * US_PER_S
DAY_US = 24 * HOUR_US

texts = st.text(min_size=1, max_size=30).filter(lambda text: text == text.strip() and text.isprintable())
names = texts.filter(lambda name: name not in {"from", "to", "tz", "cmp", "base", "refresh", "v", "svc"})
states = st.builds(
    UrlState,
    start=texts,
    end=texts,
    tz=st.sampled_from(["", "UTC", AMSTERDAM, "Mars/Base"]),
    compare=st.sampled_from(list(urlstate.COMPARISONS)),
    baseline=st.just("") | texts,
    refresh=st.sampled_from(["", "10s", "1m", "5m"]),
    versions=st.lists(texts, max_size=4, unique=True).map(tuple),
    services=st.lists(texts, max_size=4, unique=True).map(tuple),
    extra=st.lists(st.tuples(names, texts), max_size=4).map(tuple),
)
zones = st.sampled_from(
    ["UTC", AMSTERDAM, "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe", "Asia/Beirut"]
)
moments = st.integers(min_value=0, max_value=4_000_000_000 * US_PER_S)
clocks = st.integers(min_value=1_000_000_000 * US_PER_S, max_value=4_000_000_000 * US_PER_S)


def at(text, zone="UTC"):
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * US_PER_S


def started(version):
    return at("2026-11-19T08:00") if version == "1.7.0" else None


@given(states)
def test_an_address_says_exactly_what_was_written_into_it(state):
    assert parse(format_search(state)) == state


@given(st.text(max_size=300))
def test_any_address_is_read_and_means_some_range(search):
    state = parse(search)
    window = resolve(state, now_us=NOW_US)
    assert 0 <= window.start_us < window.end_us
    assert parse(format_search(state)) == state


@given(states, clocks)
def test_whatever_stands_in_it_gives_a_range_and_a_label(state, now_us):
    window = resolve(state, now_us=now_us, browser_tz=AMSTERDAM)
    assert window.start_us < window.end_us
    assert label(state, window)
    ZoneInfo(window.tz)


@given(moments, zones)
def test_an_instant_written_down_is_the_same_instant_in_every_zone(us, zone):
    written = utc_moment(us)
    assert moment_us(written, now_us=NOW_US, zone=ZoneInfo(zone)) == us // US_PER_S * US_PER_S


@given(clocks, zones, st.sampled_from("hdwMy"))
def test_the_start_of_a_day_week_month_or_year_is_not_after_now(now_us, zone, unit):
    floored = moment_us(f"now/{unit}", now_us=now_us, zone=ZoneInfo(zone))
    assert floored <= now_us
    assert now_us - floored <= 367 * DAY_US


def test_the_default_is_an_empty_address():
    assert format_search(UrlState()) == ""
    window = resolve(UrlState(), now_us=NOW_US)
    assert window.end_us - window.start_us == DAY_US
    assert (window.tz, window.problem) == ("UTC", "")


def test_the_address_of_the_design_is_readable():
    state = parse("?from=now-24h&to=now&tz=Europe/Amsterdam&cmp=prev&v=1.7.0&svc=shop")
    assert (state.tz, state.versions, state.services) == (AMSTERDAM, ("1.7.0",), ("shop",))
    assert format_search(state) == "?tz=Europe/Amsterdam&v=1.7.0&svc=shop"


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("3h", "2026-11-22T04:00", "2026-11-22T07:00"),
        ("last 90 minutes", "2026-11-22T05:30", "2026-11-22T07:00"),
        ("24h", "2026-11-21T07:00", "2026-11-22T07:00"),
        ("7d", "2026-11-15T07:00", "2026-11-22T07:00"),
        ("2 weeks", "2026-11-08T07:00", "2026-11-22T07:00"),
        ("1M", "2026-10-22T06:00", "2026-11-22T07:00"),  # 08:00 there before and after the clocks changed
        ("today", "2026-11-21T23:00", "2026-11-22T07:00"),
        ("Yesterday", "2026-11-20T23:00", "2026-11-21T23:00"),
        ("last week", "2026-11-08T23:00", "2026-11-15T23:00"),
        ("2026-11-01 to 2026-11-03", "2026-10-31T23:00", "2026-11-03T23:00"),
        ("2026-11-01 - 2026-11-03", "2026-10-31T23:00", "2026-11-03T23:00"),
        ("2026-11-01..2026-11-03", "2026-10-31T23:00", "2026-11-03T23:00"),
        ("2026-11-01", "2026-10-31T23:00", "2026-11-01T23:00"),
        ("2026-11-01 13:00 to 2026-11-01 14:30", "2026-11-01T12:00", "2026-11-01T13:30"),
        ("2026-11-01T13:00Z to 2026-11-01T14:00Z", "2026-11-01T13:00", "2026-11-01T14:00"),
        ("2026-11-01T13:00+05:30 to now", "2026-11-01T07:30", "2026-11-22T07:00"),
        ("06:00 to 7:30", "2026-11-22T05:00", "2026-11-22T06:30"),
        ("2026-11-01 13:00 to 15:00", "2026-11-01T12:00", "2026-11-01T14:00"),
        ("2026-11-01 22:00 to 02:00", "2026-11-01T21:00", "2026-11-02T01:00"),
        ("2026-11-01T13:00Z to 15:00", "2026-11-01T13:00", "2026-11-01T15:00"),
        ("2026-10-24 22:00 to 4:00", "2026-10-24T20:00", "2026-10-25T03:00"),
        ("2026-11-01 to 15:00", "2026-10-31T23:00", "2026-11-01T14:00"),
        ("22:00 to 02:00", "2026-11-22T21:00", "2026-11-23T01:00"),
        ("2026-11-01 13:00 to now", "2026-11-01T12:00", "2026-11-22T07:00"),
        ("3 days ago to yesterday", "2026-11-19T07:00", "2026-11-20T23:00"),
        ("since 1.7.0", "2026-11-19T08:00", "2026-11-22T07:00"),
        ("since v1.7.0", "2026-11-19T08:00", "2026-11-22T07:00"),
        ("since version 1.7.0", "2026-11-19T08:00", "2026-11-22T07:00"),
        ("since yesterday", "2026-11-20T23:00", "2026-11-22T07:00"),
        ("since 2026-11-20", "2026-11-19T23:00", "2026-11-22T07:00"),
        ("now-3h to now-1h", "2026-11-22T04:00", "2026-11-22T06:00"),
    ],
)
def test_what_people_type_is_understood(text, start, end):
    state = with_text(UrlState(), text, now_us=NOW_US, tz=AMSTERDAM, started=started)
    again = parse(format_search(state))
    window = resolve(again, now_us=NOW_US, default_tz=AMSTERDAM, started=started)
    assert window.problem == ""
    assert (window.start_us, window.end_us) == (at(start), at(end))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Type a range"),
        ("  ", "Type a range"),
        ("banana", "“banana” is not a range"),
        ("since 9.9.9", "No version “9.9.9”"),
        ("2026-02-30", "“2026-02-30” is not a time"),
        ("2026-13-01 to 2026-14-01", "“2026-13-01” is not a time"),
        ("25:00 to 26:00", "is not a time"),
        ("2026-13-01 10:00 to 09:00", "“2026-13-01 10:00 to 09:00” is not a range"),
        ("9999-12-31 10:00 to 09:00", "“9999-12-31 10:00 to 09:00” is not a range"),
        ("2026-11-03 to 2026-11-01", "ends before it starts"),
        ("now to now", "ends before it starts"),
        ("0h", "is not a range"),
        ("999999d", "lies outside"),
        ("999999y", "is not a time"),
        ("1899-01-01 to 1900-01-01", "lies outside"),
        ("x" * 500, "…”"),
    ],
)
def test_what_nobody_understands_is_told_with_the_value_and_a_way_out(text, words):
    with pytest.raises(RangeError) as caught:
        parse_text(text, now_us=NOW_US, zone=ZoneInfo(AMSTERDAM), started=started)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ("?from=banana&to=now", "“banana”"),
        ("?from=now&to=now-1h", "“now to now-1h” ends before it starts"),
        ("?from=version:0.1&to=now", "No version “0.1”"),
        ("?from=1971-01-01&to=now", "longer than 20 years"),
        ("?from=now-1h&to=9999-12-31", "9998"),
        ("?tz=Mars/Base", "“Mars/Base” is not a time zone"),
        ("?tz=../../etc/passwd", "is not a time zone"),
    ],
)
def test_a_mistyped_address_shows_the_default_and_says_why(search, words):
    window = resolve(parse(search), now_us=NOW_US, started=started)
    assert words in window.problem
    assert (window.start_us, window.end_us) == (NOW_US - DAY_US, NOW_US)


def test_the_zone_comes_from_the_address_then_the_setting_then_the_browser_then_utc():
    def zone(search="", **fallbacks):
        return resolve(parse(search), now_us=NOW_US, **fallbacks).tz

    assert zone("?tz=Asia/Tokyo", default_tz=AMSTERDAM, browser_tz="UTC") == "Asia/Tokyo"
    assert zone(default_tz=AMSTERDAM, browser_tz="Asia/Tokyo") == AMSTERDAM
    assert zone(browser_tz="Asia/Tokyo") == "Asia/Tokyo"
    assert zone(browser_tz="rubbish") == "UTC"
    assert zone() == "UTC"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-22", 24)])
def test_a_day_is_as_long_as_the_clocks_make_it(day, hours):
    state = UrlState(start=day, end=day, tz=AMSTERDAM)
    window = resolve(state, now_us=NOW_US)
    assert window.end_us - window.start_us == hours * HOUR_US


def test_a_wall_clock_time_that_comes_twice_is_the_whole_of_both():
    state = UrlState(start="2026-10-25T02:30", end="2026-10-25T02:30", tz=AMSTERDAM)
    window = resolve(state, now_us=NOW_US)
    assert (window.start_us, window.end_us) == (at("2026-10-25T00:30"), at("2026-10-25T01:30"))


def test_the_hour_that_comes_twice_starts_when_it_starts():
    second = at("2026-10-25T01:40")  # 02:40, winter time
    assert moment_us("now/h", now_us=second, zone=ZoneInfo(AMSTERDAM)) == at("2026-10-25T01:00")


def test_wall_clock_times_take_their_zone_along():
    state = with_text(UrlState(), "2026-11-01", now_us=NOW_US, tz=AMSTERDAM)
    assert state.tz == AMSTERDAM
    assert with_text(UrlState(), "3h", now_us=NOW_US, tz=AMSTERDAM).tz == ""
    kept = with_text(UrlState(tz="Asia/Tokyo"), "2026-11-01", now_us=NOW_US, tz="Asia/Tokyo")
    assert kept.tz == "Asia/Tokyo"


@given(st.sampled_from([-1, 1]), st.integers(min_value=1, max_value=10_000))
def test_moving_forth_and_back_leads_where_it_started(direction, minutes):
    state = UrlState(start=f"now-{minutes}m")
    first = resolve(state, now_us=NOW_US)
    there = shifted(state, first, direction)
    moved = resolve(there, now_us=NOW_US)
    assert moved.start_us - first.start_us == direction * minutes * 60 * US_PER_S
    back = resolve(shifted(there, moved, -direction), now_us=NOW_US)
    assert (back.start_us, back.end_us) == (first.start_us, first.end_us)


@pytest.mark.parametrize(
    ("search", "length"),
    [
        ("", 2 * DAY_US),
        ("?from=now-3h&to=now", 6 * HOUR_US),
        ("?from=2026-11-01T10:00Z&to=2026-11-01T11:00Z", 2 * HOUR_US),
    ],
)
def test_zooming_out_doubles_the_range_and_stays_relative_where_it_was(search, length):
    state = parse(search)
    window = resolve(state, now_us=NOW_US)
    wider = zoomed_out(state, window, NOW_US)
    seen = resolve(wider, now_us=NOW_US)
    assert seen.end_us - seen.start_us == length
    assert wider.relative == state.relative
    assert seen.start_us <= window.start_us
    assert seen.end_us >= window.end_us


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("", "Last 24 hours"),
        ("?from=now-1d/d&to=now/d", "Yesterday"),
        ("?from=now-90m&to=now", "Last 90 minutes"),
        ("?from=now-48h&to=now", "Last 2 days"),
        ("?from=now-1m&to=now", "Last minute"),
        ("?from=now-60s&to=now", "Last minute"),
        ("?from=version:1.7.0&to=now", "Since 1.7.0"),
        ("?from=2026-11-01&to=2026-11-03", "1 Nov – 3 Nov 2026"),
        ("?from=2026-11-01&to=2026-11-01", "Sun 1 Nov 2026"),
        ("?from=2025-12-31&to=2026-01-01", "31 Dec 2025 – 1 Jan 2026"),
        ("?from=2026-11-01T10:00Z&to=2026-11-01T11:30Z", "1 Nov 2026, 10:00 – 11:30"),
        ("?from=2026-11-01T10:00Z&to=2026-11-02T11:30Z", "1 Nov, 10:00 – 2 Nov 2026, 11:30"),
        ("?from=rubbish&to=now", "Last 24 hours"),
    ],
)
def test_a_range_is_named_as_people_would(search, said):
    state = parse(search)
    assert label(state, resolve(state, now_us=NOW_US, started=started)) == said


def test_labels_are_in_the_windows_zone():
    state = parse("?from=2026-11-01T23:30Z&to=2026-11-02T00:30Z&tz=Europe/Amsterdam")
    assert label(state, resolve(state, now_us=NOW_US)) == "2 Nov 2026, 00:30 – 01:30"


def test_a_pages_own_parameters_survive_the_rest():
    state = parse("?q=cart&sort=p95&sort=n&from=now-3h&to=now")
    assert (state.get("q"), state.get_all("sort"), state.get("none", "x")) == ("cart", ("p95", "n"), "x")
    moved = state.with_extra("sort", "hits")
    assert moved.get_all("sort") == ("hits",)
    assert moved.start == "now-3h"
    assert moved.with_extra("q").get("q") == ""


def test_now_is_utc_here():
    assert datetime.fromtimestamp(NOW_US / US_PER_S, timezone.utc).isoformat() == "2026-11-22T07:00:00+00:00"
