"""The table below a chart: opened, walked and followed by keyboard, and as new as the chart."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer
from tests.browser.test_every_page import AXE, FINDINGS


@pytest.fixture
def running(serve):
    made = serve()
    made.fill()
    return made


def twin(page, name):
    return page.locator(f'details.fmd-twin[data-graph="{name}"]')


def opened(page, name):
    summary = twin(page, name).locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name=re.compile("over time"))
    expect(table).to_be_visible()
    return table


def test_by_keyboard_from_the_chart_to_the_requests_behind_a_point(running, look):
    window = look(running)
    window.sign_in()
    page = window.open("/endpoint/7")

    table = opened(page, "endpoint-traffic")

    expect(table.get_by_role("columnheader", name="Successful (per hour)")).to_be_visible()
    stops = table.locator("button[tabindex='0']")
    expect(stops).to_have_count(1)
    stops.focus()
    page.keyboard.press("ArrowDown")
    second = table.locator("button").nth(1)
    expect(second).to_be_focused()
    expect(stops).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/endpoint/7/requests\?from=20.*&to=20"))
    window.settled()
    expect(page.locator(".ag-center-cols-container .ag-row").first).to_be_visible()
    page.go_back()
    window.settled()
    expect(twin(page, "endpoint-traffic")).not_to_have_attribute("open", "")


def test_a_refresh_keeps_it_open_and_brings_it_up_to_date(running, look):
    window = look(running)
    window.sign_in()
    page = window.page
    table = opened(page, "overview-traffic")
    expect(table.get_by_role("columnheader", name="4xx")).to_have_count(0)
    now_us = time.time_ns() // 1000
    Writer(running.store).write(
        [
            RequestRecord(
                "shop", "shop.home", now_us - 60_000_000, b"\1" * 8, b"\1" * 16, 9000, 404, "GET", "1.7.0"
            )
        ]
    )

    running.dashboard.services.cache.clear()
    page.click("#refresh")

    expect(table.get_by_role("columnheader", name="4xx (per hour)")).to_have_count(1)
    expect(table).to_be_visible()


def test_on_a_telephone_it_scrolls_within_itself_and_on_paper_it_is_whole(running, look):
    window = look(running, (390, 844), dark=True)
    window.sign_in()
    page = window.page

    opened(page, "overview-traffic")

    box = page.get_by_role("region", name="Requests over time, by outcome, table")
    expect(box).to_have_attribute("tabindex", "0")
    window.fits()
    height = "element => [element.scrollHeight, element.clientHeight]"
    whole, shown = box.evaluate(height)
    assert whole > shown
    page.emulate_media(media="print", color_scheme="light")
    whole, shown = box.evaluate(height)
    assert whole == shown
    expect(twin(page, "overview-durations")).to_be_hidden()


@pytest.mark.parametrize("dark", [False, True])
def test_nothing_about_it_keeps_somebody_out(running, look, dark):
    if not AXE.is_file():
        pytest.skip("needs axe-core. The remedy: make setup, where npm is installed")
    window = look(running, dark=dark)
    window.sign_in()
    page = window.open("/endpoint/7")
    opened(page, "endpoint-traffic")

    page.evaluate(AXE.read_text(encoding="utf-8"))

    assert page.evaluate(FINDINGS) == []
