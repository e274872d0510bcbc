"""Requests as they come in, in a real browser, while a writer writes."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from playwright.sync_api import expect

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer

LONGER_THAN_A_POLL_S = 1.5


@pytest.fixture
def running(serve):
    return serve()


@pytest.fixture
def come_in(running):
    """Write requests as an application's worker does."""
    numbers = itertools.count(1)
    writer = Writer(running.store)

    def write(*endpoints, status=200):
        now_us = time.time_ns() // 1000
        writer.write(
            [
                RequestRecord(
                    "shop", endpoint, now_us, (n := next(numbers)).to_bytes(8, "big"),
                    n.to_bytes(16, "big"), 12_000, status, "GET", "1.7.0", f"user-{n}", "10.0.0.1",
                )
                for endpoint in endpoints
            ]
        )  # fmt: skip

    return write


@pytest.fixture
def window(running, look):
    opened = look(running)
    opened.sign_in()
    opened.open("/live")
    return opened


def rows(page, text=""):
    return page.locator(".ag-center-cols-container .ag-row", has_text=text)


def test_a_request_shows_by_itself_and_leads_to_its_page(window, come_in):
    page = window.page
    expect(page.get_by_role("grid").get_by_text("Nothing in the last minute")).to_be_visible()

    come_in("shop.home")

    expect(rows(page)).to_have_count(1)
    expect(rows(page, "shop.home")).to_contain_text("12.0 ms")
    come_in("shop.cart", "shop.pay", status=500)
    expect(rows(page)).to_have_count(3)
    expect(rows(page).first).to_contain_text("500")
    rows(page, "shop.home").get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/request/\d+-1-[0-9a-f]{16}"))


def test_it_pauses_and_goes_on(window, come_in):
    page = window.page
    page.keyboard.press("p")
    button = page.get_by_role("button", name="Go on")
    expect(button).to_have_attribute("aria-pressed", "true")
    window.quiet(LONGER_THAN_A_POLL_S)
    asked = []
    page.on("request", lambda request: asked.append(request.post_data or ""))
    come_in("shop.home")
    page.wait_for_timeout(2500)
    assert [each for each in asked if "live-" in each] == []  # how the monitoring is, is asked all the same
    expect(rows(page)).to_have_count(0)

    button.click()

    expect(rows(page)).to_have_count(1)


def test_it_rests_while_nobody_looks_also_when_paused(window, come_in):
    page = window.page

    def hide(*, hidden):
        page.evaluate(
            """hidden => {
                Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
                document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )

    hide(hidden=True)
    window.quiet(LONGER_THAN_A_POLL_S)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    come_in("shop.home")
    page.wait_for_timeout(2500)
    assert asked == []

    hide(hidden=False)

    expect(rows(page)).to_have_count(1)


def test_a_filter_holds_for_what_comes_in_later(window, come_in):
    page = window.page
    come_in("shop.home")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("radiogroup", name="Status").get_by_text("5xx").click()
    expect(page).to_have_url(re.compile("status=5xx"))
    expect(rows(page)).to_have_count(0)

    come_in("shop.cart")
    come_in("shop.pay", status=503)

    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("shop.pay")


def test_only_the_newest_are_kept(window, come_in):
    page = window.page
    for _ in range(3):
        come_in(*["shop.home"] * 99)
        page.locator("#live-grid .ag-row").first.wait_for()  # before, there is no grid to ask
        page.wait_for_function(
            """n => window.dash_ag_grid.getApi('live-grid').getDisplayedRowCount() >= n""",
            arg=99 if _ == 0 else 198 if _ == 1 else 200,
        )
    assert page.evaluate("window.dash_ag_grid.getApi('live-grid').getDisplayedRowCount()") == 200


@pytest.mark.parametrize(("size", "dark"), [((1440, 1000), False), ((390, 844), True)])
def test_it_fits(running, look, come_in, size, dark):
    opened = look(running, size, dark=dark)
    opened.sign_in()
    come_in("shop.home", "api.a_rather_long_name_for_an_endpoint", status=404)
    page = opened.open("/live")
    come_in("shop.cart")
    expect(rows(page)).to_have_count(3)
    opened.fits()
