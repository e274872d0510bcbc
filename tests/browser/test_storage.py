"""Looking after the database from the dashboard, and the health of the monitoring in its header."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect
from sqlalchemy import func, select

from fmd_otel_exporter import jobs
from fmd_otel_exporter.counters import NOTHING
from fmd_otel_exporter.heartbeat import About, Heartbeat

WIDE, NARROW = (1440, 1000), (390, 844)


@pytest.fixture
def running(serve):
    made = serve()
    made.fill()
    made.fill(days_ago=40, first=100_000)
    return made


def requests(running):
    with running.store.read() as connection:
        return connection.scalar(select(func.count()).select_from(running.store.tables.request))


def test_an_admin_prunes_after_a_look_at_what_would_go(running, look):
    opened = look(running)
    opened.sign_in()
    page = opened.open("/storage")
    before = requests(running)
    questions = []
    page.on("dialog", lambda dialog: (questions.append(dialog.message), dialog.accept()))

    page.fill("#storage-prune-days", "30")
    page.click("#storage-prune-show")
    preview = page.locator("#storage-prune-preview")
    expect(preview).to_contain_text("Older than 30 days")
    assert requests(running) == before
    preview.get_by_role("button", name=re.compile("^Delete [0-9,]+ rows")).click()

    expect(page.locator("#storage-jobs-body")).to_contain_text("rows are gone")
    assert re.search(r"Delete [0-9,]+ rows older than 30 days\? They cannot be brought back", questions[0])
    assert requests(running) == before // 2
    expect(preview).to_be_empty()
    page.reload()
    opened.settled()
    expect(page.locator("#storage-jobs-body")).to_contain_text("ada")


def test_nothing_goes_where_the_question_is_answered_with_no(running, look):
    opened = look(running)
    opened.sign_in()
    page = opened.open("/storage")
    before = requests(running)
    page.on("dialog", lambda dialog: dialog.dismiss())
    page.fill("#storage-prune-days", "30")
    page.click("#storage-prune-show")
    page.locator("#storage-prune-preview .fmd-danger").click()
    opened.quiet()
    assert requests(running) == before
    assert jobs.latest(running.store) == {}


def test_a_job_that_runs_elsewhere_is_seen_to_its_end_also_after_a_reload(running, look):
    opened = look(running)
    opened.sign_in()
    job = jobs.begin(running.store, "prune", {"days": 9, "by": "bob"}, total=1000)
    page = opened.open("/storage")
    shown = page.locator("#storage-jobs-body")
    expect(shown).to_contain_text("0 of 1,000 rows")
    job.progress(400)
    expect(shown).to_contain_text("400 of 1,000 rows")
    page.reload()
    opened.settled()
    expect(shown).to_contain_text("400 of 1,000 rows")
    job.end("1,000 rows are gone.")
    expect(shown).to_contain_text("1,000 rows are gone.")


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits(running, look, size, dark):
    opened = look(running, size, dark=dark)
    opened.sign_in()
    page = opened.open("/storage")
    expect(page.locator("#storage-numbers-body")).to_contain_text("Requests kept")
    opened.fits()
    page.click("#health-mark")
    expect(page.locator("#health-panel")).to_be_visible()
    panel = page.locator("#health-panel").bounding_box()
    assert panel["width"] > 300
    assert panel["x"] >= 0
    assert panel["x"] + panel["width"] <= size[0]


def test_the_header_says_how_the_monitoring_is_and_leads_to_why(running, look):
    Heartbeat(
        About(), lambda: NOTHING._replace(dropped={"spool_full": 12}), clock=lambda: time.time() - 1
    ).work(running.store)
    opened = look(running)
    opened.sign_in()
    page = opened.page
    expect(page.locator("#health-mark .fmd-health-sign.bad")).to_be_visible()
    page.click("#health-mark")
    panel = page.locator("#health-panel")
    expect(panel).to_contain_text("12 requests on ")
    panel.get_by_role("link", name="Storage and workers").click()
    expect(page).to_have_url(re.compile("/dashboard/storage"))
    opened.settled()
    expect(page.locator("#storage-health-body")).to_contain_text("the spool was full")


def test_a_guest_sees_that_there_is_trouble_and_nothing_else(running, look):
    Heartbeat(
        About(), lambda: NOTHING._replace(dropped={"spool_full": 12}), clock=lambda: time.time() - 1
    ).work(running.store)
    opened = look(running)
    opened.sign_in("bob")
    page = opened.page
    page.click("#health-mark")
    panel = page.locator("#health-panel")
    expect(panel).to_contain_text("Requests were lost in the last hour")
    expect(panel).not_to_contain_text("12 requests")
    expect(panel.get_by_role("link")).to_have_count(0)
    page.goto(f"{running.url}/dashboard/storage")
    expect(page.locator("#page")).to_contain_text("Page not found")


def test_nothing_is_asked_again_while_nobody_looks(running, look):
    opened = look(running)
    opened.sign_in()
    page = opened.open("/storage")
    asked = []
    page.on("request", lambda request: asked.append(request.url))

    def hide(*, hidden):
        page.evaluate(
            """hidden => {
                Object.defineProperty(document, 'hidden', {value: hidden, configurable: true});
                document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )

    hide(hidden=True)
    opened.quiet(2.5)  # longer than the pause of the polls
    asked.clear()
    page.wait_for_timeout(5000)
    assert asked == []
    with page.expect_request(re.compile("/_dash-update-component")):
        hide(hidden=False)
