"""What must hold on each page in a real browser: light and dark, wide and narrow, empty and full.

No error, no request to another host, nothing that sticks out, nothing that axe-core finds to keep somebody
out. Pictures are kept in the folder that ``SWEEP_SHOTS`` names, to be looked at.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError  # noqa: A004 # Playwright's own, which is no built-in's

from fmd_otel_dash.auth import first_user
from fmd_otel_dash.factory import Dashboard
from fmd_otel_dash.pages import NOT_FOUND, PAGES
from fmd_otel_dash.services import Services
from fmd_otel_dash.settings import DashboardSettings
from fmd_otel_exporter.store import open_store
from tests.browser import places
from tests.browser.conftest import NARROW, WIDE, Running, add_users

AXE = Path(__file__).parents[2] / "var/tools/node_modules/axe-core/axe.min.js"
SHOTS = os.environ.get("SWEEP_SHOTS")
PATHS = [page.path for page in (*PAGES, NOT_FOUND)]
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
OVERFLOW = """() => {
    const wide = document.documentElement.scrollWidth - window.innerWidth;
    if (wide <= 0) return [];
    return [wide + ' px', ...[...document.querySelectorAll('#page *')]
        .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1)
        .slice(0, 5).map(e => e.tagName + '.' + e.getAttribute('class'))];
}"""
FINDINGS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
    .filter(found => ['serious', 'critical'].includes(found.impact))
    .map(found => found.id + ': ' + found.nodes.slice(0, 4).map(n => n.target.join(' ') + ' ' +
        n.any.concat(n.all, n.none).map(c => c.message).slice(0, 1)).join(' | '))"""


@pytest.fixture(scope="module")
def axe():
    """Return axe-core, to be evaluated in a page."""
    if not AXE.is_file():
        pytest.skip("needs axe-core. The remedy: make setup, where npm is installed")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def place_of(tmp_path_factory):
    """Return a function that makes a database of a kind, once, with the dashboard that shows it."""
    made = {}

    def of(kind):
        if kind not in made:
            place = places.made(kind, tmp_path_factory.mktemp(kind))
            add_users(place.store)
            settings = DashboardSettings(database=place.store.url)
            made[kind] = place, Dashboard(Services(settings, store=place.store))
        return made[kind]

    yield of
    for place, _ in made.values():
        place.store.dispose()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", places.KINDS)
def test_it_shows_without_trouble_in_any_window(kind, path, place_of, stage, look, axe):
    place, dashboard = place_of(kind)
    stage.wsgi = dashboard.wsgi
    window = look(Running(stage.url, place.store, dashboard), WIDE)
    window.sign_in(to=place.address(path))
    assert looked_at(window, axe, f"{kind}{path}") == {}
    assert window.page.locator(".fmd-failure").count() == 0


@pytest.mark.parametrize("path", ["/login", "/logout", "/setup", "/setup?token=used"])
def test_who_is_not_signed_in_meets_no_trouble_either(path, stage, look, axe, tmp_path):
    store = open_store(f"sqlite:///{tmp_path / 'fmd.db'}")
    settings = DashboardSettings(database=store.url)
    link = first_user.ensure(store, settings)
    dashboard = Dashboard(Services(settings, store=store))
    stage.wsgi = dashboard.wsgi
    window = look(Running(stage.url, store, dashboard))
    if path == "/logout":
        add_users(store)
        window.sign_in()
    window.page.goto(stage.url + link if path == "/setup" else f"{stage.url}/dashboard{path}")
    assert looked_at(window, axe, f"visitor{path}") == {}
    # That a link is used up is an answer of its own, which the browser notes.
    window.troubles[:] = [each for each in window.troubles if "token=used" not in path]
    store.dispose()


def looked_at(window, axe, name):
    """Look at the page at hand in light and dark, wide and narrow; returns what is wrong, by the window."""
    page, found = window.page, {}
    page.evaluate(axe)

    def check(theme, size, script):
        # A colour on its way from one theme to the other is neither's.
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        page.set_viewport_size({"width": size[0], "height": size[1]})
        window.quiet()
        with suppress(TimeoutError):  # charts take a moment to follow the window
            page.wait_for_function(f"() => {FITS}")
        if troubles := page.evaluate(script):
            found.setdefault(f"{theme}, {size[0]} px", []).extend(troubles)
        picture(page, f"{name}-{theme}-{size[0]}")

    check("light", WIDE, OVERFLOW)
    check("light", WIDE, FINDINGS)
    check("dark", WIDE, FINDINGS)
    check("dark", NARROW, OVERFLOW)
    check("light", NARROW, OVERFLOW)
    return found


def picture(page, name):
    """Keep a picture, if pictures are wanted."""
    if SHOTS:
        file = Path(SHOTS) / f"{name.replace('/', '_').replace('<', '').replace('>', '')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=file, full_page=True)
