from __future__ import annotations

import json

import pytest

from fmd_otel_dash.pages import (
    daily,
    endpoint,
    endpoint_status,
    endpoint_versions,
    hourly,
    performance,
    versions,
)
from fmd_otel_dash.pages.endpoint import duration_points
from fmd_otel_exporter import endpoint_changes
from fmd_otel_exporter.catalog import register_endpoints
from fmd_otel_exporter.records import EndpointInfo

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR


def test_the_head_says_what_is_known(now, write, card):
    write(now - HOUR, "shop.cart", route="/cart/<int:id>", method="POST")

    head = card("endpoint-head", "/endpoint/1").text

    for expected in (
        "shop.cart",
        "/cart/<int:id>",
        "POST",
        "Last requested 1 h ago",
        "Monitor level",
        "records duration, time, version, user and IP of every request",
        "blueprint  shop",
        "service  shop",
    ):
        assert expected in head


def test_the_head_lists_all_rules_with_their_methods(now, write, card, store):
    write(now - HOUR)
    rules = tuple((f"GET,M{i}", f"/cart/{i}") for i in range(5))
    register_endpoints(store, [EndpointInfo("shop", "shop.cart", "/cart/0", "GET", "shop", rules)], 1)

    shown = card("endpoint-head", "/endpoint/1")

    for i in range(5):
        assert f"M{i} /cart/{i}" in shown.text
    assert "2 more rules" in shown.text


def test_the_head_says_what_else_counts_there_and_what_the_application_calls_it(now, write, card, store):
    write([now - HOUR, now - 2 * HOUR], "shop.cart")
    write(now - HOUR, "shop.old_cart")
    endpoint_changes.rename(store, 1, "Cart")
    endpoint_changes.merge(store, 2, 1)

    head = card("endpoint-head", "/endpoint/1").text

    assert "in the application  shop.cart" in head
    assert "together with  shop.old_cart" in head


def test_an_admin_sets_the_level_in_the_head_of_any_page(
    now, write, card, admin, store, dashboard, find_output
):
    write(now - HOUR)
    buttons = [
        part["props"]
        for part in card("endpoint-head", "/endpoint/1/versions").parts
        if part["type"] == "Button"
    ]
    sent = next(json.loads(each["data-send"]) for each in buttons if each["children"] == 3)
    data = {"path": "/dashboard/endpoint/1/versions", "search": "", "tz": "UTC", "serial": 0}
    output = find_output(dashboard, "endpoint-head-retry.data")

    answer = admin.call(
        output, {"endpoint-level.data": sent, "view.data": data}, triggered="endpoint-level.data"
    )

    assert "now at monitor level 3" in answer.text
    shown = card("endpoint-head", "/endpoint/1/versions")
    pressed = [part["props"] for part in shown.parts if part["props"].get("aria-pressed") == "true"]
    assert [each["children"] for each in pressed] == [3]


def test_under_the_address_of_a_merged_endpoint_the_level_is_that_of_the_one_it_counts_under(
    now, write, card, admin, store, dashboard, find_output
):
    write(now - HOUR, "shop.cart")
    write(now - HOUR, "shop.old_cart")
    endpoint_changes.merge(store, 2, 1)
    data = {"path": "/dashboard/endpoint/2", "search": "", "tz": "UTC", "serial": 0}

    output = find_output(dashboard, "endpoint-head-retry.data")
    admin.call(
        output, {"endpoint-level.data": {"level": 3}, "view.data": data}, triggered="endpoint-level.data"
    )

    for address in ("/endpoint/1", "/endpoint/2"):
        assert "also profiles every request" in card("endpoint-head", address).text


def test_a_guest_sees_the_level_and_cannot_set_it(now, write, guest, store, dashboard, find_output):
    write(now - HOUR)
    data = {"path": "/dashboard/endpoint/1", "search": "", "tz": "UTC", "serial": 0}

    head = guest.call("endpoint-head-body.children", {"view.data": data}).text
    answer = guest.call(
        find_output(dashboard, "endpoint-head-retry.data"),
        {"endpoint-level.data": {"level": 3}, "view.data": data},
        triggered="endpoint-level.data",
    )

    assert "fmd-level-fixed" in head
    assert "data-send" not in head
    assert answer.status_code == 403


def test_the_head_of_an_endpoint_at_level_0_says_how_often_it_served(now, write, card):
    write([now - HOUR] * 1 + [now - 2 * HOUR], level=0)

    assert "2 served at level 0, counted only" in card("endpoint-head", "/endpoint/1").text


@pytest.mark.usefixtures("now")
def test_an_endpoint_that_does_not_exist_is_said_once(card):
    assert "There is no endpoint 7" in card("endpoint-head", "/endpoint/7").text
    assert card("endpoint-traffic", "/endpoint/7").children is None
    assert card("requests-list", "/endpoint/7/requests").text.count("No requests") == 0


@pytest.mark.parametrize(("n", "points"), [(0, 10), (100, 10), (900, 30), (10**6, 120)])
def test_few_requests_get_few_percentiles(n, points):
    assert duration_points(n) == points


def test_the_distribution_names_codes_and_leads_to_their_requests(now, write, card):
    write([now - HOUR, now - 2 * HOUR, now - 3 * HOUR])
    write(now - HOUR, status=503)

    shown = card("status-shares", "/endpoint/1/status_code_distribution")

    assert "Service Unavailable" in shown.text
    assert "25.0 %" in shown.text
    assert any("status=503" in link for link in shown.links)


def test_error_requests_are_listed_newest_first(now, write, card):
    write(now - HOUR)
    write(now - 2 * HOUR, status=404)
    write(now - 3 * HOUR, status=500)

    rows = card("status-failed", "/endpoint/1/status_code_distribution").grid_rows

    assert [row["status"] for row in rows] == [404, 500]


def test_no_errors_are_good_news(now, write, card):
    write(now - HOUR)

    assert "Nothing failed" in card("status-failed", "/endpoint/1/status_code_distribution").text


def test_versions_of_an_endpoint_are_boxes_oldest_first(now, write, card):
    write([now - 3 * HOUR], version="1.0")
    write([now - 2 * HOUR], version="1.1")

    (figure,) = card("endpoint-version-boxes", "/endpoint/1/versions").figures

    assert figure["layout"]["xaxis"]["ticktext"] == ["1.0", "1.1"]


# Where clicks lead


def test_a_click_on_an_hour_leads_to_its_requests(view_of, write, now):
    write(now - HOUR)
    view = view_of("/hourly_load", "?tz=Asia/Kolkata")

    href = hourly.clicked_hour(view, {"x": "2026-11-21 12:00", "y": 23, "z": 1})

    assert href == "/dashboard/requests?from=2026-11-21T17:30:00Z&to=2026-11-21T18:30:00Z&tz=Asia/Kolkata"


def test_on_an_endpoints_page_it_leads_to_that_endpoints_requests(view_of, write, now):
    write(now - HOUR)

    href = hourly.clicked_hour(view_of("/endpoint/1/hourly_load"), {"x": "2026-11-22 12:00", "y": 9})

    assert href.startswith("/dashboard/endpoint/1/requests?from=2026-11-22T09:00")


def test_a_click_on_a_week_shows_its_days(view_of, write, now):
    write(now - HOUR)

    href = hourly.clicked_hour(
        view_of("/hourly_load", "?from=now-1y&to=now"), {"x": "2026-11-16 12:00", "y": 9}
    )

    assert href.startswith("/dashboard/hourly_load?from=2026-11-16&to=2026-11-22")


def test_a_click_on_a_day_leads_to_its_requests(view_of):
    href = daily.clicked_day(view_of("/daily_utilization"), {"x": "2026-11-21"})

    assert href.startswith("/dashboard/requests?from=2026-11-21&to=2026-11-21")


def test_a_click_on_a_share_leads_to_the_endpoint_under_the_version(view_of, write, now):
    write(now - 3 * HOUR, "shop.cart", version="1.0")
    write(now - 2 * HOUR, "shop.cart", version="2.0")

    href = versions.clicked_share(view_of("/multi_version"), {"x": 1, "y": 0})

    assert href == "/dashboard/endpoint/1/requests?v=2.0"


def test_a_click_on_a_box_leads_to_its_endpoint_or_version(view_of, write, now):
    write(now - 2 * HOUR, version="2.0")

    assert (
        performance.clicked_endpoint(view_of("/api_performance"), {"customdata": 1})
        == "/dashboard/endpoint/1"
    )
    assert (
        endpoint_versions.clicked_version(view_of("/endpoint/1/versions"), {"customdata": 1})
        == "/dashboard/endpoint/1/requests?v=2.0"
    )


def test_a_click_on_a_step_leads_to_its_requests(view_of, write, now):
    write([now - 2 * HOUR, now - HOUR])
    view = view_of("/endpoint/1")

    href = endpoint.clicked_step(view, {"pointNumber": 20})

    assert href == "/dashboard/endpoint/1/requests?from=2026-11-22T08:00:00Z&to=2026-11-22T09:00:00Z"
    assert endpoint.clicked_duration(view, {"pointNumber": 0}).startswith(
        "/dashboard/endpoint/1/requests?from="
    )


def test_a_click_on_a_cell_leads_to_the_requests_of_that_time_and_duration(view_of, write, now, card):
    write([now - 2 * HOUR], duration_us=25_000)
    view = view_of("/endpoint/1")

    href = endpoint.clicked_cell(view, {"x": "2026-11-22 10:30", "y": 25_000.0})

    listed = card(
        "requests-list", *href.removeprefix("/dashboard").split("?", 1)[:1], "?" + href.split("?")[1]
    )
    assert [row["duration"] for row in listed.grid_rows] == [25_000]


def test_a_click_on_a_code_leads_to_the_requests_that_got_it(view_of, write, now):
    write([now - 2 * HOUR], status=200)
    write([now - 2 * HOUR], status=500)
    view = view_of("/endpoint/1/status_code_distribution")

    href = endpoint_status.clicked_step(view, {"pointNumber": 10, "curveNumber": 1})

    assert "status=500" in href


@pytest.mark.parametrize(
    "point", [{}, {"x": "nonsense", "y": "?"}, {"pointNumber": 10**9}, {"customdata": "?"}]
)
def test_a_click_that_makes_no_sense_leads_nowhere(view_of, write, now, point):
    write(now - HOUR)

    assert hourly.clicked_hour(view_of("/hourly_load"), point) is None
    assert daily.clicked_day(view_of("/daily_utilization"), point) is None
    assert versions.clicked_share(view_of("/multi_version"), point) is None
    assert performance.clicked_endpoint(view_of("/api_performance"), point) is None
    assert endpoint.clicked_step(view_of("/endpoint/1"), point) is None
    assert endpoint.clicked_cell(view_of("/endpoint/1"), point) is None
    assert endpoint_versions.clicked_version(view_of("/endpoint/1/versions"), point) is None
    assert endpoint_status.clicked_step(view_of("/endpoint/1/status_code_distribution"), point) is None
