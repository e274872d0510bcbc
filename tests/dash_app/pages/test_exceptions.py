"""Exceptions, in groups and one by one."""

from __future__ import annotations

import json

import pytest

HOUR = 3_600_000_000
DAY = 24 * HOUR
PAGE = "/exception/77"


def test_groups_are_listed_with_how_often_and_for_whom(now, write_exception, card):
    write_exception([now - HOUR, now - 2 * HOUR])
    write_exception(now - HOUR, group_by="bob")
    [row] = card("exceptions-list", "/exceptions").grid_rows
    assert (row["name"], row["n"], row["users"], row["state"]) == ("CartError", 3, 2, "open")
    assert row["kinds"] == "3 unhandled"
    assert row["endpoints"] == "shop.cart"
    assert sum(row["spark"]) == 3
    assert "3 exceptions in 1 group" in card("exceptions-over-time", "/exceptions").text


def test_one_of_them_shows_its_stack_and_what_caused_it(now, write_exception, card):
    write_exception(now - HOUR)
    text = card("exception-stack", PAGE).text
    assert "return sum(prices)" in text
    assert "[1, None]" in text
    assert "It was caused by" in text
    assert "TypeError" in text
    assert "GET http://shop/cart?item=7" in text
    assert "eve" in card("exception-who", PAGE).text
    assert "Introduced in 1.0" in card("exception-head", PAGE).text


def test_one_that_did_not_occur_in_the_range_shows_what_is_known_of_it_at_any_time(
    now, write_exception, card
):
    write_exception([now - 5 * DAY, now - 6 * DAY])
    head = card("exception-head", PAGE).text
    assert "none, of 2 that are counted" in head
    assert "Introduced in 1.0" in head
    assert "16 Nov 2026" in head
    stack = card("exception-stack", PAGE)
    assert "None of this range is kept in detail" in stack.text
    assert "return sum(prices)" in stack.text
    who = card("exception-who", PAGE).text
    assert "of any time" in who
    assert "1.0" in who
    assert "shop.cart" in who
    assert "eve" in who
    [later] = [link for link in card("exception-trend", PAGE).links if "from=" in link]
    assert "Nobody" not in card("exception-who", PAGE, later.partition("?")[2]).text


def test_groups_are_told_apart_by_the_function_they_came_from(now, write_exception, card):
    write_exception(now - HOUR)
    [row] = card("exceptions-list", "/exceptions").grid_rows
    assert row["where"] == row["place"].rpartition(" in ")[2]


def test_an_occurrence_can_be_chosen(now, write_exception, card):
    write_exception(now - 2 * HOUR, message="first")
    write_exception(now - HOUR, message="second")
    newest = card("exception-stack", PAGE)
    [other] = [link for link in newest.links if "at=" in link and str(now - 2 * HOUR) in link]
    assert "fmd-current" in json.dumps(card("exception-stack", PAGE, other.partition("?")[2]).children)


def test_guests_see_neither_the_address_nor_what_variables_held(now, write_exception, guest, admin):
    write_exception(now - HOUR)
    data = {"path": f"/dashboard{PAGE}", "search": "", "tz": "UTC", "serial": 1}
    shown = guest.call("exception-stack-body.children", {"view.data": data}).text
    assert "return sum(prices)" in shown
    for value in ("item=7", "[1, None]", "fmd-locals"):
        assert value not in shown
    assert "[1, None]" in admin.call("exception-stack-body.children", {"view.data": data}).text
    assert "Resolve" not in guest.call("exception-head-body.children", {"view.data": data}).text


@pytest.fixture
def change(dashboard, find_output):
    """The callback that resolves a group."""
    return find_output(dashboard, "exception-head-retry.data")


def test_an_admin_resolves_a_group_and_opens_it_again(now, write_exception, admin, guest, change, card):
    write_exception(now - HOUR)
    data = {"path": f"/dashboard{PAGE}", "search": "", "tz": "UTC", "serial": 1}

    def send(person, *, resolved):
        wanted = {"exception-wanted.data": {"id": "77", "resolved": resolved}, "view.data": data}
        return person.call(change, wanted, triggered="exception-wanted.data")

    assert send(guest, resolved=True).status_code == 403
    assert "Resolved" in send(admin, resolved=True).text
    assert "resolved" in card("exception-head", PAGE).text
    assert "Nothing is open" in card("exceptions-list", "/exceptions").text
    assert card("exceptions-list", "/exceptions", "?show=resolved").grid_rows[0]["state"] == "resolved"
    assert "Open again" in send(admin, resolved=False).text
    assert len(card("exceptions-list", "/exceptions").grid_rows) == 1


def test_without_any_it_says_what_would_be_kept(now, write, card):
    write(now - HOUR)
    assert "Nothing has broken so far" in card("exceptions-over-time", "/exceptions").text


def test_a_group_that_is_not_there_leads_back(card):
    for path in ("/exception/99", "/exception/none", "/exception/" + "9" * 30):
        assert any("/exceptions" in link for link in card("exception-head", path).links)
