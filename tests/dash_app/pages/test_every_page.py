"""What must hold on each page, whatever is in the database."""

from __future__ import annotations

import csv
import io
import json

import pytest

from fmd_otel_dash.pages import PAGES
from fmd_otel_dash.queries.requests import requests
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.batch import LAST_TS_US
from fmd_otel_exporter.records import CodeLine, ProfileNode

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
HOSTILE = [
    "<script>alert(1)</script>",
    "🛒.カート",
    "x" * 255,
    "\u202eevil",
    "=cmd|' /C calc'!A0",
    "a'b\"c%d",
]
PATHS = [page.path for page in PAGES]
WITHOUT_RANGE = (
    "/request/<key>",
    "/endpoint/<int:endpoint_id>/profiler/<key>",
    "/outlier/<key>",
    "/exception/<group_id>",
    "/account",
    "/configuration",
    "/live",
    "/endpoints",
    "/about",
    "/storage",
    "/users",
)
WITHOUT_CARDS = ("/account",)
GROUP = 77
ONE = (ProfileNode(-1, 0, 5000, 5000, 1),)
WITH_TABLES = [page.path for page in PAGES if page.table is not None]


@pytest.fixture
def address(store):
    """Return a page's path for an endpoint and the newest request there are."""

    def fill_in(path, endpoint_id=1):
        newest = requests(store, Scope(0, 4 * 10**15)).rows
        path = path.replace("<int:endpoint_id>", str(endpoint_id))
        path = path.replace("<group_id>", str(GROUP)).replace("<graph_id>", "1")
        return path.replace("<key>", newest[0].key if newest else "none")

    return fill_in


@pytest.fixture
def write_details(write_profile, write_outlier, write_exception, write_values):
    """Write one of everything that is kept of single requests."""

    def into(ts_us, endpoint="shop.cart"):
        write_profile(ts_us, endpoint)
        write_outlier(ts_us, endpoint)
        write_exception(ts_us, endpoint)
        write_values(endpoint, [(ts_us, 1.5)])

    return into


@pytest.fixture
def all_cards(address, cards_of, card):
    """Return what each card of a page shows."""

    def ask(path, endpoint_id=1):
        path = address(path, endpoint_id)
        return {card_id: card(card_id, path) for card_id in cards_of(path)}

    return ask


def in_order(shown):
    """Hold the components against what would blank the page: lists within lists of children."""
    for part in shown.parts:
        children = part["props"].get("children")
        if isinstance(children, list):
            assert not any(isinstance(child, list) for child in children), part
    if isinstance(shown.children, list):
        assert not any(isinstance(child, list) for child in shown.children)
    assert "fmd-failure" not in json.dumps(shown.children)


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("path", PATHS)
def test_it_renders_with_nothing_recorded(path, all_cards):
    for shown in all_cards(path).values():
        in_order(shown)
        assert not shown.figures


@pytest.mark.parametrize("path", PATHS)
def test_it_renders_with_one_request(path, now, write, all_cards):
    write(now - HOUR)

    shown = all_cards(path)

    assert shown or path in WITHOUT_CARDS
    for each in shown.values():
        in_order(each)


@pytest.mark.parametrize(
    "path", ["/overview", "/api_performance", "/reporting", "/endpoint/<int:endpoint_id>", "/endpoints"]
)
def test_it_renders_where_a_clock_has_shown_the_last_moment_there_is(path, write, address, cards_of, card):
    write(LAST_TS_US)
    path = address(path)

    for card_id in cards_of(path):
        in_order(card(card_id, path, "", "Asia/Tokyo"))


@pytest.mark.parametrize("path", PATHS)
def test_the_table_below_a_chart_leads_where_a_click_on_the_chart_leads(
    path, now, write, write_details, all_cards, dashboard
):
    write([now - HOUR, now - 2 * HOUR], status=500, group_by="ada", ip="10.0.0.1", version="1.0")
    write_details(now - HOUR)
    clicked = {
        json.loads(each["id"])["name"]
        for callback in dashboard.dash.callback_map.values()
        for each in callback["inputs"]
        if each["property"] == "clickData"
    }

    parts = [part["props"] for each in all_cards(path).values() for part in each.parts]

    graphs = {each["id"]["name"] for each in parts if "figure" in each}
    twins = {each["data-graph"]: each.get("data-leads") for each in parts if "data-graph" in each}
    assert set(twins) == graphs
    assert {name for name in twins if twins[name]} == graphs & clicked


@pytest.mark.parametrize("path", PATHS)
def test_it_renders_hostile_names_as_text(path, now, write, all_cards):
    for name in HOSTILE:
        write([now - HOUR, now - DAY - HOUR], name, version=name, group_by=name, ip=name[:40], service=name)
        # Of a version that first served within the range, charts tell where that was.
        new = f"<a href=//x>2</a>{name}"[:255]
        write(now - HOUR // 2, name, version=new, group_by=name, ip=name[:40], service=name)
    endpoint_ids = range(1, len(HOSTILE) + 1) if "endpoint_id" in path else [1]

    for endpoint_id in endpoint_ids:
        for each in all_cards(path, endpoint_id).values():
            in_order(each)
            assert "\u202e" not in each.text, "names must not turn their surroundings round"
            for figure in each.figures:
                drawn = json.dumps(figure, ensure_ascii=False)
                assert "<script" not in drawn
                assert "<a " not in drawn
                assert "\u202e" not in drawn


@pytest.mark.parametrize("path", PATHS)
def test_it_renders_where_all_is_at_level_0(path, now, write, all_cards):
    write(now - HOUR, level=0)

    for each in all_cards(path).values():
        in_order(each)
        assert not each.figures


@pytest.mark.parametrize("path", [path for path in PATHS if path not in WITHOUT_RANGE])
def test_an_empty_range_leads_to_the_latest_requests(path, now, write, write_details, all_cards):
    write(now - 10 * DAY)
    write_details(now - 10 * DAY)

    shown = all_cards(path)

    links = [link for each in shown.values() for link in each.links if "from=" in link]
    assert any("from=2026-11-1" in link for link in links), {name: each.text for name, each in shown.items()}


@pytest.mark.parametrize("path", WITH_TABLES)
def test_its_table_can_be_had_as_csv(path, now, write, write_profile, write_details, address, admin):
    write([now - HOUR, now - 2 * HOUR], "=evil()", status=500, group_by="=evil()", ip="=evil()")
    write_details(now - HOUR, "=evil()")
    write_profile(
        now - HOUR, "=evil()", lines=(CodeLine("", "=evil()", 1, "=evil()", in_app=True),), nodes=ONE
    )

    answer = admin.follow(f"/export{address(path)}.csv")

    assert answer.status_code == 200
    header, *lines = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert lines
    assert all(len(line) == len(header) for line in lines)
    assert not any(cell.startswith("=") for line in lines for cell in line)


@pytest.mark.parametrize("path", WITH_TABLES)
def test_its_table_is_closed_to_strangers(path, now, write, address, visitor):
    write(now - HOUR)

    assert visitor.follow(f"/export{address(path)}.csv").status_code in (302, 401)


def test_what_a_chart_covers_is_said_below_it(now, write, card):
    write([now - HOUR, now - 2 * HOUR])

    text = card("hourly-map", "/hourly_load", "?tz=Asia/Kolkata").text

    assert "2 requests · Last 24 hours · Asia/Kolkata" in text


def test_a_filter_by_version_is_said_too(now, write, card):
    write([now - HOUR], version="1.0")
    write([now - HOUR], version="2.0")

    text = card("hourly-map", "/hourly_load", "?v=2.0").text

    assert "1 request · " in text
    assert "version 2.0" in text


@pytest.mark.parametrize(
    ("card_id", "path"),
    [
        ("daily-stack", "/daily_utilization"),
        ("hourly-typical", "/hourly_load"),
        ("endpoint-traffic", "/endpoint/1"),
        ("endpoint-durations", "/endpoint/1"),
    ],
)
def test_the_comparison_is_a_dashed_line_and_can_be_left_out(card_id, path, now, write, card):
    write([now - hours * HOUR for hours in range(1, 47)])

    compared = card(card_id, path)
    alone = card(card_id, path, "?cmp=off")

    def dashed(shown):
        (figure,) = shown.figures
        return [trace for trace in figure["data"] if (trace.get("line") or {}).get("dash") == "dash"]

    assert dashed(compared)
    assert "dashed: the previous 24 hours" in compared.text
    assert not dashed(alone)
    assert "dashed" not in alone.text


@pytest.mark.parametrize("card_id", ["endpoint-traffic", "endpoint-durations", "endpoint-spread"])
def test_a_deployment_within_the_range_is_marked(card_id, now, write, card):
    write([now - 9 * HOUR], version="1.0")
    write([now - 3 * HOUR, now - HOUR], version="2.0")

    (figure,) = card(card_id, "/endpoint/1").figures

    assert {mark["text"] for mark in figure["layout"]["annotations"]} == {"1.0", "2.0"}
