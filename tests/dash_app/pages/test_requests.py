from __future__ import annotations

import json
import re

import pytest

from fmd_otel_dash import urlstate
from fmd_otel_dash.pages import request_rows
from fmd_otel_dash.queries.requestfilter import RequestFilter

HOUR = 3600 * 1_000_000


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", RequestFilter()),
        ("?status=5xx", RequestFilter(status=5)),
        ("?status=404", RequestFilter(status=404)),
        ("?status=error", RequestFilter(min_status=400)),
        ("?status=nonsense", RequestFilter()),
        ("?status=٣", RequestFilter()),
        ("?status=99999999999999999999999", RequestFilter(status=9999)),
        ("?min_ms=12.5&max_ms=100", RequestFilter(min_us=12_500, max_us=100_000)),
        ("?min_ms=-3&max_ms=nan", RequestFilter()),
        ("?min_ms=1e400", RequestFilter()),
        ("?user=ada&ip=10.0.0.1&method=post", RequestFilter(user="ada", ip="10.0.0.1", method="POST")),
        ("?trace=00ff", RequestFilter(trace_id="00ff")),
    ],
)
def test_an_address_says_which_requests_are_wanted(search, expected):
    assert request_rows.wanted(urlstate.parse(search)) == expected


def test_a_cursor_belongs_to_the_filters_it_was_made_for():
    state = urlstate.parse("?status=5xx&from=now-7d&to=now")
    key = "1-2-0000000000000003"
    following = state.with_extra("before", request_rows.cursor(state, key))

    assert request_rows.key_of(following) == key
    assert request_rows.key_of(following.with_extra("status", "4xx")) == ""
    assert request_rows.key_of(following.with_range("now-1h", "now")) == ""
    assert request_rows.key_of(state) == ""


def test_requests_are_paged_through_by_links(now, write, card):
    write([now - i * 1_000_000 for i in range(1, 251)])

    seen, search = [], ""
    for _ in range(4):
        shown = card("requests-list", "/requests", search)
        seen += [row["id"] for row in shown.grid_rows]
        older = [link for link in shown.links if "before=" in link]
        if not older:
            break
        search = "?" + older[-1].split("?")[1]

    assert len(seen) == len(set(seen)) == 250
    assert "Newest" in shown.text


def test_filters_narrow_the_list(now, write, card):
    write(now - HOUR, status=500, group_by="ada", method="POST", version="2.0")
    write(now - 2 * HOUR, group_by="bob", version="1.0")

    for search in ("?status=5xx", "?user=ada", "?method=POST", "?v=2.0", "?status=500&user=ada"):
        (row,) = card("requests-list", "/requests", search).grid_rows
        assert row["user"] == "ada"


def test_filters_that_nothing_meets_can_be_cleared(now, write, card):
    write(now - HOUR)

    shown = card("requests-list", "/requests", "?user=mallory&from=now-7d&to=now")

    assert "No requests match" in shown.text
    assert "/dashboard/requests?from=now-7d&to=now" in shown.links


def test_the_list_of_all_names_the_endpoints(now, write, card):
    write(now - HOUR, "shop.cart")
    write(now - 2 * HOUR, "api.search")

    rows = card("requests-list", "/requests").grid_rows

    assert [row["name"] for row in rows] == ["shop.cart", "api.search"]


def test_a_request_is_shown_with_ways_to_its_like(now, write, card):
    write(now - HOUR, group_by="ada", ip="10.0.0.1", status=503, duration_us=81_000)
    write([now - HOUR - i for i in range(1, 30)], duration_us=10_000)
    href = card("requests-list", "/requests", "?status=503").grid_rows[0]["href"]

    shown = card("request-detail", href.removeprefix("/dashboard"))

    for expected in ("503", "Service Unavailable", "81.0 ms", "ada", "10.0.0.1", "slower than"):
        assert expected in shown.text
    assert any("user=ada" in link for link in shown.links)
    assert any("trace=" in link for link in shown.links)


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("key", ["none", "1-1-0000000000000001", "..%2f..", "9" * 300])
def test_a_request_that_is_not_there_says_so(key, card):
    assert "There is no such request" in card("request-detail", f"/request/{key}").text


def _request_of(card):
    return card("requests-list", "/requests").grid_rows[0]["href"].removeprefix("/dashboard")


def test_a_request_that_was_kept_shows_what_its_own_span_says(now, write, write_outlier, card):
    [outlier, _] = write_outlier(now - HOUR)
    write(now - HOUR, span_id=outlier.span_id)

    shown = card("request-attributes", _request_of(card))

    for expected in ("http.target", "/cart?item=7&token=[scrubbed]", "http.status_code", '["a", "b"]'):
        assert expected in shown.text
    assert "Of 2 values, secrets were taken out" in shown.text
    copied = [part["props"]["data-copy"] for part in shown.parts if "data-copy" in part["props"]]
    assert "/cart?item=7&token=[scrubbed]" in copied
    assert json.loads(copied[0])["tags"] == ["a", "b"]


def test_of_a_request_that_was_not_kept_it_says_of_which_requests_are(now, write, card):
    write(now - HOUR)
    path = _request_of(card)

    told = card("request-steps", path).text
    assert "Neither steps nor attributes were kept" in told
    assert "kept of outliers, failures and profiled requests" in told
    assert card("request-attributes", path).children is None


def test_what_a_request_carried_is_for_admins(now, write, write_outlier, card, guest):
    [outlier, _] = write_outlier(now - HOUR)
    write(now - HOUR, span_id=outlier.span_id)
    data = {"path": f"/dashboard{_request_of(card)}", "search": "", "tz": "UTC", "serial": 0}

    answer = guest.call("request-attributes-body.children", {"view.data": data})

    assert "For admins only" in answer.text
    assert "item=7" not in answer.text


HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def kept_request(now, write, write_outlier, write_profile, card):
    """A request of which all is kept; returns the address of its file."""
    [outlier, _] = write_outlier(now - HOUR, HOSTILE)
    write(now - HOUR, HOSTILE, span_id=outlier.span_id, group_by=HOSTILE, version=HOSTILE)
    write_profile(now - HOUR, HOSTILE, span_id=outlier.span_id)
    return f"/export{_request_of(card)}.html"


def test_a_request_comes_as_one_file_that_needs_nothing_else(kept_request, admin):
    answer = admin.follow(kept_request)

    assert answer.mimetype == "text/html"
    assert "attachment" in answer.headers["Content-Disposition"]
    for expected in ("SELECT shop", "exchange_rate (shop/rates.py:17)", "http.target", "3 more steps"):
        assert expected in answer.text
    assert "<img" not in answer.text
    assert not re.search(r"<(script|link)|\b(src|href)=\"", answer.text)


def test_in_a_guests_file_there_is_nothing_that_the_request_carried(kept_request, guest):
    answer = guest.follow(kept_request)

    assert "SELECT shop" in answer.text
    assert "http.target" not in answer.text


@pytest.mark.usefixtures("now")
def test_there_is_no_file_of_a_request_that_is_not_there(admin):
    assert admin.follow("/export/request/1-1-0000000000000001.html").status_code == 404


def test_of_a_request_of_which_nothing_is_kept_the_file_has_its_row(now, write, card, admin):
    write(now - HOUR)

    text = admin.follow(f"/export{_request_of(card)}.html").text

    assert "shop.cart" in text
    assert "<h2>" not in text


def test_a_status_that_no_answer_can_have_is_one_that_nothing_meets(now, write, card):
    write(now - HOUR)

    assert "No requests match" in card("requests-list", "/requests", "?status=99999999999999999999999").text
