"""API Performance: boxes, a heat map and bands over time, and where a click on them leads."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest

from fmd_otel_dash.figures.bands import TRACES
from fmd_otel_dash.pages import performance

HOUR = 3_600_000_000
MINUTE = 60_000_000
CARD = "performance-boxes"
PATH = "/api_performance"


@pytest.fixture
def traffic(now, write):
    """The cart is slow and rare, the home page fast and busy; both were faster the day before."""
    for i in range(40):
        write(now - HOUR - i * MINUTE, "shop.home", duration_us=9_000 + 371 * i)
        write(now - 25 * HOUR - i * MINUTE, "shop.home", duration_us=7_000 + 371 * i)
    for i in range(12):
        write(now - 2 * HOUR - i * MINUTE, "shop.cart", duration_us=200_000 + 9_001 * i)
        write(now - 26 * HOUR - i * MINUTE, "shop.cart", duration_us=20_000 + 9_001 * i)


@pytest.mark.usefixtures("traffic")
def test_the_heat_map_shows_shares_of_each_endpoint_slowest_first(card):
    [figure] = card(CARD, PATH, "?as=spread").figures
    heat = figure["data"][0]

    assert figure["layout"]["yaxis"]["ticktext"] == ["shop.cart", "shop.home"]
    for row in heat["z"]:
        assert sum(share or 0 for share in row) == pytest.approx(100, abs=0.5)


@pytest.mark.usefixtures("traffic")
def test_each_cell_of_the_heat_map_leads_to_its_own_requests(card, view_of, listed):
    [figure] = card(CARD, PATH, "?as=spread").figures
    heat = figure["data"][0]
    clicked = 0
    for place, texts in enumerate(heat["text"]):
        for column, text in enumerate(texts):
            if not text:
                continue
            x = (heat["x"][column] + heat["x"][column + 1]) / 2
            href = performance.clicked_cell(view_of(PATH, "?as=spread"), {"x": x, "y": place})
            rows = listed(href)
            (n,) = re.findall(r"([\d,]+) of its", text)
            assert len(rows) == int(n), text
            assert {row.endpoint.name for row in rows} == {("shop.cart", "shop.home")[place]}
            clicked += 1
    assert clicked > 5


@pytest.mark.usefixtures("traffic")
def test_bands_over_time_are_drawn_for_all_and_for_each_of_the_first(card):
    shown = card(CARD, PATH, "?as=bands")
    [figure] = shown.figures
    names = [note["text"] for note in figure["layout"]["annotations"] if note["text"].startswith("<b>")]

    assert names == ["<b>All endpoints</b>", "<b>shop.cart</b>", "<b>shop.home</b>"]
    assert len(figure["data"]) == 3 * TRACES
    dashed = [trace for trace in figure["data"] if trace["line"].get("dash") == "dash" and trace["x"]]
    assert len(dashed) == 3
    assert "dashed: the previous 24 hours" in shown.text


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize("strip", [0, 1, 2])
def test_a_step_of_a_strip_leads_to_its_requests(strip, card, view_of, listed):
    [figure] = card(CARD, PATH, "?as=bands").figures
    p50 = figure["data"][strip * TRACES + TRACES - 1]
    steps = [(number, n) for number, n in enumerate(p50["customdata"]) if n]
    assert steps
    for number, n in steps:
        point = {"curveNumber": strip * TRACES + TRACES - 1, "pointNumber": number}
        href = performance.clicked_step(view_of(PATH, "?as=bands"), point)
        assert len(listed(href)) == n
        assert ("/endpoint/" in href) == bool(strip)


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize(
    ("order", "first"), [("p95", "cart"), ("time", "cart"), ("change", "cart"), ("requests", "home")]
)
@pytest.mark.parametrize("drawn", ["boxes", "spread"])
def test_the_order_holds_in_every_view_and_in_the_table(order, first, drawn, card):
    search = f"?as={drawn}&order={order}"
    [figure] = card(CARD, PATH, search).figures

    assert figure["layout"]["yaxis"]["ticktext"][0] == f"shop.{first}"
    assert card("performance-endpoints", PATH, search).grid_rows[0]["name"] == f"shop.{first}"


@pytest.mark.usefixtures("traffic")
def test_clicks_that_hit_nothing_lead_nowhere(view_of):
    view = view_of(PATH)
    for odd in ({}, {"x": "?", "y": 0}, {"x": 10, "y": 99}, {"curveNumber": 999, "pointNumber": 0}):
        assert performance.clicked_cell(view, odd) is None
        assert performance.clicked_step(view, odd) is None


@pytest.mark.usefixtures("traffic")
def test_links_to_requests_keep_the_range(view_of):
    href = performance.clicked_cell(view_of(PATH, "?from=now-7d&to=now"), {"x": 250_000, "y": 0})

    assert dict(parse_qsl(urlsplit(href).query))["from"] == "now-7d"
