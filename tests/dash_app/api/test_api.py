"""The API: what it answers, whom, and how it refuses."""

from __future__ import annotations

import csv
import io
import itertools
import json
import time
from functools import partial

import pytest

from fmd_otel_dash.api import routes
from fmd_otel_dash.api.limit import Limit
from fmd_otel_dash.api.resources import RESOURCES
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer
from tests.dash_app.conftest import Visitor

TOKEN = "a-long-secret"
_numbers = itertools.count(1)


@pytest.fixture
def now_us():
    return time.time_ns() // 1000


@pytest.fixture
def fill(store, now_us):
    """Write 30 requests of two endpoints within the last hour."""
    records = [
        RequestRecord(
            "shop", f"shop.{'cart' if i % 3 else 'home'}", now_us - 60_000_000 - i, i.to_bytes(8, "big"),
            i.to_bytes(16, "big"), 10_000 + i, 500 if i % 10 == 0 else 200, "GET", "1.0", "=eve", "10.0.0.1",
        )
        for i in range(1, 31)
    ]  # fmt: skip
    Writer(store).write(records)


@pytest.fixture
def api(make_dashboard):
    """Ask the API with the token."""
    visitor = Visitor(make_dashboard(security_token=TOKEN))

    def ask(path, **kwargs):
        headers = {"Authorization": f"Bearer {TOKEN}", **kwargs.pop("headers", {})}
        return visitor.follow(f"/api/v1/{path}", headers=headers, **kwargs)

    return ask


@pytest.fixture
def no_time_passes(monkeypatch):
    """Keep limits from filling up again, however long the questions take."""
    monkeypatch.setattr(routes, "Limit", partial(Limit, clock=lambda: 0.0))


@pytest.mark.usefixtures("fill")
def test_requests_come_in_pages_until_there_are_no_more(api):
    seen, cursor = [], ""
    while True:
        answer = api(f"requests?limit=12{cursor}").json
        seen += [row["key"] for row in answer["data"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert len(seen) == len(set(seen)) == 30


@pytest.mark.usefixtures("fill")
def test_sums_are_those_of_the_requests(api):
    rows = api("hits?by=endpoint").json["data"]
    assert {row["key"]: row["requests"] for row in rows} == {"shop.cart": 20, "shop.home": 10}
    assert sum(row["errors"] for row in rows) == 3
    [version] = api("hits?by=version").json["data"]
    assert (version["key"], version["requests"]) == ("1.0", 30)
    assert sum(row["requests"] for row in api("hits?by=hour&tz=Asia/Kolkata").json["data"]) == 30
    assert {row["key"] for row in api("hits?by=status").json["data"]} == {"200", "500"}


@pytest.mark.usefixtures("fill")
def test_percentiles_say_what_they_rest_on(api):
    rows = api("percentiles?q=50,99.9").json["data"]
    assert [row["percent"] for row in rows] == [50, 99.9, 50, 99.9]
    assert all(row["duration_us"] == pytest.approx(10_015, rel=0.02) for row in rows)
    assert sum(row["requests"] for row in rows) == 60


@pytest.mark.usefixtures("fill")
def test_filters_narrow_the_answer(api):
    assert len(api("requests?status=5").json["data"]) == 3
    assert len(api("requests?endpoint=1").json["data"]) in {10, 20}
    assert api("requests?user=nobody").json["data"] == []
    assert api("hits?version=2.0").json["data"] == []


@pytest.mark.usefixtures("fill")
@pytest.mark.parametrize("name", [each.name for each in RESOURCES])
def test_it_all_comes_as_csv_that_no_spreadsheet_executes(api, name):
    answer = api(f"{name}?format=csv")
    assert answer.mimetype == "text/csv"
    header, *lines = csv.reader(io.StringIO(answer.text))
    assert header == [field.name for each in RESOURCES if each.name == name for field in each.fields]
    assert all(len(line) == len(header) for line in lines)
    assert not any(cell.startswith("=") for line in lines for cell in line)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("requests?limit=0", "limit='0': not between 1 and 1,000"),
        ("requests?limit=many", "not a whole number"),
        ("requests?limit=1&limit=2", "limit is given 2 times"),
        ("requests?from=teatime", "teatime"),
        ("requests?from=now&to=now-1h", "ends before it starts"),
        ("requests?tz=Mars/Base", "Mars/Base"),
        ("requests?cursor=x", "not one of ours"),
        ("requests?colour=red", "there is no parameter 'colour'"),
        ("requests?user=", "leave it out"),
        ("hits?by=moon", "not one of endpoint, version"),
        ("percentiles?q=101", "numbers between 0 and 100"),
        ("endpoints?format=xml", "not one of json, csv"),
    ],
)
def test_a_wrong_parameter_is_named_with_what_it_may_be(api, path, told):
    answer = api(path)
    assert answer.status_code == 400
    assert told in answer.json["error"]


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}])
def test_without_the_token_nothing_is_told(make_dashboard, header):
    answer = Visitor(make_dashboard(security_token=TOKEN)).follow("/api/v1/endpoints", headers=header)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert TOKEN not in answer.text


def test_where_no_token_is_set_no_token_opens_it(make_dashboard):
    for header in ({"Authorization": "Bearer "}, {"Authorization": "Bearer None"}):
        answer = Visitor(make_dashboard()).follow("/api/v1/endpoints", headers=header)
        assert answer.status_code == 401
        assert "SECURITY_TOKEN" in answer.json["error"]


def test_who_is_signed_in_needs_no_token(guest):
    assert guest.follow("/api/v1/endpoints").json == {"data": [], "next": None}


def test_nothing_can_be_changed(api, admin):
    assert admin.post("/dashboard/api/v1/endpoints", json={}).status_code == 405


def test_a_token_opens_nothing_but_the_api(make_dashboard):
    visitor = Visitor(make_dashboard(security_token=TOKEN))
    answer = visitor.follow("/export/overview.csv", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code in {302, 401}


@pytest.mark.usefixtures("no_time_passes")
def test_whoever_asks_too_often_is_told_how_long_to_wait(api):
    answers = [api("endpoints") for _ in range(125)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)


@pytest.mark.usefixtures("no_time_passes")
def test_who_sends_wrong_tokens_has_to_wait_even_with_the_right_one(make_dashboard):
    visitor = Visitor(make_dashboard(security_token=TOKEN))

    def ask(token, client="198.51.100.1"):
        header = {"Authorization": f"Bearer {token}"}
        return visitor.follow("/api/v1/endpoints", headers=header, environ_base={"REMOTE_ADDR": client})

    assert {ask(TOKEN).status_code for _ in range(20)} == {200}
    assert {ask(f"guess {i}").status_code for i in range(10)} == {401}
    for token in ("guess", TOKEN):
        answer = ask(token)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
        assert "Too many wrong tokens from 198.51.100.1" in answer.json["error"]
    assert ask(TOKEN, "198.51.100.2").status_code == 200


def test_a_bucket_fills_up_again_and_callers_do_not_share_one():
    clock = [0.0]
    limit = Limit(2, 0.5, clock=lambda: clock[0])
    assert [limit.take("a") for _ in range(3)] == [0, 0, 2]
    assert limit.take("b") == 0
    clock[0] = 2.0
    assert [limit.take("a"), limit.take("a")] == [0, 2]


def test_callers_without_end_take_no_room_without_end():
    limit = Limit()
    for number in range(3000):
        limit.take(str(number))
    assert len(limit._left) == 1000


def test_the_document_names_every_resource(api):
    found = api("openapi.json").json
    assert set(found["paths"]) == {f"/{each.name}" for each in RESOURCES}
    assert TOKEN not in json.dumps(found)
