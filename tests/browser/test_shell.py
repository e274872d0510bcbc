"""The frame around the pages: signing in, the address as the state, keyboard, light, dark and narrow."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from playwright.sync_api import expect

from fmd_otel_dash.auth import sessions
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer

WIDE, NARROW = (1440, 1000), (390, 844)


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


def test_somebody_unknown_signs_in_and_arrives_where_they_wanted_to_go(running, look):
    opened = look(running)
    page = opened.page
    page.goto(f"{running.url}/dashboard/overview?from=now-7d&to=now")
    expect(page).to_have_url(re.compile("/login"))
    page.fill("#username", "ada")
    page.fill("#password", "not it")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    opened.troubles.clear()  # the browser notes the 401
    page.fill("#password", "correct horse battery")
    page.click("button[type=submit]")
    expect(page).to_have_url(re.compile(r"/dashboard/overview\?from=now-7d&to=now$"))
    expect(page.locator("#range-label")).to_have_text("Last 7 days")


def test_signing_out_ends_it(window, running):
    page = window.page
    page.click(".fmd-avatar")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login$"))
    page.goto(f"{running.url}/dashboard/overview")
    expect(page).to_have_url(re.compile("/login"))


def test_a_session_that_ends_meanwhile_leads_to_the_sign_in_page_and_back(window, running):
    page = window.open("/overview?from=now-3h&to=now")
    with running.store.write() as connection:
        connection.execute(running.store.tables.session.delete())
    page.click("#refresh")
    expect(page).to_have_url(re.compile(r"/login\?next="))
    page.fill("#username", "ada")
    page.fill("#password", "correct horse battery")
    page.click("button[type=submit]")
    expect(page).to_have_url(re.compile(r"/overview\?from=now-3h&to=now$"))
    window.quiet()
    window.troubles[:] = [each for each in window.troubles if "401" not in each]


@pytest.mark.parametrize(
    ("typed", "url", "label"),
    [
        ("3h", r"\?from=now-3h&to=now$", "Last 3 hours"),
        ("yesterday", r"\?from=now-1d/d&to=now/d$", "Yesterday"),
        (
            "2026-11-01 to 2026-11-03",
            r"\?from=2026-11-01&to=2026-11-03&tz=Europe/Amsterdam$",
            "1 Nov – 3 Nov 2026",
        ),
        ("since 1.7.0", r"\?from=version:1.7.0&to=now$", "Since 1.7.0"),
    ],
)
def test_a_range_can_be_typed(window, typed, url, label):
    page = window.page
    page.keyboard.press("t")
    page.fill("#range-text", typed)
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(url))
    expect(page.locator("#range-label")).to_have_text(label)
    expect(page.locator("#range-text")).to_be_hidden()


def test_what_nobody_understands_is_said_where_it_was_typed(window):
    page = window.page
    page.click("#range-button")
    page.fill("#range-text", "banana")
    page.keyboard.press("Enter")
    expect(page.locator("#range-problem")).to_contain_text("“banana” is not a range of time")
    expect(page.locator("#range-text")).to_be_visible()


def test_a_quick_range_back_and_forward(window):
    page = window.page
    page.click("#range-button")
    page.get_by_role("button", name="Last 7 days").click()
    expect(page.locator("#range-label")).to_have_text("Last 7 days")
    page.click("#range-button")
    page.get_by_role("button", name="Yesterday").click()
    expect(page.locator("#range-label")).to_have_text("Yesterday")
    page.go_back()
    expect(page.locator("#range-label")).to_have_text("Last 7 days")
    page.go_back()
    expect(page.locator("#range-label")).to_have_text("Last 24 hours")
    page.go_forward()
    expect(page.locator("#range-label")).to_have_text("Last 7 days")
    page.reload()
    expect(page.locator("#range-label")).to_have_text("Last 7 days")


def test_a_mistyped_link_shows_something_and_says_what(window):
    page = window.open("/overview?from=banana&to=now")
    expect(page.locator("#range-label")).to_have_text("Last 24 hours")
    expect(page.locator("#range-label .i-alert")).to_be_visible()
    page.click("#range-button")
    expect(page.locator("#range-problem")).to_contain_text("“banana” is not a time")


def test_the_menu_keeps_the_range_and_marks_the_page(window):
    page = window.open("/overview?from=now-7d&to=now&cmp=off")
    link = page.get_by_role("link", name="Hourly API Utilization")
    link.click()
    expect(page).to_have_url(re.compile(r"/hourly_load\?from=now-7d&to=now&cmp=off$"))
    expect(page.locator(".fmd-nav [aria-current=page]")).to_contain_text("Hourly API Utilization")
    expect(page).to_have_title(re.compile("Hourly API Utilization"))
    page.keyboard.press("z")
    expect(page.locator("#range-label")).to_have_text("Last 14 days")
    page.get_by_role("link", name="Overview", exact=False).first.click()
    expect(page).to_have_url(re.compile(r"/overview\?from=now-336h"))


def test_the_keyboard(window):
    page = window.page
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    page.keyboard.type("gh")
    expect(page.get_by_role("heading", name="Hourly API Utilization")).to_be_visible()
    page.keyboard.type("go")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    window.settled()
    page.keyboard.press("Shift+ArrowLeft")
    expect(page).to_have_url(re.compile(r"from=20\d\d-.*Z&to=20\d\d-.*Z"))
    page.keyboard.press("d")
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.keyboard.press("/")
    expect(page.locator("#endpoints-filter")).to_be_focused()
    page.keyboard.type("zd?")
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")  # typing is typing


def test_who_goes_on_before_a_page_has_arrived_gets_the_last_one(window):
    page = window.page

    def late(route):
        page.wait_for_timeout(150)
        route.continue_()

    page.route("**/_dash-update-component*", late)
    page.keyboard.type("ghgogh")
    page.keyboard.press("z")
    expect(page.get_by_role("heading", name="Hourly API Utilization")).to_be_visible()
    expect(page.locator("#range-label")).to_have_text("Last 2 days")
    page.keyboard.type("go")
    page.keyboard.type("gh")
    page.keyboard.type("go")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    window.settled()
    page.unroute_all(behavior="wait")  # one that waits would be let go twice
    window.quiet()
    expect(page).to_have_url(re.compile("/overview"))
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(page.locator(".fmd-nav [aria-current=page]")).to_have_text(re.compile("Overview"))


def test_the_choice_of_dark_is_there_before_anything_is_painted(window):
    page = window.page
    page.keyboard.press("d")
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.add_init_script(
        "new MutationObserver(() => { window.first = window.first || (document.body && "
        "document.documentElement.getAttribute('data-mantine-color-scheme')) })"
        ".observe(document, {childList: true, subtree: true})"
    )
    page.reload()
    window.settled()
    assert page.evaluate("window.first") == "dark"
    assert page.evaluate("document.body.dataset.agThemeMode") == "dark"


def test_refreshing_keeps_the_data_on_the_page_until_newer_ones_are_there(window, running):
    page = window.page
    rows = page.locator(".ag-center-cols-container .ag-row")
    expect(rows).to_have_count(7)
    page.evaluate(
        """() => { window.least = 99; new MutationObserver(() => {
            window.least = Math.min(window.least,
                document.querySelectorAll('.ag-center-cols-container .ag-row').length)
        }).observe(document.querySelector('#page'), {childList: true, subtree: true}) }"""
    )
    running.fill(first=10_000)
    page.click("#refresh")
    expect(page.locator(".fmd-kpi-value").first).to_have_text("1,250")
    expect(rows.first.locator("[col-id=n]")).to_have_text("480")
    window.settled()
    assert page.evaluate("window.least") == 7


def test_refreshing_by_itself_and_only_where_time_moves(window):
    page = window.open("/overview?refresh=10s")
    interval = "dash_component_api.getLayout('tick').props"
    page.wait_for_function(f"{interval}.disabled === false && {interval}.interval === 10000")
    page = window.open("/overview?refresh=10s&from=2026-11-01&to=2026-11-02")
    page.wait_for_function(f"{interval}.disabled === true")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_nothing_sticks_out_of_the_window(running, look, size, dark):
    opened = look(running, size, dark=dark)
    opened.sign_in()
    for path in ("/overview", "/no/such/page", "/login", "/logout"):
        opened.page.goto(f"{running.url}/dashboard{path}")
        if path != "/logout":
            opened.settled()
        opened.fits()


def test_on_a_telephone_the_menu_opens_and_closes_behind_a_button(running, look):
    opened = look(running, NARROW)
    opened.sign_in()
    opened.settled()
    page = opened.page
    link = page.get_by_role("link", name="Hourly API Utilization")
    expect(link).not_to_be_in_viewport()
    page.click("#burger")
    expect(link).to_be_in_viewport()
    link.click()
    expect(page).to_have_url(re.compile("/hourly_load"))
    expect(link).not_to_be_in_viewport()
    page.click("#range-button")
    expect(page.locator("#range-text")).to_be_in_viewport()
    box = page.locator(".fmd-picker").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= NARROW[0]


def test_header_controls_do_not_overlap(running, look):
    for size in (WIDE, (1000, 800), NARROW):
        opened = look(running, size)
        opened.sign_in()
        opened.settled()
        boxes = opened.page.evaluate(
            """() => [...document.querySelectorAll('.fmd-header-row > *')].flatMap(
                e => e.children.length && !e.matches('button, a, details') ? [...e.children] : [e])
                .map(e => e.getBoundingClientRect()).filter(r => r.width > 0)
                .map(r => [Math.round(r.left), Math.round(r.right)])"""
        )
        for (_, right), (left, _) in itertools.pairwise(boxes):
            assert right <= left + 1, (size, boxes)
        assert boxes[-1][1] <= size[0]


def test_while_the_database_is_away_the_page_stays_and_says_so(window, monkeypatch):
    def away(*_args):
        raise StorageError("the database at /secret/place is locked")

    page = window.page
    with monkeypatch.context() as broken:
        broken.setattr(sessions, "user_of", away)
        page.click("#refresh")
        expect(page.locator("#notice")).to_contain_text("may be out of date")
        expect(page.locator(".fmd-kpi-value").first).to_have_text("625")
        assert "/secret/place" not in page.content()
        window.quiet()
    page.click("#refresh")
    window.settled()
    window.quiet()
    # The browser notes each refusal, and Dash does.
    expected = ("503", "already read", "Callback error")
    window.troubles[:] = [each for each in window.troubles if not any(word in each for word in expected)]


def test_a_page_that_fails_as_a_whole_can_be_tried_again(window, monkeypatch):
    def fail(*_args):
        raise RuntimeError("secret of the inside")

    page = window.page
    with monkeypatch.context() as broken:
        broken.setattr("fmd_otel_dash.shell.menu_endpoints", fail)
        page.get_by_role("link", name="Hourly API Utilization").click()
        expect(page.get_by_role("alert").filter(has_text="could not be loaded")).to_be_visible()
        assert "secret" not in page.content()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Hourly API Utilization")).to_be_visible()


def test_where_several_services_report_one_can_be_chosen(window, running):
    page = window.page
    page.click("#range-button")
    expect(page.locator("#services")).to_be_hidden()
    other = RequestRecord(
        "billing", "invoice.show", time.time_ns() // 1000, b"billing1", bytes(16), 900, 200, "GET", "7"
    )
    Writer(running.store).write([other])
    running.dashboard.services.cache.clear()
    page = window.open("/overview")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(8)
    expect(page.locator(".fmd-endpoint").filter(has_text="invoice.show")).to_contain_text("billing")
    page.click("#range-button")
    page.get_by_role("textbox", name="Services").click()
    page.get_by_role("option", name="billing").click()
    expect(page).to_have_url(re.compile(r"\?svc=billing$"))
    expect(page.locator(".fmd-kpi-value").first).to_have_text("1")
    page.reload()
    expect(page.locator(".fmd-kpi-value").first).to_have_text("1")


def test_a_page_that_does_not_exist_says_so(window):
    page = window.open("/no/such/page")
    expect(page.get_by_role("heading", name="Page not found")).to_be_visible()
    page.get_by_role("link", name="Open the Overview").click()
    expect(page).to_have_url(re.compile("/overview"))


def test_a_first_visit_stays_within_its_budget(running, look):
    opened = look(running)
    # What the other tests have left in the cache would not be counted.
    opened.page.context.new_cdp_session(opened.page).send("Network.clearBrowserCache")
    sizes = []
    opened.page.on(
        "response", lambda answer: sizes.append((answer.url, int(answer.headers.get("content-length", 0))))
    )
    opened.sign_in()
    opened.settled()
    opened.quiet()
    assert sum(size for _, size in sizes) <= 1_700_000, sorted(sizes, key=lambda each: -each[1])[:8]
    callbacks = [size for url, size in sizes if "_dash-update-component" in url]
    assert callbacks
    assert max(callbacks) <= 50_000
