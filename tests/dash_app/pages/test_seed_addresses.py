"""Flask-MonitoringDashboard's own addresses lead to the page that shows the same: bookmarks go on working.

The list is that of its release 5.1.0, and not derived from our pages.
"""

from __future__ import annotations

from urllib.parse import unquote

import pytest

ADDRESSES = {
    "/": "Overview",
    "/overview": "Overview",
    "/hourly_load": "Hourly API Utilization",
    "/exception_overview": "Exceptions",
    "/multi_version": "Multi Version API Utilization",
    "/daily_utilization": "Daily API Utilization",
    "/api_performance": "API Performance",
    "/reporting": "Reporting",
    "/endpoint/1/hourly_load": "Hourly API Utilization",
    "/endpoint/1/version_user": "User-Focused Multi-Version Performance",
    "/endpoint/1/version_ip": "IP-Focused Multi-Version Performance",
    "/endpoint/1/versions": "Per-Version Performance",
    "/endpoint/1/users": "Per-User Performance",
    "/endpoint/1/status_code_distribution": "Status Codes",
    "/endpoint/1/profiler": "Profiler",
    "/endpoint/1/grouped-profiler": "Grouped Profiler",
    "/endpoint/1/outliers": "Outliers",
    "/endpoint/1/exceptions": "Exceptions",
    "/custom_graph/1": "Custom Graph",
    "/configuration": "Configuration",
    "/database_management": "Storage",
}
HOUR = 3_600_000_000


@pytest.mark.parametrize(("address", "title"), ADDRESSES.items())
def test_its_address_leads_to_the_page_that_shows_the_same(
    address, title, dashboard, admin, cards_of, now, write, write_values
):
    write(now - HOUR)
    write_values("Open orders", [(now - HOUR, 1.0)])

    answer = admin.follow(address)

    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    assert dashboard.router.resolve(address).page.title == title
    assert cards_of(address), "the page has cards"


@pytest.mark.parametrize("address", ["/overview", "/endpoint/1/outliers", "/database_management"])
def test_whoever_is_not_signed_in_is_asked_to_and_comes_back(address, visitor):
    answer = visitor.follow(address, headers={"Accept": "text/html"})

    assert answer.status_code == 302
    assert unquote(answer.location) == f"/dashboard/login?next={address}"


def test_signing_in_and_out_have_its_addresses(visitor, guest):
    assert "password" in visitor.follow("/login").text
    assert guest.follow("/logout").status_code == 200


def test_what_only_admins_may_see_is_so_under_its_address_as_well(guest, dashboard, find_output):
    output = find_output(dashboard, "page.children")
    for address in ("/configuration", "/database_management"):
        data = {"path": f"/dashboard{address}", "search": "", "tz": "UTC", "serial": 0}
        answer = guest.call(output, {"route.data": data, "view.data": data}, triggered="route.data")
        assert "fmd-card" not in answer.text
