"""Everywhere without a mouse, and the link to what is shown."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect


@pytest.fixture
def running(serve):
    made = serve()
    made.fill()
    return made


@pytest.fixture
def window(running, look):
    opened = look(running)
    opened.sign_in()
    opened.settled()
    return opened


@pytest.fixture
def clipboard(window, context):
    """Return a function that reads what was copied."""
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=window.base)

    def read():
        expect(window.page.locator("#notice")).to_contain_text("Link copied")
        return window.page.evaluate("navigator.clipboard.readText()")

    return read


def test_lines_of_a_grid_are_walked_and_opened(window):
    page = window.page
    page.keyboard.press("j")
    expect(page.locator(".ag-row-focus")).to_contain_text("shop.home")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".ag-row-focus")).to_contain_text("cart.show")
    page.keyboard.press("k")
    expect(page.locator(".ag-row-focus")).to_contain_text("shop.search")

    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/endpoint/\d$"))
    expect(page.get_by_role("heading", name="shop.search")).to_be_visible()


def test_lines_of_a_plain_table_are_walked_and_opened(window):
    page = window.open("/endpoint/5/status_code_distribution")
    table = page.locator("table.fmd-plain-table").filter(has=page.get_by_role("link")).first
    links = table.locator("tbody tr").filter(has=page.get_by_role("link"))
    page.evaluate("document.querySelectorAll('.fmd-table').forEach(each => { each.style.display = 'none'; })")
    page.keyboard.press("j")
    expect(links.nth(0).get_by_role("link").first).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1).get_by_role("link").first).to_be_focused()

    page.keyboard.press("Enter")

    expect(page).to_have_url(re.compile(r"/requests\?.*status="))


def test_from_page_to_page_of_the_dashboard_and_of_an_endpoint(window):
    page = window.page
    for keys, url in (
        ("gs", r"/storage$"),
        ("gu", r"/users$"),
        ("g,", r"/configuration$"),
        ("ga", r"/account$"),
        ("gl", r"/live$"),
        ("go", r"/overview$"),
    ):
        page.keyboard.type(keys)
        expect(page).to_have_url(re.compile(url))
        window.settled()
    window.open("/endpoint/2")
    for keys, url in (("eu", "/endpoint/2/users$"), ("ex", "/endpoint/2/outliers$"), ("eo", "/endpoint/2$")):
        page.keyboard.type(keys)
        expect(page).to_have_url(re.compile(url))
        window.settled()


def test_a_second_key_counts_by_when_it_was_pressed_however_late_a_busy_page_hears_of_it(window):
    window.page.evaluate(
        """() => {
            const pressed = key => new KeyboardEvent("keydown", {key, bubbles: true});
            document.body.dispatchEvent(pressed("g"));
            const second = pressed("h"), until = performance.now() + 2000;
            while (performance.now() < until);
            document.body.dispatchEvent(second);
        }"""
    )
    expect(window.page).to_have_url(re.compile("/hourly_load$"))


def test_brackets_and_arrows_move_the_range(window):
    page = window.page

    def moved(key, before):
        """Press a key, and return the address once what it says is shown: the next step begins there."""
        page.keyboard.press(key)
        expect(page).not_to_have_url(before)
        start = parse_qs(urlsplit(page.url).query)["from"][0]
        expect(page.locator("#zone-note [data-tz]")).to_have_attribute("data-from", start)
        window.settled()
        return page.url

    first = moved("[", page.url)
    second = moved("]", first)
    page.keyboard.press("t")
    expect(page.locator("#range-text")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page).not_to_have_url(second)
    expect(page).to_have_url(first)


def test_the_link_moves_along_or_is_frozen(window, clipboard):
    page = window.page
    page.keyboard.press(".")
    assert clipboard() == page.url

    page.keyboard.press("Shift+.")
    expect(page.locator("#notice")).to_contain_text("very moments")

    frozen = clipboard()
    asked = parse_qs(urlsplit(frozen).query)
    assert asked["tz"] == ["Europe/Amsterdam"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", asked["from"][0])
    shown = page.locator(".fmd-kpi-value").first.inner_text()
    page.goto(frozen)
    window.settled()
    expect(page.locator(".fmd-kpi-value").first).to_have_text(shown)
    expect(page.locator("#range-label")).to_contain_text("20")


def test_the_frozen_link_keeps_filters_and_drops_the_refresh(window, clipboard):
    page = window.open("/requests?from=now-3h&to=now&refresh=1m&status=5xx&cmp=off")
    page.locator("summary[aria-label='Copy the link']").click()

    page.get_by_role("button", name="Link to these moments").click()

    asked = parse_qs(urlsplit(clipboard()).query)
    assert (asked["status"], asked["cmp"]) == (["5xx"], ["off"])
    assert "refresh" not in asked
    expect(page.get_by_role("button", name="Link to these moments")).to_be_hidden()


def test_on_a_telephone_the_link_is_copied_in_the_range_picker(running, look, context):
    opened = look(running, (390, 844))
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=opened.base)
    opened.sign_in()
    page = opened.page
    page.click("#range-button")

    page.get_by_role("button", name="Link that moves along").click()

    expect(page.locator("#notice")).to_contain_text("Link copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    opened.fits()
