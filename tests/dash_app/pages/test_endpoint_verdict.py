"""The verdict in an endpoint's head."""

from __future__ import annotations

import random
import re

import pytest

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer

HOUR = 3_600_000_000
DAY = 24 * HOUR


@pytest.fixture
def spread(store):
    """Write n requests over a stretch of time, a factor slower than usual, some of them failing."""

    def into(start_us, length_us, n, factor=1.0, failing=0.0, version="1.0", by=("shop", "shop.cart")):
        chance = random.Random(start_us + n)  # noqa: S311 - the same in every run
        records = [
            RequestRecord(
                *by, start_us + (i + 1) * length_us // (n + 1), chance.randbytes(8),
                chance.randbytes(16), round(20_000 * factor * chance.lognormvariate(0, 0.3)),
                500 if chance.random() < failing else 200, "GET", version,
            )
            for i in range(n)
        ]  # fmt: skip
        Writer(store).write(records)

    return into


@pytest.fixture
def head(card):
    return lambda search="", page="": card("endpoint-head", f"/endpoint/1{page}", search).text


def test_a_slowdown_is_told_with_its_interval_and_what_it_rests_on(now, spread, head):
    spread(now - 2 * DAY, DAY, 230)
    spread(now - DAY, DAY, 210, 1.3)

    told = re.search(
        r"(\d+) % slower against the previous 24 hours,  95 % CI (\d+)–(\d+) %, n = 210 against 230\.", head()
    )

    size, low, high = map(int, told.groups())
    assert 15 < low < size < high < 45


@pytest.mark.parametrize(
    "page", ["/hourly_load", "/versions", "/users", "/profiler", "/outliers", "/requests"]
)
def test_it_stands_on_every_page_of_the_endpoint(now, spread, head, page):
    spread(now - 2 * DAY, DAY, 100)
    spread(now - DAY, DAY, 100, 1.5)

    assert "% slower against the previous 24 hours" in head(page=page)


def test_what_became_twice_as_slow_is_told_in_times(now, spread, head):
    spread(now - 2 * DAY, DAY, 100)
    spread(now - DAY, DAY, 100, 2.5)

    assert re.search(r"2\.\d times as slow against .*95 % CI 2\.\d–2\.\d times", head())


def test_faster_is_told_without_a_minus(now, spread, head):
    spread(now - 2 * DAY, DAY, 100)
    spread(now - DAY, DAY, 100, 0.7)

    assert re.search(r"\d+ % faster against the previous 24 hours,  95 % CI \d+–\d+ %", head())


def test_errors_are_told_in_points_beside_durations(now, spread, head):
    spread(now - 2 * DAY, DAY, 300)
    spread(now - DAY, DAY, 300, 1.3, failing=0.1)

    assert re.search(
        r"\d+ % slower and \d+ points more errors against .*95 % CI \d+–\d+ % and [\d.]+–\d+ points", head()
    )


def test_no_change_is_told_with_how_large_one_could_have_been(now, spread, head):
    spread(now - 2 * DAY, DAY, 200)
    spread(now - DAY, DAY, 200)

    assert re.search(
        r"No change of durations or errors beyond chance against the previous 24 hours,  "
        r"95 % CI of durations [+-]\S+ to [+-]\S+ %, n = 200 against 200\.",
        head(),
    )


def test_a_change_too_small_to_matter_is_called_that(now, spread, head):
    spread(now - 2 * DAY, DAY, 3000)
    spread(now - DAY, DAY, 3000, 1.03)

    assert re.search(r"No change of durations or errors that matters against .*\d(\.\d)? % slower", head())


@pytest.mark.parametrize("n", [5, 15])
def test_few_requests_tell_nothing_and_it_says_so(now, spread, head, n):
    spread(now - 2 * DAY, DAY, 300)
    spread(now - DAY, DAY, n)

    assert f"Too few requests to tell against the previous 24 hours,  n = {n} against 300." in head()


def test_without_earlier_requests_there_is_nothing_to_compare_with(now, spread, head):
    spread(now - DAY, DAY, 50)

    assert "No earlier requests to compare with,  n = 50 against 0." in head()


def test_a_deployment_within_the_range_is_what_it_is_about(now, spread, head):
    spread(now - 3 * DAY, 2 * DAY, 200, version="1.6.0")
    spread(now - DAY, 12 * HOUR, 100, version="1.6.0")
    spread(now - 12 * HOUR, 12 * HOUR, 110, 1.4, version="1.7.0")

    assert re.search(r"\d+ % slower since 1\.7\.0,  95 % CI \d+–\d+ %, n = 110 against 100\.", head())


def test_whoever_chose_another_day_gets_that(now, spread, head):
    spread(now - 8 * DAY, DAY, 100, version="1.6.0")
    spread(now - DAY, 12 * HOUR, 50, version="1.6.0")
    spread(now - 12 * HOUR, 12 * HOUR, 50, version="1.7.0")

    assert "against a week earlier" in head("?cmp=week")


def test_a_comparison_with_the_previous_version_is_since_the_newer_one(now, spread, head):
    spread(now - 5 * DAY, 2 * DAY, 150, version="1.6.0")
    spread(now - 3 * DAY, 3 * DAY, 150, 1.4, version="1.7.0")

    assert re.search(r"\d+ % slower since 1\.7\.0,  95 % CI", head("?from=now-2d&to=now&cmp=version"))


def test_versions_of_another_service_are_no_deployment_of_this_one(now, spread, head):
    spread(now - 2 * DAY, 2 * DAY, 100, version="1.6.0")
    spread(now - 6 * HOUR, HOUR, 5, by=("mail", "mail.send"), version="9.0")

    assert "since" not in head()


def test_without_a_comparison_there_is_no_verdict(now, spread, head):
    spread(now - DAY, DAY, 50)

    assert "n = 50" not in head("?cmp=off")
    assert "compare" not in head("?cmp=off")


def test_where_nothing_was_recorded_there_is_no_verdict(now, write, head):
    write(now - 30 * DAY)

    assert "against" not in head()


@pytest.mark.parametrize("search", ["", "?cmp=version", "?from=now-36h&to=now&cmp=prev"])
def test_it_leads_to_the_report_of_the_same_comparison(now, spread, card, search):
    spread(now - 3 * DAY, 2 * DAY + 12 * HOUR, 200, version="1.6.0")
    spread(now - 12 * HOUR, 12 * HOUR, 110, 1.4, version="1.7.0")
    shown = card("endpoint-head", "/endpoint/1", search)

    [href] = [link for link in shown.links if "/reporting" in link]

    path, _, found = href.removeprefix("/dashboard").partition("?")
    assert "slower" in card("reporting-detail", path, f"?{found}").text
