"""Outliers, in a list and one by one."""

from __future__ import annotations

import json
import shlex

import pytest

from fmd_otel_dash.curl import curl
from fmd_otel_dash.pages.outliers import clicked
from fmd_otel_dash.queries.outliers import outliers
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.detail_writer import DetailWriter
from tests import made_details

HOUR = 3_600_000_000
DAY = 24 * HOUR


@pytest.fixture
def key(now, write, write_outlier, store):
    """The key of one outlier among ordinary requests."""
    write([now - HOUR - i for i in range(50)], group_by="bob")
    write_outlier(now - HOUR)
    return outliers(store, Scope(0, 4 * 10**15)).rows[0].key


def test_the_list_says_how_far_above_the_threshold(now, write_outlier, card):
    write_outlier([now - HOUR, now - 2 * HOUR])
    [first, second] = card("outliers-list", "/outliers").grid_rows
    assert first["ts"] > second["ts"]
    assert (first["durationText"], first["timesText"], first["averageText"]) == ("900 ms", "3.6×", "100 ms")
    assert len(card("outliers-over-time", "/outliers").figures[0]["data"][1]["x"]) == 2


def test_a_dot_leads_to_its_outlier(view_of, key):
    assert clicked(view_of("/outliers"), {"customdata": key}).startswith(f"/dashboard/outlier/{key}")
    assert clicked(view_of("/outliers"), {}) is None


def test_what_outliers_share_is_named(now, write, write_outlier, card):
    write([now - HOUR - i for i in range(300)], group_by="bob", ip="10.0.0.1")
    write_outlier([now - HOUR + 1 + i for i in range(10)])
    text = card("outliers-common", "/outliers").text
    assert "user: eve" in text
    assert "never otherwise" in text
    assert "10 outliers against 300 other requests" in text


def test_a_query_key_that_only_outliers_have_is_named(now, store, write, write_outlier, card):
    write([now - HOUR + i for i in range(50)], group_by="eve", ip="10.0.0.9")
    write_outlier([now - HOUR + 100 + i for i in range(10)], document={"args": {"sort": "price"}})
    shape = {"query_keys": ["page"], "payload_bytes": 0, "worker_pid": 7, "hostname": "web"}
    ordinary = [made_details.trace(10_000 + i, now - HOUR + i, spans=[], shape=shape) for i in range(40)]
    DetailWriter(store).write(ordinary)
    text = card("outliers-common", "/outliers").text
    assert "query key sort: present" in text
    assert "worker" not in text


def test_where_outliers_are_like_all_others_nothing_stands_out(now, write, write_outlier, card):
    write([now - HOUR + i for i in range(300)], group_by="eve", ip="10.0.0.9")
    write_outlier([now - HOUR + 500, now - HOUR + 600])
    text = card("outliers-common", "/outliers").text
    assert "Nothing stands out" in text
    assert "version" in text


def test_the_machine_is_drawn(now, write_outlier, card):
    write_outlier([now - HOUR, now - 2 * HOUR])
    boxes = card("outliers-cores", "/outliers").figures[0]["data"]
    assert [box["name"] for box in boxes] == ["core 0", "core 1", "host"]
    assert boxes[0]["median"] == [91.0]
    assert card("outliers-memory", "/outliers").figures[0]["data"][0]["y"] == [60, 60]


def test_without_level_2_it_says_how_to_get_some(now, write, card):
    write(now - HOUR)
    shown = card("outliers-over-time", "/outliers")
    assert "Nobody looks for outliers yet" in shown.text
    assert any("/overview" in link for link in shown.links)


def test_one_outlier_shows_its_stack_its_steps_and_the_machine(key, card):
    path = f"/outlier/{key}"
    assert "3.6 times the threshold of 250 ms" in card("outlier-head", path).text
    stack = card("outlier-stack", path).text
    assert stack.index("total") < stack.index("dispatch_request")
    assert "return sum(prices)" in stack
    assert "after 260 ms" in stack
    steps = card("outlier-steps", path).text
    assert "database: 1 in 600 ms" in steps
    assert "SELECT 1" in steps
    assert "3 more steps were not kept" in steps
    assert "3,072 MB of 4,096 MB" in card("outlier-machine", path).text


def test_what_was_removed_is_marked(key, card):
    text = card("outlier-values", f"/outlier/{key}").text
    assert "Authorization removed" in text
    assert "1 value removed before anything was stored" in text


def test_guests_do_not_see_what_the_request_carried(key, guest):
    data = {"path": f"/dashboard/outlier/{key}", "search": "", "tz": "UTC", "serial": 1}
    answer = guest.call("outlier-values-body.children", {"view.data": data}).text
    assert "For admins only" in answer
    assert "item" not in answer
    head = guest.call("outlier-head-body.children", {"view.data": data}).text
    assert "curl" not in head
    assert guest.follow(f"/export/outlier/{key}.json").status_code == 403


def test_it_comes_as_json(key, admin):
    answer = admin.follow(f"/export/outlier/{key}.json")
    found = json.loads(answer.text)
    assert found["threshold_us"] == 250_000
    assert found["trace"]["spans"][0]["name"] == "SELECT shop"
    assert admin.follow("/export/outlier/1-1-ff.json").status_code == 404


def test_an_outlier_that_was_over_before_anybody_looked_says_so(now, write, write_outlier, store, card):
    write(now - HOUR)
    write_outlier(now - HOUR, document={"stack": [], "cpu_percent_per_core": [], "memory_samples": []})
    key = outliers(store, Scope(0, 4 * 10**15)).rows[0].key
    assert "over before anybody could look" in card("outlier-stack", f"/outlier/{key}").text


HOSTILE = {
    "url": 42,
    "args": ["x"],
    "form": {"a": None},
    "json": {"deep": [[[]]]},
    "headers": {"<b>": ["'; rm -rf /"]},
    "stack": [None, {}, {"file": 1, "line": "x", "context_before": 3, "source": "s"}],
    "stack_at_us": "soon",
    "cpu_percent_per_core": ["many"],
    "memory_samples": [[1, 2], [3, 4]],
    "load_average": "low",
    "scrubbed": 7,
    "truncated": {},
    "hostname": None,
}


def test_a_document_of_another_release_is_shown_as_far_as_it_goes(now, write, write_outlier, store, card):
    write(now - HOUR)
    write_outlier(now - HOUR, document=HOSTILE)
    key = outliers(store, Scope(0, 4 * 10**15)).rows[0].key
    for name in ("head", "stack", "machine", "values", "steps"):
        assert "fmd-failure" not in json.dumps(card(f"outlier-{name}", f"/outlier/{key}").children), name


def test_a_command_line_sends_the_same_request_without_its_secrets():
    command = curl(
        {
            "method": "POST",
            "url": "http://shop/cart?item=7",
            "headers": {"X-A": "it's", "Host": "shop", "Authorization": "[removed]"},
            "json": {"n": 1},
            "scrubbed": ["headers.Authorization"],
        }
    )
    words = shlex.split(command, comments=True)
    assert words == [
        "curl",
        "-X",
        "POST",
        "-H",
        "X-A: it's",
        "--data-raw",
        '{"n": 1}',
        "http://shop/cart?item=7",
    ]
    assert command.endswith("# removed before it was stored: headers.Authorization")


def test_a_command_line_is_one_line_whatever_the_request_held():
    command = curl(
        {
            "url": "http://shop/\n; rm -rf ~",
            "headers": {"a\nb": "c\r\nd"},
            "form": {"x": "\n"},
            "scrubbed": ["headers.a\nrm -rf ~"],
        }
    )
    assert "\n" not in command
    assert "\r" not in command
