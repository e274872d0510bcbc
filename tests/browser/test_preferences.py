"""What a person's system asks for: to stand still, and to print on white paper."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from playwright.sync_api import expect

ANIMATED = """() => [...document.querySelectorAll('*')].flatMap(e => ['', '::before', '::after'].map(
    part => getComputedStyle(e, part || null)).filter(s => s.animationName !== 'none').map(
    s => e.className + ': ' + s.animationName))"""
SCHEME = "data-mantine-color-scheme"


@pytest.fixture
def window(serve, look):
    running = serve()
    opened = look(running)
    opened.sign_in()
    return opened


@contextmanager
def skeletons(page):
    """Keep the cards of the next page from arriving for so long, so that their skeletons stay."""
    held = []
    holding = True

    def hold(route):
        if holding and "-body" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/_dash-update-component*", hold)
    yield
    holding = False
    for route in held:
        route.continue_()
    page.unroute_all(behavior="wait")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_nothing_moves_for_whom_movement_is_too_much(window, motion):
    page = window.page
    page.emulate_media(reduced_motion=motion)
    with skeletons(page):
        page.goto(f"{window.base}/dashboard/hourly_load")
        page.wait_for_selector("#page .fmd-card-body > [role=status]")
        moving = page.evaluate(ANIMATED)
    window.settled()
    assert bool(moving) is (motion == "no-preference"), moving


def test_what_is_printed_is_light_and_the_page_alone(window):
    window.running.fill()
    page = window.open("/overview")
    page.keyboard.press("d")
    html = page.locator("html")
    expect(html).to_have_attribute(SCHEME, "dark")

    page.emulate_media(media="print")

    expect(html).to_have_attribute(SCHEME, "light")
    expect(page.locator(".fmd-card").first).to_have_css("background-color", "rgb(255, 255, 255)")
    expect(page.locator(".fmd-header")).to_be_hidden()
    expect(page.locator(".fmd-nav")).to_be_hidden()
    expect(page.locator(".fmd-kpi-value").first).to_be_visible()
    page.emulate_media(media="screen")
    expect(html).to_have_attribute(SCHEME, "dark")
    page.keyboard.press("d")
