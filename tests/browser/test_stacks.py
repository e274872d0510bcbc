"""Stacks of calls: their lines open in an editor, and close and open by keyboard."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from fmd_otel_exporter.detail_writer import DetailWriter
from tests import made_details

GROUP = 77


@pytest.fixture
def stack(serve, look):
    """Return a function that opens the page of an exception, under some settings."""

    def open_page(**settings):
        running = serve(**settings)
        running.fill()
        now_us = time.time_ns() // 1000
        DetailWriter(running.store).write([made_details.exception(1, now_us - 60_000_000, group_id=GROUP)])
        window = look(running)
        window.sign_in()
        return window.open(f"/exception/{GROUP}")

    return open_page


def test_its_lines_open_in_the_editor_of_the_settings(stack):
    page = stack(editor_link="vscode://file/srv/shop/{path}:{line}")

    links = page.locator("a.fmd-open-editor:visible")

    expect(links.first).to_have_attribute("href", "vscode://file/srv/shop/shop/cart.py:12")
    expect(links.first).to_have_text("Open in editor")


def test_its_lines_open_in_the_editor_that_somebody_has_chosen(stack):
    page = stack()
    expect(page.locator("a.fmd-open-editor:visible")).to_have_count(0)
    page.get_by_text("Open lines in your editor").first.click()
    page.get_by_label("Folder of the app on this computer").fill("/home/me/my shop/")
    page.get_by_role("button", name="Remember in this browser").click()

    expect(page.locator("a.fmd-open-editor:visible").first).to_have_attribute(
        "href", "vscode://file//home/me/my%20shop/shop/cart.py:12"
    )
    page.reload()
    expect(page.locator("a.fmd-open-editor:visible").first).to_be_visible()


def test_brackets_close_and_open_its_calls(stack):
    page = stack()
    calls = page.locator("details.fmd-frame[open], details.fmd-frame-library[open]")
    expect(calls).not_to_have_count(0)
    before = page.url

    page.keyboard.press("[")
    expect(calls).to_have_count(0)
    page.keyboard.press("]")

    expect(calls).to_have_count(page.locator("details.fmd-frame, details.fmd-frame-library").count())
    assert page.url == before
