"""Clicks on charts, in a browser: a bar, a cell and a circle each lead to the requests behind them."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

SPOT = """
([name, curve, number]) => {
    // Where a point is drawn: plotly knows its axes.
    const plot = [...document.querySelectorAll(".fmd-graph")]
        .find((each) => each.id.includes(`"${name}"`)).querySelector(".js-plotly-plot");
    const trace = plot.calcdata[curve], of = trace[0].trace;
    const xaxis = plot._fullLayout[of.xaxis === "x" ? "xaxis" : of.xaxis.replace("x", "xaxis")];
    const yaxis = plot._fullLayout[of.yaxis === "y" ? "yaxis" : of.yaxis.replace("y", "yaxis")];
    const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
    let x, y;
    if (of.type === "heatmap") {
        const [row, column] = number, edges = of._input.x;
        x = (xaxis.d2p(edges[column]) + xaxis.d2p(edges[column + 1])) / 2;
        y = yaxis.d2p(of._input.y[row]);
    } else if (of.type === "bar") {
        const bar = trace[number];
        x = xaxis.c2p(bar.p0 !== undefined ? (bar.p0 + bar.p1) / 2 : bar.p);
        y = yaxis.c2p((bar.s0 !== undefined ? bar.s0 : bar.b) + bar.s / 2);
    } else {
        x = xaxis.c2p(trace[number].x);
        y = yaxis.c2p(trace[number].y);
    }
    return [box.left + x, box.top + y];
}
"""
FIGURE = """
(name) => {
    const plot = [...document.querySelectorAll(".fmd-graph")]
        .find((each) => each.id.includes(`"${name}"`)).querySelector(".js-plotly-plot");
    return { data: JSON.parse(JSON.stringify(plot.data)) };
}
"""


@pytest.fixture
def window(serve, look):
    running = serve()
    running.fill()
    opened = look(running)
    opened.sign_in()
    opened.settled()
    return opened


def click(page, name, curve, number):
    page.locator(f'.fmd-graph[id*="{name}"]').scroll_into_view_if_needed()
    x, y = page.evaluate(SPOT, [name, curve, number])
    page.mouse.move(x - 3, y)
    page.mouse.move(x, y, steps=3)
    page.wait_for_selector(f'.fmd-graph[id*="{name}"] .hoverlayer .hovertext')
    page.mouse.click(x, y)


def shown(page):
    """Return how many requests the list shows, once it is there."""
    caption = page.locator("#requests-list .fmd-caption").first
    expect(caption).to_contain_text("on this page")
    return int(re.search(r"([\d,]+) request", caption.inner_text())[1].replace(",", ""))


def test_a_bar_leads_to_as_many_requests_as_it_stands_for(window):
    page = window.open("/daily_utilization?from=now-2d&to=now")
    traces = page.evaluate(FIGURE, "daily-stack")["data"]
    curve = next(i for i, trace in enumerate(traces) if trace["name"] == "shop.search")
    counts = traces[curve]["y"]
    number = max(range(len(counts)), key=lambda i: counts[i] or 0)
    click(page, "daily-stack", curve, number)
    expect(page).to_have_url(re.compile(r"/endpoint/\d+/requests\?"))
    window.settled()
    assert shown(page) == min(counts[number], 100)


def test_a_cell_leads_to_as_many_requests_as_it_stands_for(window):
    page = window.open("/api_performance?as=spread")
    heat = page.evaluate(FIGURE, "performance-spread")["data"][0]
    row, column, text = next(
        (i, j, text)
        for i, texts in enumerate(heat["text"])
        for j, text in enumerate(texts)
        if "checkout.pay" in text and re.search(r"<br>[2-9] of its", text)
    )
    n = int(re.search(r"<br>(\d+) of its", text)[1])
    click(page, "performance-spread", 0, [row, column])
    expect(page).to_have_url(re.compile(r"/endpoint/\d+/requests\?.*min_ms="))
    window.settled()
    assert shown(page) == n


def test_a_circle_leads_to_as_many_requests_as_it_stands_for(window):
    endpoint = window.page.locator("#page").get_by_role("link", name="cart.show").get_attribute("href")
    page = window.open(endpoint.partition("/dashboard")[2].partition("?")[0] + "/version_user")
    traces = page.evaluate(FIGURE, "endpoint-subject-versions")["data"]
    curve = next(i for i, trace in enumerate(traces) if trace.get("customdata"))
    n = int(re.search(r"([\d,]+) requests?$", traces[curve]["text"][0])[1].replace(",", ""))
    click(page, "endpoint-subject-versions", curve, 0)
    expect(page).to_have_url(re.compile(r"/endpoint/\d+/requests\?.*user="))
    window.settled()
    assert shown(page) == n


def test_a_key_figure_leads_to_what_it_counts(window):
    page = window.page
    page.locator(".fmd-kpi-link", has_text="Error rate").click()
    expect(page).to_have_url(re.compile(r"/requests\?.*status=5xx"))
    window.settled()
    assert shown(page) == 7
