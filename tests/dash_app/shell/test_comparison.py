"""What a range is compared with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.comparison import baseline_problem, compared, pinned
from fmd_otel_dash.queries.look import Version
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.urlstate import UrlState, previous_label

AMSTERDAM = "Europe/Amsterdam"
DAY_US = 86_400 * US_PER_S


def at(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * US_PER_S


DAY = Scope(at("2026-11-21"), at("2026-11-22"))
VERSIONS = (
    Version(1, "shop", "1.5", at("2026-10-01")),
    Version(2, "shop", "1.6", at("2026-11-01")),
    Version(3, "mail", "9.0", at("2026-11-10")),
    Version(4, "shop", "1.7", at("2026-11-20")),
)


def ask(compare: str, scope: Scope = DAY, **fields: str):
    found = compared(
        UrlState(compare=compare, **fields),
        scope,
        now_us=at("2026-11-22T07:00"),
        previous="previous period",
        versions=VERSIONS,
        started={each.name: each.first_us for each in VERSIONS}.get,
    )
    return found and (found.scope.start_us, found.scope.end_us, found.scope.versions, found.words)


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
    assert ask("version") == (at("2026-11-19"), at("2026-11-20"), ("1.6",), "version 1.6")


def test_of_a_chosen_version_the_one_before_it_of_the_same_service_counts():
    assert ask("version", replace(DAY, versions=("1.6",)))[2] == ("1.5",)
    assert ask("version", replace(DAY, versions=("1.5",))) is None
    assert ask("version", replace(DAY, versions=("9.0",))) is None


def test_a_version_that_was_short_lived_is_not_looked_at_before_it_began():
    long = replace(DAY, start_us=at("2026-01-01"))
    assert ask("version", long)[:2] == (at("2026-11-01"), at("2026-11-20"))


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
