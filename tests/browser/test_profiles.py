from __future__ import annotations

import functools
import http.server
import json
import re
import shutil
import threading
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from benchmarks import drawing
from fmd_otel_exporter.catalog import set_level
from fmd_otel_exporter.detail_writer import DetailWriter
from tests import made_profiles
from tests.made_profiles import NEW, OLD

NARROW = (390, 844)
SPEEDSCOPE = Path(__file__).parents[2] / "var/tools/node_modules/speedscope/dist/release"
HOUR = 3600 * 1_000_000
FRAMES = "document.querySelector('.fmd-profile')?.fmdExplorer?.model?.frames"
"""Those that are drawn; nothing while a new answer takes the place of the one before."""


class Shop:
    """A served dashboard with the profiles of one endpoint: forty old, twenty new."""

    def __init__(self, running):
        self.running = running
        running.fill()
        now_us = time.time_ns() // 1000
        self.records = [
            made_profiles.profile(
                10_000 + i,
                now_us - (i + 1) * 600_000_000,
                NEW if i < 20 else OLD,
                "cart.show",
                price_us=400,
            )
            for i in range(60)
        ]
        self.write(*self.records)
        table = running.store.tables.endpoint
        with running.store.read() as connection:
            self.id = connection.scalar(select(table.c.id).where(table.c.name == "cart.show"))
        set_level(running.store, self.id, 3)

    def write(self, *records):
        """Write profiles."""
        DetailWriter(self.running.store).write(records)
        self.running.dashboard.services.cache.clear()

    @property
    def path(self):
        """Path of the endpoint's pages."""
        return f"/endpoint/{self.id}"

    @property
    def newest(self):
        """Path of the newest profile."""
        record = self.records[0]
        return f"{self.path}/profiler/{record.ts_us}-{self.id}-{record.span_id.hex()}"


@pytest.fixture
def shop(serve):
    return Shop(serve())


@pytest.fixture
def window(shop, look):
    opened = look(shop.running)
    opened.sign_in()
    return opened


DRAWN = "() => document.querySelector('.fmd-profile')?.fmdExplorer?.graph?.draws > 0"
"""Only then does it know what is where."""


def open_profile(window, path):
    page = window.open(path)
    page.wait_for_selector(".fmd-profile[data-ready]")
    page.wait_for_function(DRAWN)
    return page


def rows(page):
    return page.locator(".fmd-row")


def row(page, text):
    return page.locator(".fmd-row", has_text=text)


def explorer(page, expression):
    return page.evaluate(
        "() => { const e = document.querySelector('.fmd-profile').fmdExplorer, m = e.model, P = fmd.profile;"
        f" return {expression}; }}"
    )


def spot(page, name):
    """Return where on the canvas a frame of that name is."""
    found = explorer(
        page,
        f"(() => {{ for (let i = 1; i < m.count; i++) if (P.name(m, i) === {json.dumps(name)})"
        f" {{ const s = e.graph.spot(i); return {{x: s.x + 3, y: s.y + s.h / 2}}; }} }})()",
    )
    box = page.locator("canvas.fmd-flame").bounding_box()
    return box["x"] + found["x"], box["y"] + found["y"]


def test_from_the_list_of_profiles_to_the_slow_line(window, shop):
    page = window.open(f"{shop.path}/profiler")
    expect(page.locator(".ag-center-cols-container .ag-row").first).to_contain_text(NEW)
    page.locator(".ag-center-cols-container a").first.click()
    expect(page).to_have_url(re.compile(re.escape(shop.newest)))
    page.wait_for_selector(".fmd-profile[data-ready]")
    # The deepest line of one's own on the hottest path, and what is known of it.
    expect(page.locator(".fmd-detail h3")).to_have_text("exchange_rate")
    expect(page.locator(".fmd-detail")).to_contain_text("shop/rates.py:17")
    expect(page.locator(".fmd-heat-line[aria-current]")).to_contain_text("json.loads(cache.read_text())")
    expect(row(page, "obj, end = self.scan_once")).to_be_visible()
    assert page.locator("canvas.fmd-flame").get_attribute("aria-label").startswith("Flame graph of cart.show")


def test_the_tree_opens_and_closes_by_mouse_and_by_keyboard(window, shop):
    page = open_profile(window, shop.newest)
    page.get_by_role("button", name="Collapse all").click()
    expect(rows(page)).to_have_count(1)
    page.locator(".fmd-twist").first.click()
    expect(rows(page)).to_have_count(4)
    page.get_by_role("button", name="Expand all").click()
    assert int(page.get_by_role("treegrid").get_attribute("aria-rowcount")) == explorer(page, "m.count - 1")
    page.get_by_role("button", name="Collapse all").click()
    tree = page.get_by_role("treegrid")
    tree.focus()
    tree.press("Home")
    tree.press("ArrowRight")
    tree.press("ArrowDown")
    expect(page.locator('.fmd-row[aria-selected="true"]')).to_have_attribute("aria-level", "2")
    tree.press("ArrowLeft")
    expect(page.locator('.fmd-row[aria-selected="true"]')).to_have_attribute("aria-level", "1")
    expect(tree).to_have_attribute("aria-activedescendant", re.compile(r"fmd-rows-\w+-0"))


def test_a_click_zooms_and_escape_shows_all_again(window, shop):
    page = open_profile(window, shop.newest)
    page.mouse.click(*spot(page, "load_order"))
    crumbs = page.locator(".fmd-crumbs button")
    expect(crumbs).to_have_text(
        [re.compile("cart.show"), "Flask.dispatch_request", "show_cart", "load_order"]
    )
    expect(page.locator(".fmd-detail h3")).to_have_text("load_order")
    crumbs.nth(2).click()
    expect(crumbs).to_have_count(3)
    page.locator("canvas.fmd-flame").press("Escape")
    expect(crumbs).to_have_count(0)


def test_the_keyboard_walks_the_flame_graph(window, shop):
    page = open_profile(window, shop.newest)
    canvas = page.locator("canvas.fmd-flame")
    canvas.focus()
    canvas.press("Home")
    for _ in range(3):
        canvas.press("ArrowDown")
    expect(page.locator(".fmd-detail h3")).to_have_text("Order.total")
    canvas.press("ArrowRight")
    expect(page.locator(".fmd-detail h3")).to_have_text("load_order")
    canvas.press("ArrowUp")
    expect(page.locator(".fmd-detail h3")).to_have_text("show_cart")
    canvas.press("Enter")
    expect(page.locator(".fmd-crumbs [aria-current]")).to_have_text("show_cart")
    expect(page.locator(".fmd-tip")).to_be_visible()
    expect(page.locator("[aria-live=polite]").last).to_be_attached()


def test_pointing_at_a_frame_says_what_it_took(window, shop):
    page = open_profile(window, shop.newest)
    page.mouse.move(*spot(page, "Order.total"))
    expect(page.locator(".fmd-tip")).to_contain_text("shop/models.py:62")
    expect(page.locator(".fmd-tip")).to_contain_text("of the time")
    page.mouse.move(2, 2)
    expect(page.locator(".fmd-tip")).to_be_hidden()


def test_search_says_its_share_of_the_time_and_stays_in_the_link(window, shop):
    page = open_profile(window, shop.newest)
    page.keyboard.press("/")
    page.keyboard.type("json/decoder")
    found = page.locator(".fmd-profile-found")
    expect(found).to_have_text(re.compile(r"^[\d.]+ % of the time in 1 frame$"))
    share = explorer(page, "e.matches.share")
    assert 0.3 < share < 0.7
    expect(page).to_have_url(re.compile(r"q=json/decoder"))
    expect(page.locator(".fmd-row.match")).to_have_count(1)
    page.reload()
    window.settled()
    expect(found).to_have_text(re.compile("in 1 frame$"))
    page.locator(".fmd-profile-search").fill("nowhere")
    expect(found).to_have_text("nothing found")
    page.locator(".fmd-profile-search").press("Escape")
    expect(found).to_have_text("")
    expect(page).not_to_have_url(re.compile("q="))


def test_your_code_only_folds_libraries_into_their_callers(window, shop):
    page = open_profile(window, shop.newest)
    before = explorer(page, "m.total[0]")
    page.locator(".fmd-toolbar").get_by_text("Your code only").click()
    expect(page).to_have_url(re.compile("code=app"))
    page.wait_for_function(
        f"() => {{ const found = {FRAMES}; return found && !found.some(f => /sqlalchemy/.test(f[1])); }}"
    )
    assert explorer(page, "m.total[0]") == before
    page.locator(".fmd-toolbar").get_by_text("By function").click()
    page.wait_for_function(f"() => {FRAMES}?.filter(f => f[0] === 'show_cart').length === 1")


def test_lines_open_in_the_editor_that_was_chosen(window, shop):
    page = open_profile(window, shop.newest)
    detail = page.locator(".fmd-detail")
    expect(detail.get_by_role("link", name="Open in editor")).to_have_count(0)
    detail.get_by_text("Open lines in your editor").click()
    detail.get_by_label("Folder of the app on this computer").fill("/home/me/my shop/")
    detail.get_by_role("button", name="Remember in this browser").click()
    link = detail.get_by_role("link", name="Open in editor")
    expect(link).to_have_attribute("href", "vscode://file//home/me/my%20shop/shop/rates.py:17")
    detail.get_by_text("Change the editor").click()
    detail.get_by_label("Address").fill("javascript:alert(1)")
    detail.get_by_role("button", name="Remember in this browser").click()
    expect(link).to_have_count(0)


def test_grouped_profiles_have_hits_averages_and_a_sunburst(window, shop):
    page = open_profile(window, f"{shop.path}/grouped-profiler")
    expect(page.locator("#page")).to_contain_text("60 profiles of 2 versions, last 24 hours")
    expect(page.locator(".fmd-rows-head")).to_contain_text("Std. dev.")
    expect(rows(page).first).to_contain_text("60")
    page.get_by_role("radio", name="Functions").click()
    expect(rows(page).first).to_contain_text("EpollSelector.select")
    page.get_by_role("radio", name="Sunburst").click()
    canvas = page.locator("canvas.fmd-sunburst")
    expect(canvas).to_have_attribute("aria-label", re.compile("^Sunburst of cart.show"))
    page.wait_for_function(DRAWN)
    box = canvas.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2 + 70, box["y"] + box["height"] / 2)
    expect(page.locator(".fmd-crumbs button")).not_to_have_count(0)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page).to_have_url(re.compile("graph=sunburst"))
    page.reload()
    expect(canvas).to_be_visible()


def test_a_difference_points_at_the_line_and_at_what_is_gone(window, shop):
    page = open_profile(window, f"{shop.path}/grouped_profiler?v={NEW}")
    page.locator("input[aria-label='Compare these profiles with']").click()
    page.get_by_role("option", name=f"Version {OLD}").click()
    verdict = page.locator("#page .fmd-verdict").last
    expect(verdict).to_contain_text(f"more than in version {OLD}")
    expect(verdict).to_contain_text("JSONDecoder.raw_decode (json/decoder.py:353) +")
    page.wait_for_function(
        "() => document.querySelector('.fmd-profile')?.fmdExplorer?.model?.kind === 'diff'"
    )
    expect(page.locator(".fmd-detail h3")).to_have_text("exchange_rate")
    page.get_by_role("radio", name="Removed paths (1)").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("LoopContext.__next__")
    expect(rows(page).first).to_contain_text("gone")


def test_all_endpoints_are_in_one_graph(window, shop):
    shop.write(made_profiles.profile(5, time.time_ns() // 1000 - HOUR, OLD, "shop.home"))
    page = open_profile(window, "/profiles")
    assert explorer(page, "P.children(m, 0).map(i => P.name(m, i))") == ["cart.show", "shop.home"]


def test_profiling_the_next_request_waits_and_then_opens_it(window, shop):
    page = window.open(f"{shop.path}/profiler")
    page.get_by_role("button", name="Profile the next request").click()
    expect(page.locator(".fmd-waiting")).to_contain_text("Waiting for the next request")
    record = made_profiles.profile(77_777, time.time_ns() // 1000, NEW, "cart.show", exact=True, period_us=0)
    shop.write(record)
    expect(page).to_have_url(re.compile(f"/profiler/{record.ts_us}-{shop.id}-"))
    page.wait_for_selector(".fmd-profile[data-ready]")
    expect(page.locator("#page")).to_contain_text("asked for: looked at as it calls")


def test_an_order_can_be_taken_back(window, shop):
    page = window.open(f"{shop.path}/profiler")
    page.get_by_role("button", name="Profile the next request").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Profile the next request")).to_be_visible()


def test_the_level_can_be_set_above_its_price(window, shop):
    page = window.open(f"{shop.path}/profiler")
    expect(page.locator(".fmd-price")).to_contain_text("Level 3 costs")
    page.get_by_role("button", name="Level 1:").click()
    expect(page.locator("#notice")).to_contain_text("monitor level 1")
    expect(page.get_by_role("button", name="Level 1:")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#endpoint-head")).to_contain_text("records duration, time, version")


def test_a_guest_orders_nothing(shop, look):
    opened = look(shop.running)
    opened.sign_in("bob")
    page = opened.open(f"{shop.path}/profiler")
    expect(page.locator(".fmd-price")).to_contain_text("Level 3 costs")
    assert page.get_by_role("button", name="Profile the next request").count() == 0
    assert page.locator("button.fmd-level").count() == 0


def test_ten_thousand_frames_are_drawn(window, shop):
    page = open_profile(window, shop.newest)
    found = page.evaluate(drawing.DRAW, 3)
    assert found["bars"] == drawing.FRAMES + 1
    # How fast it is, the benchmark tells; this would be no drawing but a standstill.
    assert 0 < min(found["ms"]) < 20 * drawing.TARGET_MS
    expect(page.locator("canvas.fmd-flame")).to_have_attribute("aria-label", re.compile("10,000 frames"))


@pytest.mark.parametrize("graph", ["", "graph=sunburst"])
@pytest.mark.parametrize("size", [(1440, 1000), NARROW])
def test_it_follows_theme_and_width(shop, look, graph, size):
    opened = look(shop.running, size)
    opened.sign_in()
    page = open_profile(opened, f"{shop.path}/grouped-profiler?{graph}")
    canvas = page.locator(".fmd-profile canvas")

    light = canvas.evaluate("c => c.toDataURL()")
    draws = explorer(page, "e.graph.draws")
    page.evaluate("document.documentElement.setAttribute('data-mantine-color-scheme', 'dark')")
    page.wait_for_function(
        """([draws, light]) => document.querySelector('.fmd-profile').fmdExplorer.graph.draws > draws
            && document.querySelector('.fmd-profile canvas').toDataURL() !== light""",
        arg=[draws, light],
    )
    page.set_viewport_size({"width": size[0] - 40, "height": size[1]})
    page.wait_for_function(
        """before => {
            const canvas = document.querySelector('.fmd-profile canvas').getBoundingClientRect();
            const around = document.querySelector('.fmd-profile-graph').getBoundingClientRect();
            return canvas.right < before && canvas.width <= around.width + 1;
        }""",
        arg=size[0] - 40,
    )
    opened.fits()


def test_canvas_pixels_are_those_of_the_screen(shop, context, look):
    opened = look(shop.running)
    opened.sign_in()
    page = open_profile(opened, shop.newest)
    ratio = page.evaluate("window.devicePixelRatio")
    width, shown = page.locator("canvas.fmd-flame").evaluate("c => [c.width, c.clientWidth]")
    assert width == round(shown * ratio)


def download(page, name):
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as started:
        page.locator(".fmd-download", has_text=name).click()
    return started.value


@pytest.fixture(scope="session")
def speedscope(tmp_path_factory):
    """Serve speedscope itself; returns its address and the folder that it can open files of."""
    if not SPEEDSCOPE.is_dir():
        pytest.skip("needs speedscope. The remedy: make setup, where npm is installed")
    folder = tmp_path_factory.mktemp("speedscope") / "site"
    shutil.copytree(SPEEDSCOPE, folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("speedscope", "/profiler"),
        ("Collapsed stacks", "/profiler"),
        ("pprof", "/profiler"),
        ("speedscope", "/grouped-profiler"),
        ("speedscope", f"/grouped-profiler?v={NEW}&against=v:{OLD}"),
    ],
)
def test_speedscope_itself_opens_what_is_exported(window, shop, context, speedscope, kind, path):
    address, folder = speedscope
    page = open_profile(window, shop.newest if path == "/profiler" else shop.path + path)
    file = download(page, kind)
    assert file.suggested_filename.startswith("cart.show")
    name = file.suggested_filename
    file.save_as(folder / name)
    tool = context.new_page()
    try:
        tool.goto(f"{address}/#profileURL=/{name}&title=opened")
        expect(tool).to_have_title("opened - speedscope")
        tool.get_by_text("Sandwich").click()
        expect(tool.locator("body")).to_contain_text("load_order")
        expect(tool.locator("body")).to_contain_text("EpollSelector.select")
    finally:
        tool.close()


def test_a_refresh_keeps_what_was_zoomed_into(window, shop):
    page = open_profile(window, f"{shop.path}/grouped-profiler")
    page.mouse.click(*spot(page, "load_order"))
    crumbs = page.locator(".fmd-crumbs button")
    expect(crumbs).to_have_count(4)
    shop.write(made_profiles.profile(88_888, time.time_ns() // 1000, NEW, "cart.show"))
    page.locator("#refresh").click()
    expect(page.locator("#page")).to_contain_text("61 profiles of 2 versions")
    page.wait_for_function(f"() => {FRAMES} && document.querySelector('.fmd-crumbs button')")
    expect(crumbs).to_have_count(4)
    expect(page.locator(".fmd-detail h3")).to_have_text("load_order")
