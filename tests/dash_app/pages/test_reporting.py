"""Reporting, as a page and as files."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from html.parser import HTMLParser

import pytest

from fmd_otel_dash.pages.reporting_lines import grouped_href
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer
from tests import made_profiles

HOUR = 3_600_000_000
DAY = 24 * HOUR
SLOWER = "?from=now-24h&to=now&cmp=prev"


@pytest.fixture
def slower(now, store):
    """One endpoint that got slower a day ago, and one that did not."""
    chance = random.Random(3)  # noqa: S311 - the same in every run
    records = [
        RequestRecord(
            "shop", endpoint, start_us + i * DAY // 240 + 1, chance.randbytes(8), chance.randbytes(16),
            round(20_000 * times * chance.lognormvariate(0, 0.3)), 200, "GET", f"{times}",
        )
        for endpoint, factor in (("shop.cart", 1.3), ("shop.home", 1.0))
        for start_us, times in ((now - 2 * DAY, 1.0), (now - DAY, factor))
        for i in range(240)
    ]  # fmt: skip
    Writer(store).write(records)


@pytest.mark.usefixtures("slower")
def test_what_got_slower_is_named_with_its_size_and_leads_to_its_durations(card):
    choice = card("reporting-choice", "/reporting", SLOWER)
    assert "Against the previous 24 hours: 1 of 2 endpoints got slower" in choice.text

    [row] = card("reporting-endpoints", "/reporting", SLOWER).grid_rows
    assert row["name"] == "shop.cart"
    assert row["changeText"].endswith("slower")
    assert "95 % CI" in row["changeHint"]

    detail = card("reporting-detail", "/reporting", row["href"].partition("?")[2])
    assert len(detail.figures[0]["data"]) == 2
    assert "Mann-Whitney" in detail.text


def test_the_sentence_above_tells_of_all_that_the_table_below_calls_a_change(card, now, store):
    """More requests are no better and no worse, but they are not nothing."""
    chance = random.Random(3)  # noqa: S311 - the same in every run
    records = [
        RequestRecord(
            "shop", endpoint, start_us + i * DAY // n + 1, chance.randbytes(8), chance.randbytes(16),
            20_000, 200, "GET", "1.0",
        )
        for endpoint, before, after in (
            ("shop.cart", 240, 480),
            ("shop.search", 240, 480),
            ("shop.wish", 480, 240),
            ("shop.home", 240, 240),
        )
        for start_us, n in ((now - 2 * DAY, before), (now - DAY, after))
        for i in range(n)
    ]  # fmt: skip
    Writer(store).write(records)

    choice = card("reporting-choice", "/reporting", SLOWER)
    assert "2 of 4 endpoints got more requests; 1 of 4 endpoints got fewer requests." in choice.text
    classes = [str(part["props"].get("className")).split() for part in choice.parts]
    [verdict] = [each for each in classes if "fmd-verdict" in each]
    assert verdict == ["fmd-verdict"]
    rows = card("reporting-endpoints", "/reporting", SLOWER).grid_rows
    assert {row["name"] for row in rows} == {"shop.cart", "shop.search", "shop.wish"}


@pytest.fixture
def profiled(slower, now, write_profile):
    """Profiles of the endpoint that got slower, before and after: of one line, ten times as long."""
    write_profile([now - DAY - HOUR - i * 1_000_000 for i in range(12)], version=made_profiles.OLD)
    write_profile([now - HOUR - i * 1_000_000 for i in range(11)], version=made_profiles.NEW)


def _detail_of(card, search=SLOWER):
    rows = card("reporting-endpoints", "/reporting", search).grid_rows
    cart = next(row for row in rows if row["name"] == "shop.cart")
    return card("reporting-detail", "/reporting", cart["href"].partition("?")[2])


@pytest.mark.usefixtures("profiled")
def test_where_there_are_profiles_the_lines_that_account_for_the_change_are_named(card):
    detail = _detail_of(card)

    assert "Lines that account for the change" in detail.text
    assert "11 against 12 profiles" in detail.text
    assert "exchange_rate (shop/rates.py:17)" in detail.text
    told = re.search(r"return json.loads.*?\+([\d.]+) ms (\d+) %", detail.text)
    assert 10 < float(told[1]) < 15
    assert int(told[2]) > 90


@pytest.mark.usefixtures("profiled")
@pytest.mark.parametrize(
    ("search", "profiles"),
    [(SLOWER, "11 profiles"), ("?from=now-3d&to=now&old=1.6.0&new=1.7.0", "11 profiles")],
)
def test_from_there_the_grouped_profiler_shows_the_same_comparison(card, view_of, search, profiles):
    href = grouped_href(view_of("/reporting", search), 1)

    shown = card("endpoint-grouped", *href.removeprefix("/dashboard").replace("?", " ?").split(" "))

    assert profiles in shown.text
    assert "against 12 profiles" in shown.text
    assert "exchange_rate" in shown.text


@pytest.mark.usefixtures("slower")
def test_without_profiles_it_says_what_it_takes_to_have_them(card):
    detail = _detail_of(card)

    assert "profiles need level 3, and this endpoint is at level 1" in detail.text
    assert any("/profiler" in link for link in detail.links)
    assert "Lines that account" not in detail.text


@pytest.mark.usefixtures("slower")
def test_profiles_of_one_side_are_held_against_nothing(card, now, write_profile):
    write_profile([now - HOUR], version=made_profiles.NEW)

    assert "profiles of one side only (1 profile after)" in _detail_of(card).text


@pytest.mark.usefixtures("profiled")
def test_the_files_name_the_lines_as_well(admin):
    html, text, document = (
        admin.follow(f"/export/reporting.{kind}{SLOWER}").text for kind in ("html", "md", "json")
    )

    assert "Lines that account for the change" in html
    assert "exchange_rate (shop/rates.py:17)" in html
    assert "### shop.cart: lines that account for the change" in text
    assert "exchange\\_rate (shop/rates.py:17)" in text
    endpoints = {each["endpoint"]: each for each in json.loads(document)["endpoints"]}
    assert endpoints["shop.home"]["profiles"] is None
    [line, *_] = endpoints["shop.cart"]["profiles"]["lines"]
    assert (line["function"], line["line"]) == ("exchange_rate", 17)
    assert 0.9 < line["share"] < 1.2


@pytest.mark.usefixtures("slower")
def test_all_endpoints_are_listed_on_request(card):
    assert len(card("reporting-endpoints", "/reporting", SLOWER + "&show=all").grid_rows) == 2


@pytest.mark.usefixtures("slower")
def test_two_versions_are_compared_over_the_whole_range(card):
    search = "?from=now-3d&to=now&old=1.0&new=1.3"
    assert (
        "1.3 against 1.0: 1 of 2 endpoints got slower" in card("reporting-choice", "/reporting", search).text
    )
    rows = card("reporting-endpoints", "/reporting", search).grid_rows
    assert "slower" in next(row for row in rows if row["name"] == "shop.cart")["changeText"]


def test_without_a_comparison_it_asks_for_one(now, write, card):
    write(now - HOUR)
    assert "Compare with what?" in card("reporting-choice", "/reporting", "?cmp=off").text


@pytest.mark.usefixtures("slower")
def test_it_comes_as_csv(admin):
    answer = admin.follow("/export/reporting.csv" + SLOWER)
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    cart = next(row for row in rows if row["endpoint"] == "shop.cart")
    assert cart["worse"] == "True"
    assert float(cart["latency_low"]) > 0.15
    assert float(cart["latency_high"]) < 0.45


class Tags(HTMLParser):
    """What a file would fetch, and whether all its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.fetched += [value for name, value in attrs if name in {"src", "href", "srcset", "data"}]
        if tag not in {"meta", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag == "p" and "p" not in self.open:
            return
        while self.open and self.open.pop() != tag:
            pass


@pytest.mark.usefixtures("slower")
def test_it_comes_as_one_html_file_that_needs_nothing_else(admin):
    answer = admin.follow("/export/reporting.html" + SLOWER)
    assert answer.mimetype == "text/html"
    assert "attachment" in answer.headers["Content-Disposition"]
    seen = Tags()
    seen.feed(answer.text)
    assert seen.fetched == []
    assert seen.open == []
    assert "<script" not in answer.text
    assert answer.text.count("<svg") == 2


@pytest.mark.usefixtures("slower")
def test_it_comes_as_json_and_as_markdown(admin):
    found = json.loads(admin.follow("/export/reporting.json" + SLOWER).text)
    assert found["regressions"] == ["shop.cart"]
    assert found["endpoints"][0]["findings"]["latency"]["matters"] is True
    text = admin.follow("/export/reporting.md" + SLOWER).text
    assert "| shop.cart |" in text
    assert "1 of 2 endpoints got slower" in text


def test_hostile_names_stay_names_in_every_file(admin, now, write):
    name = "<img src=x onerror=alert(1)>|[a](b)`"
    write([now - HOUR - i for i in range(20)], name)
    assert "<img" not in admin.follow("/export/reporting.html" + SLOWER).text
    text = admin.follow("/export/reporting.md" + SLOWER).text
    assert "<img" not in text
    assert "[a](b)" not in text
    assert text.count("\n|") == 3, "a heading, a line, and one endpoint"


def test_files_need_a_login_and_exist_only_where_a_page_has_them(visitor, guest):
    assert visitor.follow("/export/reporting.html").status_code in {302, 401}
    assert guest.follow("/export/reporting.html").status_code == 200
    assert guest.follow("/export/overview.html").status_code == 404
