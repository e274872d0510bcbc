"""What a telephone shows: nothing upon each other, nothing cut off that tells lines apart."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer
from tests.browser.conftest import NARROW

VERSIONS, USERS = 12, 4
OVERLAPPING = """() => {
    const circles = [...document.querySelectorAll('.scatterlayer .point')]
        .map(e => e.getBoundingClientRect());
    return circles.flatMap((a, i) => circles.slice(i + 1).filter(b =>
        Math.hypot(a.x + a.width / 2 - b.x - b.width / 2, a.y + a.height / 2 - b.y - b.height / 2)
            < (a.width + b.width) / 2 - 1)).length;
}"""


@pytest.fixture
def many(serve):
    """A dashboard on requests of some users under many versions, all about as slow."""
    running = serve()
    now_us = time.time_ns() // 1000
    records = []
    for version in range(VERSIONS):
        for user in range(USERS):
            for i in range(3):
                number = len(records) + 1
                records.append(
                    RequestRecord(
                        service="shop", endpoint="a_blueprint_of_some_length.cart",
                        duration_us=90_000 + user * 1000,
                        ts_us=now_us - (version * 60 + i + 1) * 60_000_000,
                        span_id=number.to_bytes(8, "big"), trace_id=number.to_bytes(16, "big"), status=200,
                        method="GET", version=f"1.{VERSIONS - version}", group_by=f"user-{user}",
                        ip="10.0.0.1", route="/cart", blueprint="a_blueprint_of_some_length",
                    )
                )  # fmt: skip
    Writer(running.store).write(records)
    return running


@pytest.fixture
def opened(many, look):
    def at(path):
        window = look(many, NARROW)
        window.sign_in(to=path)
        window.quiet()
        return window.page

    return at


def test_circles_of_many_versions_do_not_lie_upon_each_other_and_scroll(opened):
    page = opened("/endpoint/1/version_user")
    page.wait_for_function("() => document.querySelectorAll('.scatterlayer .point').length >= 48")
    page.wait_for_function(f"() => ({OVERLAPPING})() === 0")
    wide = "() => { const e = document.querySelector('.fmd-scroll-x:has(.fmd-graph)');"
    assert page.evaluate(wide + " return e.scrollWidth > e.clientWidth }")


def test_the_tab_of_the_page_at_hand_is_in_sight(opened):
    page = opened("/endpoint/1/exceptions")
    tab = page.locator(".fmd-tab[aria-current=page]")
    page.wait_for_function(
        """() => { const e = document.querySelector('.fmd-tab[aria-current=page]').getBoundingClientRect();
            return e.left >= 0 && e.right <= window.innerWidth }"""
    )
    expect(tab).to_have_text("Exceptions")


def test_requests_are_told_apart_by_endpoint_and_names_lose_their_beginning(opened):
    page = opened("/requests")
    heads = page.locator(".ag-header-cell")
    expect(heads).to_have_text(["Time", "Status", "Endpoint", "Duration"])
    name = page.locator(".fmd-endpoint a").first
    expect(name).to_have_text("a_blueprint_of_some_length.cart")
    expect(name).to_have_css("direction", "rtl")
    # Columns have their widths a moment after those that do not fit are gone.
    page.wait_for_function("e => e.scrollWidth > e.clientWidth", arg=name.element_handle())
    expect(page.locator(".fmd-wide-part:visible")).to_have_count(0)


def test_how_to_read_a_card_opens_by_a_touch(opened):
    page = opened("/endpoint/1/version_user")
    mark = page.locator(".fmd-how summary").first
    mark.click()
    text = page.locator(".fmd-how-text").first
    expect(text).to_contain_text("the larger and redder")
    expect(text).to_be_visible()
    box = text.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= NARROW[0]
