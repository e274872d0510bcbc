"""What a range is compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.comparison import baseline_problem, chosen_versions, compared, pinned
from fmd_otel_dash.queries.look import Version
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.urlstate import UrlState, previous_label

AMSTERDAM = "Europe/Amsterdam"
DAY_US = 86_400 * US_PER_S


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * US_PER_S


DAY = Scope(at("2026-11-21"), at("2026-11-22"))
SHOP = replace(DAY, services=("shop",))
VERSIONS = (
    Version(1, "shop", "1.5", at("2026-10-01")),
    Version(2, "shop", "1.6", at("2026-11-01")),
    Version(3, "mail", "9.0", at("2026-11-10")),
    Version(4, "shop", "1.7", at("2026-11-20")),
)


def ask(compare: str, scope: Scope = DAY, **fields: str):
    found = whole(compare, scope, **fields)
    if found is None:
        return None
    [pair] = found.pairs
    return pair.before.start_us, pair.before.end_us, pair.before.versions, found.words


def whole(
    compare: str, scope: Scope = DAY, *, now: str = "2026-11-22T07:00", versions=VERSIONS, **fields: str
):
    return compared(
        UrlState(compare=compare, **fields),
        scope,
        now_us=at(now),
        previous="previous period",
        versions=[each for each in versions if not scope.services or each.service in scope.services],
        started={each.name: each.first_us for each in VERSIONS}.get,
    )


def test_nothing_is_compared_where_that_is_not_wanted():
    assert ask("off") is None


@pytest.mark.parametrize(
    ("compare", "start", "words"),
    [
        ("prev", "2026-11-20", "previous period"),
        ("day", "2026-11-20", "a day earlier"),
        ("week", "2026-11-14", "a week earlier"),
        ("month", "2026-10-21", "a month earlier"),
    ],
)
def test_an_earlier_time(compare, start, words):
    assert ask(compare) == (at(start), at(start) + DAY_US, (), words)


@pytest.mark.parametrize(("compare", "start"), [("day", "2026-10-25"), ("week", "2026-10-19")])
def test_an_earlier_time_is_the_same_time_of_day_across_a_clock_change(compare, start):
    day = Scope(at("2026-10-26", AMSTERDAM), at("2026-10-27", AMSTERDAM), AMSTERDAM)
    found = ask(compare, day)
    assert found[0] == at(start, AMSTERDAM)
    assert found[1] - found[0] == (25 if compare == "day" else 24) * 3600 * US_PER_S


def test_the_previous_version_is_looked_at_for_as_long_as_the_range_up_to_its_replacement():
    assert ask("version", SHOP) == (at("2026-11-19"), at("2026-11-20"), ("1.6",), "version 1.6")


def test_of_a_chosen_version_the_one_before_it_of_the_same_service_counts():
    assert ask("version", replace(DAY, versions=("1.6",)))[2] == ("1.5",)
    assert ask("version", replace(DAY, versions=("1.5",))) is None
    assert ask("version", replace(DAY, versions=("9.0",))) is None


def test_a_version_that_was_short_lived_is_not_looked_at_before_it_began():
    long = replace(SHOP, start_us=at("2026-01-01"))
    assert ask("version", long)[:2] == (at("2026-11-01"), at("2026-11-20"))


def test_the_newer_version_is_looked_at_from_its_first_request_and_alone():
    long = replace(SHOP, start_us=at("2026-01-01"))
    found = whole("version", long)
    [pair] = found.pairs
    assert (pair.after.start_us, pair.after.end_us) == (at("2026-11-20"), at("2026-11-22"))
    assert pair.after.versions == ("1.7",)
    assert found.of == "version 1.7 since 20 Nov 00:00"
    assert found.versions


def test_a_version_that_came_after_the_range_is_none_of_its_newest():
    past = replace(SHOP, start_us=at("2026-11-05"), end_us=at("2026-11-06"))
    [pair] = whole("version", past).pairs
    assert (pair.after.versions, pair.before.versions) == (("1.6",), ("1.5",))


def test_each_service_is_compared_with_its_own_previous_version():
    older = (
        Version(9, "mail", "8.0", at("2026-11-02")),
        *VERSIONS,
        Version(10, "jobs", "1", at("2026-11-02")),
    )
    found = whole("version", versions=older)
    names = {
        pair.after.services: (pair.after.versions, pair.before and pair.before.versions)
        for pair in found.pairs
    }
    assert names == {
        ("mail",): (("9.0",), ("8.0",)),
        ("shop",): (("1.7",), ("1.6",)),
        ("jobs",): ((), None),
    }
    assert found.words == "previous version of each service"


@pytest.mark.parametrize("compare", ["prev", "day", "week", "month"])
@pytest.mark.parametrize("zone", [AMSTERDAM, "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    "day", ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]
)
def test_what_lies_ahead_is_on_neither_side(compare, zone, day):
    """Six hours into the day, wherever, the day as a date and as "so far" are compared with the same."""
    start, end = at(day, zone), at(day, zone) + DAY_US
    now = start + 6 * 3600 * US_PER_S
    moment = datetime.fromtimestamp(now // US_PER_S, ZoneInfo("UTC")).replace(tzinfo=None).isoformat()
    [pair] = whole(compare, Scope(start, end, zone), now=moment).pairs
    assert (pair.after.start_us, pair.after.end_us) == (start, now)
    assert pair.before.end_us <= start
    if compare == "prev":
        assert pair.before.length_us == pair.after.length_us
    else:
        [so_far] = whole(compare, Scope(start, now, zone), now=moment).pairs
        assert so_far == pair
        before, after = (
            [
                datetime.fromtimestamp(us // US_PER_S, ZoneInfo(zone)).time()
                for us in (one.start_us, one.end_us)
            ]
            for one in (pair.before, pair.after)
        )
        assert before == after, "the same time of day"


@pytest.mark.parametrize(
    ("compare", "days", "words", "earlier"),
    [
        ("day", 7, "7 days earlier", 7),
        ("day", 1, "a day earlier", 1),
        ("week", 30, "5 weeks earlier", 35),
        ("week", 7, "a week earlier", 7),
        ("month", 45, "2 months earlier", 61),
    ],
)
def test_no_request_is_on_both_sides(compare, days, words, earlier):
    long = Scope(at("2026-11-22") - days * DAY_US, at("2026-11-22"))
    found = whole(compare, long)
    [pair] = found.pairs
    assert pair.before.end_us <= pair.after.start_us
    assert found.words == words
    assert pair.after.start_us - pair.before.start_us == earlier * DAY_US


def test_a_day_that_the_month_before_does_not_have_is_compared_with_its_last():
    day = Scope(at("2026-03-30"), at("2026-03-31"))
    [pair] = whole("month", day, now="2026-04-01").pairs
    assert (pair.before.start_us, pair.before.end_us) == (at("2026-02-28"), at("2026-03-01"))


def test_a_baseline_that_overlaps_the_range_is_refused_in_words():
    state = UrlState(compare="pin", baseline="2026-11-20~2026-11-21")
    told = baseline_problem(state, now_us=at("2026-11-22"), scope=DAY, started={}.get)
    assert "overlaps" in told
    assert whole("pin", baseline=state.baseline) is None


def test_two_chosen_versions_are_looked_at_for_as_long_as_each_served():
    [pair] = chosen_versions(DAY, "1.5", "1.7", VERSIONS, lifetime=True)
    assert (pair.before.start_us, pair.before.versions) == (at("2026-10-01"), ("1.5",))
    assert (pair.after.start_us, pair.after.versions) == (at("2026-11-20"), ("1.7",))
    assert pair.before.end_us == pair.after.end_us == DAY.end_us
    assert pair.before.services == pair.after.services == ("shop",)
    [pair] = chosen_versions(DAY, "1.5", "1.7", VERSIONS, lifetime=False)
    assert pair.before.start_us == pair.after.start_us == DAY.start_us
    assert chosen_versions(DAY, "1.5", "9.0", VERSIONS, lifetime=True) == ()


@pytest.mark.parametrize(
    ("baseline", "start", "end", "words"),
    [
        ("2026-11-01~2026-11-02", "2026-11-01", "2026-11-03", "1 Nov – 2 Nov 2026"),
        ("2026-11-01~2026-11-01", "2026-11-01", "2026-11-02", "1 Nov 2026"),
        ("version:1.6~version:1.7", "2026-11-01", "2026-11-20", "1 Nov – 19 Nov 2026"),
        (
            pinned("2026-11-01T10:00:00Z", "2026-11-01T11:30:00Z"),
            "2026-11-01T10:00",
            "2026-11-01T11:30",
            "1 Nov 10:00 – 1 Nov 11:30",
        ),
    ],
)
def test_a_pinned_baseline_stays_where_it_is(baseline, start, end, words):
    assert ask("pin", baseline=baseline) == (at(start), at(end), (), words)


@pytest.mark.parametrize(
    ("baseline", "told"),
    [
        ("", "Nothing is pinned"),
        ("2026-11-01", "not a range"),
        ("2026-11-03~2026-11-01", "ends before it starts"),
        ("rubbish~now", "cannot be used"),
        ("version:7~now", "No version"),
    ],
)
def test_a_baseline_that_cannot_be_used_is_named_and_nothing_is_compared(baseline, told):
    state = UrlState(compare="pin", baseline=baseline)
    problem = baseline_problem(state, now_us=at("2026-11-22"), scope=DAY, started={}.get)
    assert told in problem
    assert ask("pin", baseline=baseline.replace("version:7", "version:8")) is None


@given(st.text(max_size=80))
def test_no_baseline_raises(text):
    ask("pin", baseline=text)
    baseline_problem(UrlState(compare="pin", baseline=text), now_us=1, scope=DAY, started={}.get)


def test_the_period_before_the_last_24_hours_is_called_so():
    assert previous_label(UrlState()) == "previous 24 hours"
    assert previous_label(UrlState(start="2026-11-01", end="2026-11-02")) == "previous period"
