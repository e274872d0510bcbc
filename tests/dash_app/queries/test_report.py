from __future__ import annotations

import random
from dataclasses import replace

import pytest

from fmd_otel_dash.queries.report import report, report_of
from fmd_otel_dash.queries.scope import Pair, Scope
from fmd_otel_dash.stats.findings import Threshold, judged
from fmd_otel_dash.stats.significance import Effect

HOUR = 3_600_000_000
DAY = 24 * HOUR


@pytest.fixture
def days(at):
    """Yesterday and today, of a fixed date."""
    midnight = at(2026, 11, 22)
    return Scope(midnight - DAY, midnight), Scope(midnight, midnight + DAY)


@pytest.fixture
def served(request_at):
    """Make requests spread over a day, of durations with a spread."""

    def make(day: Scope, endpoint: str, n: int, *, factor: float = 1.0, seed: int = 1, **fields):
        chance = random.Random(seed)  # noqa: S311 - the same in every run
        return [
            request_at(
                day.start_us + i * DAY // n,
                endpoint,
                **{"duration_us": round(20_000 * factor * chance.lognormvariate(0, 0.4))} | fields,
            )
            for i in range(n)
        ]

    return make


def one(found, name):
    return next(each for each in found.endpoints if each.endpoint.name == name)


def test_what_got_slower_is_found_with_its_size(store, write, days, served):
    before, after = days
    write(*served(before, "shop.slow", 600), *served(after, "shop.slow", 600, factor=1.2, seed=2))
    write(*served(before, "shop.same", 600), *served(after, "shop.same", 600, seed=3))

    found = report(store, before, after)

    slow = one(found, "shop.slow")
    assert slow.worse
    assert slow.findings["latency"].effect.value == pytest.approx(0.2, abs=0.06)
    assert slow.lost_us == pytest.approx(600 * 20_000 * 0.2 * 1.08, rel=0.4)
    assert not one(found, "shop.same").matters
    assert found.regressions == (slow,)
    assert found.endpoints[0] == slow


def test_more_errors_are_a_regression_without_any_change_of_duration(store, write, days, served):
    before, after = days
    write(*served(before, "shop.cart", 500), *served(after, "shop.cart", 450))
    write(*served(after, "shop.cart", 50, status=500, seed=4))

    found = one(report(store, before, after), "shop.cart")

    assert found.findings["errors"].effect.value == pytest.approx(0.1)
    assert found.worse


def test_traffic_is_compared_hour_by_hour_and_is_no_regression(store, write, days, served):
    before, after = days
    write(*served(before, "shop.cart", 240), *served(after, "shop.cart", 720, seed=2))

    found = one(report(store, before, after), "shop.cart")

    assert found.findings["traffic"].effect.value == pytest.approx(2.0)
    assert found.findings["traffic"].matters
    assert not found.worse


def test_two_versions_are_compared_without_their_traffic(store, write, days, served):
    day = days[1]
    write(*served(day, "shop.cart", 400), *served(day, "shop.cart", 100, factor=1.5, seed=2, version="2.0"))

    found = one(
        report(store, replace(day, versions=("1.0",)), replace(day, versions=("2.0",)), traffic=False),
        "shop.cart",
    )

    assert "traffic" not in found.findings
    assert found.worse


def test_an_endpoint_that_came_or_went_is_named_as_such(store, write, days, served):
    before, after = days
    write(*served(before, "shop.old", 20), *served(after, "shop.new", 20))

    found = report(store, before, after)

    assert one(found, "shop.old").went
    assert one(found, "shop.new").came
    assert one(found, "shop.new").matters
    assert one(found, "shop.new").lost_us == 0
    assert not found.regressions


def test_a_period_that_is_not_over_is_compared_with_as_many_hours(store, write, days, served):
    before, after = days
    write(*served(before, "shop.cart", 480), *served(after, "shop.cart", 480, seed=2))
    until_noon = replace(after, end_us=after.start_us + 12 * HOUR)

    found = one(report(store, before, until_noon), "shop.cart")

    assert found.findings["traffic"].effect.value == pytest.approx(0)


def test_nothing_to_compare_is_an_empty_report(store, days):
    assert report(store, *days).endpoints == ()


def test_a_significant_change_may_be_too_small_to_matter():
    effect = Effect(0.01, 0.008, 0.012, 1e-9, 10**6, 10**6)
    [found] = judged([{"latency": effect}], Threshold())
    assert found["latency"].significant
    assert not found["latency"].matters


def test_an_endpoint_that_just_happened_to_be_requested_on_one_day_is_no_news(store, write, days, request_at):
    """Forty endpoints with about one request a day each: most were requested on one of two days only."""
    chance = random.Random(1)  # noqa: S311 - the same in every run
    write(
        *(
            request_at(day.start_us + chance.randrange(DAY), f"shop.e{number}")
            for number in range(40)
            for day in days
            for _ in range(sum(chance.random() < 0.01 for _ in range(100)))
        )
    )

    found = report(store, *days)

    assert sum(not each.before.counts.n or not each.after.counts.n for each in found.endpoints) > 10
    assert not any(each.matters or each.came or each.went for each in found.endpoints)


def test_what_people_lost_most_time_by_is_on_top_whether_or_not_it_is_worse(store, write, days, served):
    before, after = days
    write(*served(before, "shop.busy", 400), *served(after, "shop.busy", 400, factor=1.1, seed=2))
    write(*served(before, "shop.rare", 40), *served(after, "shop.rare", 40, factor=3, seed=3))
    write(*served(before, "shop.few", 3), *served(after, "shop.few", 3, duration_us=9_000_000))
    write(*served(before, "shop.better", 400), *served(after, "shop.better", 400, factor=0.5, seed=4))

    found = report(store, *days).endpoints

    assert [each.lost_us for each in found] == sorted((each.lost_us for each in found), reverse=True)
    assert found[0].endpoint.name == "shop.few"
    assert not found[0].worse


def test_services_are_compared_each_with_its_own_and_corrected_together(store, write, days, served):
    before, after = days
    for service in ("shop", "mail"):
        write(*served(before, f"{service}.one", 200, service=service))
        write(*served(after, f"{service}.one", 200, seed=2, factor=1.5, service=service))
    shop, mail = (
        Pair(replace(after, services=(name,)), replace(before, services=(name,))) for name in ("shop", "mail")
    )

    both, alone = report_of(store, (shop, mail)), report_of(store, (shop,))

    assert {each.endpoint.name for each in both.regressions} == {"shop.one", "mail.one"}
    assert [each.endpoint.name for each in alone.endpoints] == ["shop.one"]
    for measure in ("traffic", "errors"):
        assert one(both, "shop.one").findings[measure].q == pytest.approx(1, abs=0.2)


def test_on_equal_days_hardly_a_report_raises_an_alarm(store, write, days, served):
    before, after = days
    for number in range(20):
        write(*served(before, f"shop.e{number}", 100, seed=number))
        write(*served(after, f"shop.e{number}", 100, seed=100 + number))
    assert not report(store, before, after).regressions
