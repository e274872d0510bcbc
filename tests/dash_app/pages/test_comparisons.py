"""Two sides of a page: what is compared with what, and where their charts lead."""

from __future__ import annotations

from statistics import NormalDist
from urllib.parse import parse_qs

import pytest

from fmd_otel_dash.pages import endpoint, endpoint_status, hourly

HOUR = 3_600_000_000
DAY = 24 * HOUR
LAST_TWO_HOURS = "version 1.7 since 22 Nov 10:00"


@pytest.fixture
def regressed(now, write):
    """Two days of an endpoint whose version of the last two hours is half as slow again."""
    moments = [now - 2 * DAY + i * DAY // 240 for i in range(480)]
    spread = [NormalDist(10, 3).inv_cdf((i + 0.5) / 10) for i in range(10)]
    for i, ms in enumerate(spread):
        write(
            [us for us in moments[i::10] if us < now - 2 * HOUR], version="1.6", duration_us=round(ms * 2000)
        )
        write(
            [us for us in moments[i::10] if us >= now - 2 * HOUR], version="1.7", duration_us=round(ms * 3000)
        )


def query_of(href):
    return {name: values[0] for name, values in parse_qs(href.partition("?")[2]).items()}


@pytest.mark.usefixtures("regressed")
def test_the_newest_version_is_compared_without_the_requests_of_the_one_before(card):
    told = card("endpoint-head", "/endpoint/1", "?cmp=version").text
    assert "slower since 1.7" in told
    assert "n = 20 against 240" in told

    report = card("reporting-choice", "/reporting", "?cmp=version").text
    assert "Version 1.7 since 22 Nov 10:00 against version 1.6: The only endpoint got slower" in report
    [row] = card("reporting-endpoints", "/reporting", "?cmp=version").grid_rows
    assert "slower" in row["changeText"]


@pytest.mark.usefixtures("regressed")
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("overview-endpoints", "/overview"),
        ("endpoint-figures", "/endpoint/1"),
        ("endpoint-traffic", "/endpoint/1"),
        ("endpoint-durations", "/endpoint/1"),
        ("endpoint-spread", "/endpoint/1"),
        ("performance-boxes", "/api_performance"),
    ],
)
def test_captions_say_that_less_than_the_range_is_looked_at(card, name, path):
    assert LAST_TWO_HOURS in card(name, path, "?cmp=version").text
    assert LAST_TWO_HOURS not in card(name, path).text


@pytest.mark.usefixtures("regressed")
def test_figures_and_charts_are_of_the_same_requests(card):
    assert "20 requests" in card("endpoint-traffic", "/endpoint/1", "?cmp=version").text
    [row] = card("overview-endpoints", "/overview", "?cmp=version").grid_rows
    assert row["n"] == 20
    [row] = card("performance-endpoints", "/api_performance", "?cmp=version").grid_rows
    assert row["n"] == 20


@pytest.mark.usefixtures("regressed")
def test_how_often_two_versions_were_requested_is_not_compared(card):
    for name, path, following in (
        ("overview-kpis", "/overview", "p95 latency"),
        ("endpoint-figures", "/endpoint/1", "p95"),
    ):
        requests, _, _ = card(name, path, "?cmp=version").text.partition(following)
        assert "%" not in requests
        assert "to compare" not in requests


def test_a_version_that_has_not_served_an_endpoint_yet_has_nothing_to_compare(now, write, card):
    write([now - 3 * HOUR + i for i in range(20)], version="1.6")
    write(now - HOUR, "shop.home", version="1.7")
    assert "No requests to compare" in card("endpoint-traffic", "/endpoint/1", "?cmp=version").text


@pytest.fixture
def two_services(now, write):
    """A shop and a mailer, each with a new version, deployed at different times; only the shop got slower."""

    def hundred(start_us: int) -> list[int]:
        return [start_us + i * 1000 for i in range(100)]

    write(hundred(now - 3 * HOUR), "shop.cart", service="shop", version="1.0")
    write(hundred(now - HOUR), "shop.cart", service="shop", version="1.1", duration_us=90_000)
    write(hundred(now - 20 * HOUR), "mail.send", service="mail", version="8")
    write(hundred(now - HOUR // 2), "mail.send", service="mail", version="9")


@pytest.mark.usefixtures("two_services")
def test_each_service_is_compared_with_its_own_previous_version(card):
    assert "3.6 times as slow since 1.1" in card("endpoint-head", "/endpoint/1", "?cmp=version").text
    assert "vs version 1.0" in card("endpoint-figures", "/endpoint/1", "?cmp=version").text
    report = card("reporting-choice", "/reporting", "?cmp=version").text
    assert "1 of 2 endpoints got slower" in report
    assert "the previous version of each service" in report
    rows = {
        row["name"]: row
        for row in card("reporting-endpoints", "/reporting", "?cmp=version&show=all").grid_rows
    }
    assert rows["shop.cart"]["changeText"] == "3.6 times as slow"
    assert rows["mail.send"]["changeText"] == "no change"
    rows = {row["name"]: row for row in card("overview-endpoints", "/overview", "?cmp=version").grid_rows}
    assert [rows[name]["n"] for name in ("shop.cart", "mail.send")] == [100, 100]
    assert rows["shop.cart"]["changeTone"] == "bad"
    assert "each service" in card("overview-endpoints", "/overview", "?cmp=version").text


@pytest.mark.usefixtures("two_services")
@pytest.mark.parametrize("name", ["overview-kpis", "overview-traffic", "overview-durations"])
def test_pages_of_several_services_hold_without_one_thing_to_compare_with(card, name):
    card(name, "/overview", "?cmp=version")


def test_two_chosen_versions_are_compared_over_all_that_they_served(now, write, card):
    write([now - 3 * DAY + i * 1000 for i in range(100)], version="1.6")
    write([now - HOUR + i * 1000 for i in range(100)], version="1.7", duration_us=90_000)

    told = card("reporting-choice", "/reporting", "?old=1.6&new=1.7").text
    assert "1.7 against 1.6, all that either has served: The only endpoint got slower" in told

    told = card("reporting-choice", "/reporting", "?old=1.6&new=1.7&from=now-12h&to=now").text
    assert "Nothing was compared: before, there is no request." in told


@pytest.mark.parametrize("search", ["?from=2026-11-22&to=2026-11-22&cmp=day", "?from=now/d&to=now&cmp=day"])
def test_a_day_that_is_not_over_is_compared_with_as_much_of_another(clock, write, card, search):
    now = clock(2026, 11, 22, 6)
    write([now - i * HOUR // 12 for i in range(1, 31 * 12)])

    assert "fewer requests" not in card("endpoint-head", "/endpoint/1", search).text
    for name, path in (("endpoint-figures", "/endpoint/1"), ("overview-kpis", "/overview")):
        text = card(name, path, search).text
        assert "72" in text.partition("vs")[0]
        assert "0.0 %" in text.partition("vs")[0]


def test_months_of_different_lengths_are_compared_by_their_rates(clock, write, card):
    now = clock(2026, 11, 22, 6)
    write([now - i * HOUR for i in range(1, 90 * 24)])
    text = card("overview-kpis", "/overview", "?from=2026-10-01&to=2026-10-31&cmp=month").text
    assert "0.0 %" in text.partition("vs")[0]


def test_a_week_is_not_compared_with_most_of_itself(now, write, card):
    write([now - i * HOUR // 4 for i in range(1, 15 * 96)])
    text = card("overview-kpis", "/overview", "?from=now-7d&to=now&cmp=day").text
    assert "vs 7 days earlier" in text


def test_a_colour_needs_a_test(now, write, card):
    """30 requests a day with one failure more are no news; 300 with thirty more are."""
    write([now - DAY - HOUR - i for i in range(30)])
    write([now - HOUR - i for i in range(29)])
    write(now - HOUR, status=500)
    shown = card("overview-kpis", "/overview")
    assert "3.33 pt" in shown.text
    assert not [part for part in shown.parts if "bad" in str(part["props"].get("className", "")).split()]

    write([now - HOUR - i for i in range(30)], status=500)
    shown = card("overview-kpis", "/overview")
    assert [part for part in shown.parts if "bad" in str(part["props"].get("className", "")).split()]


# Where clicks lead


def test_a_click_on_the_dashed_line_leads_to_what_it_is_of(now, write, card, view_of):
    write([now - i * HOUR // 6 for i in range(1, 6 * 24 * 9)])
    for search, earlier_us in (("", DAY), ("?cmp=week", 7 * DAY)):
        view = view_of("/endpoint/1", search)
        [figure] = card("endpoint-traffic", "/endpoint/1", search).figures
        ghost = next(i for i, trace in enumerate(figure["data"]) if trace["name"] == "Before")
        own = query_of(endpoint.clicked_step(view, {"pointNumber": 10, "curveNumber": 0}))
        before = query_of(endpoint.clicked_step(view, {"pointNumber": 10, "curveNumber": ghost}))
        view = view_of("/requests", f"?from={before['from']}&to={before['to']}")
        theirs = view_of("/requests", f"?from={own['from']}&to={own['to']}")
        assert theirs.scope.start_us - view.scope.start_us == earlier_us


def test_a_long_baseline_is_drawn_as_far_as_the_range_goes_in_the_same_steps(now, write, card, view_of):
    write([now - i * HOUR // 6 for i in range(1, 6 * 24 * 9)])
    search = "?cmp=pin&base=2026-11-14T12:00:00Z~2026-11-21T12:00:00Z"
    [figure] = card("endpoint-traffic", "/endpoint/1", search).figures
    own, ghost = (next(t for t in figure["data"] if t["name"] == name) for name in ("Successful", "Before"))
    assert list(ghost["x"]) == list(own["x"])
    href = endpoint.clicked_step(view_of("/endpoint/1", search), {"pointNumber": 0, "curveNumber": 1})
    assert query_of(href)["from"] == "2026-11-14T12:00:00Z"


@pytest.mark.usefixtures("regressed")
def test_a_click_on_either_version_leads_to_its_own_requests(view_of):
    view = view_of("/endpoint/1", "?cmp=version")
    for click in (endpoint.clicked_step, endpoint.clicked_duration):
        ghost = 1 if click is endpoint.clicked_step else 3
        assert query_of(click(view, {"pointNumber": 0, "curveNumber": 0}))["v"] == "1.7"
        assert query_of(click(view, {"pointNumber": 0, "curveNumber": ghost}))["v"] == "1.6"


def test_what_a_click_leads_to_is_filtered_as_what_was_clicked(now, write, view_of, card):
    write(now - 2 * HOUR, version="1.0")
    write(now - 2 * HOUR, version="2.0")
    filters = "?v=2.0&svc=shop"
    hrefs = [
        hourly.clicked_hour(view_of("/hourly_load", filters), {"x": "2026-11-22 12:00", "y": 10}),
        hourly.clicked_hour(view_of("/endpoint/1/hourly_load", filters), {"x": "2026-11-22 12:00", "y": 10}),
        endpoint.clicked_step(view_of("/endpoint/1", filters), {"pointNumber": 22, "curveNumber": 0}),
        endpoint_status.clicked_step(
            view_of("/endpoint/1/status_code_distribution", filters), {"pointNumber": 22, "curveNumber": 0}
        ),
        next(
            link
            for link in card("status-shares", "/endpoint/1/status_code_distribution", filters).links
            if "status=200" in link
        ),
    ]
    for href in hrefs:
        asked = query_of(href)
        assert (asked["v"], asked["svc"]) == ("2.0", "shop")
    for href in (*hrefs[:3], hrefs[4]):
        path, _, search = href.removeprefix("/dashboard").partition("?")
        [row] = card("requests-list", path, f"?{search}").grid_rows
        assert row["version"] == "2.0"


def test_the_menu_leads_to_pages_without_the_filter_of_versions(now, write, card):
    write(now - HOUR)
    tabs = [link for link in card("endpoint-head", "/endpoint/1", "?v=1.0").links if "/hourly_load" in link]
    assert tabs
    assert not any("v=" in link for link in tabs)


def test_a_cell_of_durations_keeps_the_edges_of_its_band(now, write, view_of, card):
    edge_us = 2_000_000  # a power of two of a second ends a bucket: what takes just as long belongs below
    write(now - 2 * HOUR, duration_us=edge_us)
    write(now - 2 * HOUR, duration_us=edge_us + 1)
    view = view_of("/endpoint/1")
    for duration_us in (edge_us, edge_us + 1):
        href = endpoint.clicked_cell(view, {"x": "2026-11-22 10:30", "y": float(duration_us)})
        path, _, search = href.removeprefix("/dashboard").partition("?")
        rows = card("requests-list", path, f"?{search}").grid_rows
        assert [row["duration"] for row in rows] == [duration_us]


def test_a_key_figure_says_where_too_few_requests_came_before_to_compare_with(now, write, card):
    write([now - HOUR - i * 1_000_000 for i in range(200)])
    write([now - DAY - HOUR, now - DAY - 2 * HOUR])
    for name, path in (("overview-kpis", "/overview"), ("endpoint-figures", "/endpoint/1")):
        text = card(name, path).text
        assert text.count("few requests before: 2") == 4
        assert "×" not in text
        assert "▲" not in text


def test_charts_of_counts_say_why_they_draw_no_other_version(
    now, write, write_exception, write_outlier, card
):
    write([now - 3 * DAY - i * HOUR for i in range(20)], version="1.0")
    write([now - i * HOUR for i in range(1, 20)], version="2.0")
    write_exception(now - HOUR, version="2.0")
    write_outlier(now - HOUR, version="2.0")
    for name, path in (
        ("daily-stack", "/daily_utilization"),
        ("hourly-map", "/hourly_load"),
        ("hourly-typical", "/hourly_load"),
        ("exceptions-over-time", "/exceptions"),
        ("outliers-over-time", "/outliers"),
        ("status-over-time", "/endpoint/1/status_code_distribution"),
    ):
        text = card(name, path, "?cmp=version").text
        assert "not against version 1.0: versions were in service for different times" in text, name
