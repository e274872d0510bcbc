"""Requests as they come in."""

from __future__ import annotations

import json

import pytest

from fmd_otel_dash.pages import live
from fmd_otel_dash.queries.requestfilter import RequestFilter
from fmd_otel_dash.queries.requests import tail
from fmd_otel_dash.queries.scope import Scope

S = 1_000_000


@pytest.fixture
def news(admin, dashboard, find_output):
    """Return what the server says is new to a browser that has some requests."""
    output = find_output(dashboard, live.NEWS)

    def ask(known=(), search=""):
        view = {"path": "/dashboard/live", "search": search, "tz": "UTC", "serial": 0}
        asked = {"known": list(known), "search": search}
        answer = admin.call(output, {"view.data": view, f"{live.ASK}.data": asked})
        return answer.json["response"][live.NEWS]["data"]

    return ask


def keys(found):
    return [row["id"] for row in found["rows"]]


def test_only_what_the_browser_has_not_got_is_sent(now, write, news):
    write([now - 2 * S, now - 40 * S])
    first = news()
    write(now - 1 * S)

    again = news(known=keys(first))

    assert len(first["rows"]) == 2
    assert [row["ts"] for row in again["rows"]] == [now - 1 * S]
    assert news(known=keys(first) + keys(again))["rows"] == []


def test_a_request_that_began_earlier_and_ended_later_is_not_missed(now, write, news):
    write(now - 1 * S)
    first = news()
    write(now - 50 * S)  # written now: it took that long

    assert [row["ts"] for row in news(known=keys(first))["rows"]] == [now - 50 * S]


def test_what_is_older_than_a_minute_does_not_come_in(now, write, news):
    write([now - 61 * S, now - 3600 * S])

    assert news()["rows"] == []


def test_a_worker_whose_clock_is_ahead_is_seen(now, write, news):
    write(now + 30 * S)

    assert len(news()["rows"]) == 1


def test_filters_are_those_of_the_address(now, write, news):
    write(now - 2 * S, "shop.cart", status=500, group_by="ada")
    write(now - 1 * S, "shop.pay", status=200, group_by="bob")

    assert [row["name"] for row in news(search="?status=5xx")["rows"]] == ["shop.cart"]
    assert [row["name"] for row in news(search="?user=bob")["rows"]] == ["shop.pay"]
    assert [row["name"] for row in news(search="?endpoint=1")["rows"]] == ["shop.cart"]
    assert len(news(search="?endpoint=1&endpoint=2&endpoint=x")["rows"]) == 2
    assert news(search=f"?endpoint={10**30}")["rows"] == []


def test_of_very_many_the_newest_hundred_are_sent_and_it_says_so(now, write, news):
    write([now - i * 10_000 for i in range(150)])

    found = news()

    assert len(found["rows"]) == live.MOST
    assert found["more"] is True
    assert min(row["ts"] for row in found["rows"]) == now - 99 * 10_000


def test_an_answer_is_light(now, write, news):
    write(
        [now - i * 10_000 for i in range(150)],
        "a.rather.long.name",
        group_by="ada@example.org",
        ip="10.0.0.1",
    )

    assert len(json.dumps(news())) < 50_000


def test_what_a_browser_sends_may_be_anything(now, write, admin, dashboard, find_output):
    write(now - 1 * S)
    output = find_output(dashboard, live.NEWS)
    view = {"path": "/dashboard/live", "search": "", "tz": "UTC", "serial": 0}

    for asked in ("x", {"known": "x"}, {"known": [None, 3, {}]}, 5, []):
        answer = admin.call(output, {"view.data": view, f"{live.ASK}.data": asked})
        assert len(answer.json["response"][live.NEWS]["data"]["rows"]) == 1


def test_the_tail_looks_back_no_further_than_it_has_to(store, now, write):
    write([now - i * 10_000 for i in range(50)] + [now - 30 * S])

    assert len(tail(store, now, Scope(0, 0), limit=50)) == 50
    assert len(tail(store, now, Scope(0, 0), limit=51)) == 51
    assert tail(store, now, Scope(0, 0), RequestFilter(user="nobody")) == ()
