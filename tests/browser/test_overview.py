from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from fmd_otel_dash.queries.look import look as read
from fmd_otel_dash.queries.scope import Scope
from tests.browser.conftest import ENDPOINTS, NARROW, TOTAL


@pytest.fixture
def running(serve):
    return serve()


@pytest.fixture
def filled(running):
    running.fill()
    return running


@pytest.fixture
def window(filled, look):
    opened = look(filled)
    opened.sign_in()
    opened.settled()
    return opened


def level(running, name):
    with read(running.store, Scope(0, 0)) as view:
        return next(endpoint.level for endpoint in view.endpoints if endpoint.name == name)


def row(page, name):
    return page.locator(".ag-center-cols-container .ag-row", has_text=name)


def kpi(page, label):
    return page.locator(".fmd-kpi", has_text=label).locator(".fmd-kpi-value")


def test_it_shows_exactly_the_requests_that_were_recorded(window):
    page = window.page
    expect(kpi(page, "Requests")).to_have_text(str(TOTAL))
    expect(kpi(page, "Error rate")).to_have_text("1.12 %")
    hits = page.locator('.ag-center-cols-container [col-id="n"]')
    expect(hits).to_have_text([str(endpoint[1]) for endpoint in ENDPOINTS])
    assert sum(int(text) for text in hits.all_inner_texts()) == TOTAL
    expect(row(page, "checkout.pay").locator('[col-id="errors"]')).to_have_text("10.0 %")


def test_numbers_lead_to_the_requests_they_count(window):
    cells = row(window.page, "checkout.pay")

    def href(column):
        return cells.locator(f'[col-id="{column}"] a').get_attribute("href")

    assert re.search(r"/endpoint/\d+/requests$", href("n"))
    assert href("errors") == f"{href('n')}?status=5xx"
    assert re.fullmatch(re.escape(f"{href('n')}?min_ms=") + r"[\d.]+", href("p95"))
    cells.locator('[col-id="errors"] a').click()
    expect(window.page).to_have_url(re.compile(r"/requests\?status=5xx$"))


def test_the_table_sorts_and_filters_and_the_link_keeps_the_filter(window):
    page = window.page
    first = page.locator(".ag-center-cols-container .ag-row[row-index='0'] [col-id='name']")
    expect(first).to_have_text("shop.home")
    page.locator(".ag-header-cell[col-id='p95'] .ag-header-cell-label").click()
    expect(first).to_have_text("checkout.pay")
    page.fill("#endpoints-filter", "cart")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?q=cart$"))
    page.reload()
    window.settled()
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").first.click()
    text = download.value.path().read_text(encoding="utf-8-sig")
    assert len(text.strip().splitlines()) == 3
    assert download.value.suggested_filename.startswith("endpoints_20")


def test_an_admin_changes_a_level_sees_it_at_once_and_can_undo_it(window, filled):
    page = window.page
    group = page.get_by_role("radiogroup", name="Monitor level of shop.search")
    group.get_by_role("radio", name="Level 0:").click()
    expect(group.get_by_role("radio", name="Level 0:")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#notice")).to_contain_text("shop.search is now at monitor level 0")
    assert level(filled, "shop.search") == 0
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#notice")).to_contain_text("monitor level 1")
    expect(group.get_by_role("radio", name="Level 1:")).to_have_attribute("aria-checked", "true")
    assert level(filled, "shop.search") == 1


def test_the_same_level_can_be_set_again_after_another_came_between(window, filled):
    page = window.page
    group = page.get_by_role("radiogroup", name="Monitor level of cart.show")
    for wanted in (3, 2, 3):
        group.get_by_role("radio", name=f"Level {wanted}:").click()
        expect(page.locator("#notice")).to_contain_text(f"monitor level {wanted}")
        assert level(filled, "cart.show") == wanted


def test_a_level_that_could_not_be_set_goes_back_and_says_why(window, filled):
    page = window.page
    group = page.get_by_role("radiogroup", name="Monitor level of cart.add")
    with filled.store.write() as connection:
        table = filled.store.tables.endpoint
        connection.execute(table.delete().where(table.c.name == "cart.add"))
    group.get_by_role("radio", name="Level 2:").click()
    expect(page.locator("#notice")).to_contain_text("Not changed")
    expect(group.get_by_role("radio", name="Level 1:")).to_have_attribute("aria-checked", "true")


def test_a_guest_sees_levels_and_cannot_change_them(filled, look):
    opened = look(filled)
    opened.sign_in("bob")
    opened.settled()
    expect(opened.page.locator(".fmd-level-fixed").first).to_have_text("1")
    assert opened.page.get_by_role("radio").count() == 0


def test_an_endpoint_leads_to_its_own_pages_without_loading_anew(window):
    page = window.open("/overview?from=now-7d&to=now")
    page.evaluate("window.here = true")
    page.locator("#page").get_by_role("link", name="shop.home").click()
    expect(page).to_have_url(re.compile(r"/endpoint/\d+\?from=now-7d&to=now$"))
    expect(page.locator(".fmd-nav [aria-current=page]")).to_contain_text("Summary")
    expect(page).to_have_title(re.compile("shop.home"))
    assert page.evaluate("window.here") is True
    page.go_back()
    expect(page.locator(".fmd-kpi-value").first).to_have_text(str(TOTAL))


def test_dragging_over_a_time_axis_zooms_the_page(window):
    page = window.page
    area = page.locator(".fmd-graph-time .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=6)
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=6)
    page.mouse.up()
    expect(page).to_have_url(
        re.compile(r"\?from=20\d\d-\d\d-\d\dT[\d:]+&to=20\d\d-\d\d-\d\dT[\d:]+&tz=Europe/Amsterdam$")
    )
    expect(page.locator(".fmd-kpi-value").first).not_to_have_text(str(TOTAL))


def test_a_comparison_can_be_chosen_and_switched_off(window, filled):
    filled.fill(days_ago=1, first=50_000)
    page = window.open("/overview")
    expect(page.locator(".fmd-kpi-delta").first).to_contain_text("vs previous 24 hours")
    page.click("#range-button")
    page.get_by_role("textbox", name="Compare with").click()
    page.get_by_role("option", name="No comparison").click()
    expect(page).to_have_url(re.compile(r"\?cmp=off$"))
    expect(page.locator(".fmd-kpi-delta").first).to_have_text("")
    expect(page.locator(".ag-header-cell[col-id='change']")).to_have_count(0)


def test_before_the_first_request_it_says_how_to_send_one_and_fills_in_by_itself(running, look):
    opened = look(running)
    opened.sign_in()
    opened.settled()
    page = opened.page
    expect(page.get_by_role("heading", name="Waiting for the first request")).to_be_visible()
    expect(page.locator("#snippet")).to_contain_text("fmd_otel.instrument(app)")
    running.fill()
    expect(page.locator(".fmd-kpi-value").first).to_have_text(str(TOTAL))
    expect(page.get_by_role("heading", name="Waiting for the first request")).to_have_count(0)


def test_a_card_that_was_answered_a_moment_before_the_first_request_fills_in_too(running, look):
    opened = look(running)
    opened.sign_in()
    page = opened.page
    found = []

    def answer(route):
        """Let one card know of no requests until it is asked again after another has shown some."""
        asked = route.request.post_data_json
        if asked["output"] == "overview-endpoints-body.children":
            response = route.fetch()
            if "rowData" in response.text():
                found.append(asked["inputs"][0]["value"]["serial"])
            route.fulfill(response=response)
        elif asked["output"] == "overview-traffic-body.children" and not (
            found and asked["inputs"][0]["value"]["serial"] > found[0]
        ):
            route.fulfill(json={"multi": True, "response": {"overview-traffic-body": {"children": None}}})
        else:
            route.continue_()

    page.route("**/_dash-update-component*", answer)
    running.fill()
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(len(ENDPOINTS))
    expect(page.locator('.fmd-graph[id*="overview-traffic"]')).to_be_visible()
    page.unroute_all(behavior="wait")


def test_a_range_without_requests_leads_to_where_there_are_some(window):
    page = window.open("/overview?from=2026-01-01&to=2026-01-02")
    expect(page.locator(".fmd-hint")).to_contain_text("No requests in this range")
    page.get_by_role("link", name="Show the latest").click()
    expect(page.locator(".fmd-hint")).to_have_count(0)
    expect(page.locator(".fmd-kpi-value").first).not_to_have_text("0")


def test_a_failure_stays_in_its_card_and_can_be_tried_again(window, filled, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("secret of the inside")

    page = window.page
    with monkeypatch.context() as broken:
        broken.setattr("fmd_otel_dash.pages.overview.timeline", fail)
        page.click("#refresh")
        alerts = page.get_by_role("alert").filter(has_text="could not be loaded")
        expect(alerts).to_have_count(2)
        expect(page.locator(".fmd-kpi-value").first).to_have_text(str(TOTAL))
        assert "secret" not in page.content()
    page.get_by_role("button", name="Try again").first.click()
    expect(alerts).to_have_count(1)


def test_on_a_telephone_the_table_keeps_what_matters(filled, look):
    opened = look(filled, NARROW)
    opened.sign_in()
    opened.settled()
    page = opened.page
    heads = page.locator(".ag-header-cell")
    expect(heads).to_have_text(["Endpoint", "Hits", "p95"], use_inner_text=True)
    tops = page.locator(".fmd-kpi").evaluate_all(
        "all => all.map(e => Math.round(e.getBoundingClientRect().top))"
    )
    assert len(set(tops)) == 2  # two by two


def test_hostile_names_are_text(running, look):
    from time import time_ns  # noqa: PLC0415

    from fmd_otel_exporter.records import RequestRecord  # noqa: PLC0415
    from fmd_otel_exporter.writer import Writer  # noqa: PLC0415

    names = (
        "<img src=x onerror=alert(1)>",
        "a" * 250,
        "名前.エンドポイント",
        "\u202eevil",
        "'; DROP TABLE x; --",
        "{{7*7}}",
    )
    Writer(running.store).write(
        [
            RequestRecord(
                "<b>shop</b>", name, time_ns() // 1000 - 10**6, i.to_bytes(8, "big"), bytes(16), 1000, 200,
                "GET",
                "<script>alert(1)</script>", route="</script>", group_by="<i>", ip="::1",
            )
            for i, name in enumerate(names, 1)
        ]
    )  # fmt: skip
    for size in ((1440, 1000), NARROW):
        opened = look(running, size)
        opened.page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        opened.sign_in()
        opened.settled()
        page = opened.page
        expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(len(names))
        expect(page.locator("#page img")).to_have_count(0)
        opened.fits()
        page.click("#range-button")
        expect(page.locator("#versions")).to_contain_text("<script>")
