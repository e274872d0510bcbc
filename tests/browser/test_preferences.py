"""What a person's system asks for: to stand still, and to print on white paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

ANIMATED = """() => [...document.querySelectorAll('*')].flatMap(e => ['', '::before', '::after'].map(
    part => getComputedStyle(e, part || null)).filter(s => s.animationName !== 'none').map(
    s => e.className + ': ' + s.animationName))"""
SCHEME = "data-mantine-color-scheme"
BACKGROUND = "getComputedStyle(document.querySelector('.fmd-card')).backgroundColor"


@pytest.fixture
def window(serve, look):
    running = serve()
    opened = look(running)
    opened.sign_in()
    return opened


def skeletons(page):
    """Keep the cards of the next page from arriving, so that their skeletons stay."""
    page.route("**/_dash-update-component*", lambda route: late(page, route))


def late(page, route):
    if "-body" in (route.request.post_data or ""):
        page.wait_for_timeout(1500)
    route.continue_()


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_nothing_moves_for_whom_movement_is_too_much(window, motion):
    page = window.page
    page.emulate_media(reduced_motion=motion)
    skeletons(page)
    page.goto(f"{window.base}/dashboard/hourly_load")
    page.wait_for_selector("#page .fmd-card-body > [role=status]")
    moving = page.evaluate(ANIMATED)
    page.unroute_all(behavior="wait")
    assert bool(moving) is (motion == "no-preference"), moving


def test_what_is_printed_is_light_and_the_page_alone(window):
    window.running.fill()
    page = window.open("/overview")
    page.keyboard.press("d")
    html = page.locator("html")
    expect(html).to_have_attribute(SCHEME, "dark")

    page.emulate_media(media="print")

    expect(html).to_have_attribute(SCHEME, "light")
    assert page.evaluate(BACKGROUND) == "rgb(255, 255, 255)"
    assert not page.locator(".fmd-header").is_visible()
    assert not page.locator(".fmd-nav").is_visible()
    assert page.locator(".fmd-kpi-value").first.is_visible()
    page.emulate_media(media="screen")
    expect(html).to_have_attribute(SCHEME, "dark")
    page.keyboard.press("d")
