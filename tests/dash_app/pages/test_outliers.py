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
from fmd_otel_exporter.documents import encode_document
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
    ordinary = [
        made_details.trace(10_000 + i, now - HOUR + i, spans=[], shape=shape("page")) for i in range(40)
    ]
    DetailWriter(store).write(ordinary)
    text = card("outliers-common", "/outliers").text
    assert "query key sort: present" in text
    assert "worker" not in text


def shape(*keys):
    return {"query_keys": list(keys), "payload_bytes": 0, "worker_pid": 7, "hostname": "web"}


def test_outliers_of_which_only_the_times_are_kept_lack_no_query_key(now, store, write, write_outlier, card):
    write([now - HOUR + i for i in range(200)], group_by="eve", ip="10.0.0.9")
    write_outlier([now - HOUR + 500 + i for i in range(20)], document={"args": {"page": "2"}})
    times_alone = encode_document({"truncated": ["everything"]})
    many = [made_details.outlier(20_000 + i, now - HOUR + 600 + i) for i in range(180)]
    DetailWriter(store).write([each._replace(document=times_alone) for each in many])
    rest = [made_details.trace(10_000 + i, now - HOUR + i, spans=[], shape=shape("page")) for i in range(100)]
    DetailWriter(store).write(rest)
    assert "query key" not in card("outliers-common", "/outliers").text


def test_traces_that_were_kept_for_a_reason_do_not_stand_for_the_rest(now, store, write, write_outlier, card):
    write([now - HOUR + i for i in range(200)], group_by="eve", ip="10.0.0.9")
    write_outlier([now - HOUR + 500 + i for i in range(20)], document={"args": {"page": "2"}})
    DetailWriter(store).write(
        [made_details.trace(10_000 + i, now - HOUR + i, spans=[], shape=shape("page")) for i in range(40)]
        + [made_details.trace(11_000 + i, now - HOUR + 900 + i) for i in range(60)]
    )
    assert "query key" not in card("outliers-common", "/outliers").text


def test_with_a_version_chosen_the_rest_is_of_that_version_too(now, store, write, write_outlier, card):
    for version, key in (("1.0", "page"), ("2.0", "sort")):
        first = now - HOUR + (1000 if version == "2.0" else 0)
        requests = write([first + i for i in range(50)], group_by="eve", ip="10.0.0.9", version=version)
        traces = [made_details.trace(0, each.ts_us, spans=[], shape=shape(key)) for each in requests]
        ids = [{"span_id": each.span_id, "trace_id": each.trace_id} for each in requests]
        DetailWriter(store).write([one._replace(**of) for one, of in zip(traces, ids, strict=True)])
    write_outlier([now - HOUR + 5000 + i for i in range(20)], document={"args": {"sort": "1"}}, version="2.0")
    assert "query key" not in card("outliers-common", "/outliers", "?v=2.0").text
    assert "query key sort: present" in card("outliers-common", "/outliers").text


def test_where_outliers_are_like_all_others_nothing_stands_out(now, write, write_outlier, card):
    write([now - HOUR + i for i in range(300)], group_by="eve", ip="10.0.0.9")
    write_outlier([now - HOUR + 500, now - HOUR + 600])
    text = card("outliers-common", "/outliers").text
    assert "Nothing stands out" in text
    assert "version" in text


def test_the_machine_is_drawn(now, write_outlier, card):
    write_outlier([now - HOUR, now - 2 * HOUR])
    traces = card("outliers-cores", "/outliers").figures[0]["data"]
    boxes = [trace for trace in traces if trace["type"] == "box"]
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
    assert "260 ms into the request" in stack
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
        *("curl", "--globoff", "--path-as-is", "-X", "POST", "-H", "X-A: it's", "--data-raw", '{"n": 1}'),
        *("--url", "http://shop/cart?item=7", "&&", ":", "left out: headers.Authorization"),
    ]


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


def test_of_more_outliers_than_can_be_drawn_some_of_the_whole_range_are(now, write_outlier, card):
    write_outlier([now - HOUR - i * 4 * HOUR // 50 for i in range(250)])
    shown = card("outliers-over-time", "/outliers")
    assert "250 outliers" in shown.text
    assert "spread over the range, shown" in shown.text
    times = shown.figures[0]["data"][1]["x"]
    assert 60 <= len(times) <= 250
    hours = {str(each)[:13] for each in times}
    assert len(hours) > 15
    assert "spread over the range" in card("outliers-memory", "/outliers").text


def test_outliers_are_held_against_requests_of_the_same_hours(now, write, write_outlier, card):
    """A busy endpoint's newest requests are all of its last minutes, and its outliers are not."""
    write([now - HOUR - i * 10_000_000 for i in range(7000)], group_by="eve", ip="10.0.0.9")
    write([now - HOUR + i * 1000 for i in range(9000)], group_by="eve", ip="10.0.0.9")
    write_outlier([now - HOUR - i * 600_000_000 for i in range(100)])
    text = card("outliers-common", "/outliers").text
    assert "never otherwise" not in text
