"""The comparison is drawn the same way in each chart, and stands as a difference in each table."""

from __future__ import annotations

import pytest

from fmd_otel_dash.pages import PAGES

HOUR = 3_600_000_000
DAY = 24 * HOUR
GROUP = 77
LINES = [
    ("overview-traffic", "/overview", ""),
    ("overview-durations", "/overview", ""),
    ("daily-stack", "/daily_utilization", ""),
    ("hourly-typical", "/hourly_load", ""),
    ("performance-boxes", "/api_performance", ""),
    ("performance-boxes", "/api_performance", "as=bands"),
    ("reporting-detail", "/reporting", "show=all&one=1"),
    ("exceptions-over-time", "/exceptions", ""),
    ("endpoint-traffic", "/endpoint/1", ""),
    ("endpoint-durations", "/endpoint/1", ""),
    ("endpoint-spread", "/endpoint/1", ""),
    ("hourly-typical", "/endpoint/1/hourly_load", ""),
    ("endpoint-version-boxes", "/endpoint/1/versions", ""),
    ("endpoint-subject-boxes", "/endpoint/1/users", ""),
    ("status-over-time", "/endpoint/1/status_code_distribution", ""),
    ("exceptions-over-time", "/endpoint/1/exceptions", ""),
]
STROKES = [
    ("performance-boxes", "/api_performance", "as=spread"),
    ("endpoint-subject-versions", "/endpoint/1/version_user", ""),
    ("endpoint-subject-versions", "/endpoint/1/version_ip", ""),
    ("outliers-over-time", "/outliers", ""),
]
TABLES = [
    ("overview-endpoints", "/overview", "change"),
    ("performance-endpoints", "/api_performance", "change"),
    ("versions-deployments", "/multi_version", "then"),
    ("endpoint-version-table", "/endpoint/1/versions", "then"),
    ("endpoint-subject-list", "/endpoint/1/users", "change"),
    ("endpoint-subject-list", "/endpoint/1/version_ip", "more"),
    ("exceptions-list", "/exceptions", "more"),
]
PATHS = sorted({page.path for page in PAGES if "<key>" not in page.path and "graph_id" not in page.path})


@pytest.fixture
def both_days(now, write, write_outlier, write_exception):
    """The same on two days; on the second one slower, and more of it."""
    for day, n, slow in ((0, 40, 2), (1, 30, 1)):
        for i in range(n):
            write(
                now - day * DAY - HOUR - i * HOUR // 4, duration_us=20_000 * slow + 500 * i,
                group_by=f"u{i % 2}", ip=f"10.0.0.{i % 2}", status=500 if i % 10 == 0 else 200,
            )  # fmt: skip
        write_outlier([now - day * DAY - HOUR - i for i in range(2 - day)])
        write_exception([now - day * DAY - HOUR - i for i in range(3 - day)])


def ghosts(shown):
    return [
        trace
        for figure in shown.figures
        for trace in figure["data"]
        if (trace.get("line") or {}).get("dash") == "dash" and any(y is not None for y in trace["y"])
    ]


@pytest.mark.usefixtures("both_days")
@pytest.mark.parametrize(("card_id", "path", "search"), LINES)
def test_lines_and_boxes_of_the_comparison_are_dashed_and_faint(card_id, path, search, card):
    shown = card(card_id, path, f"?{search}")
    alone = card(card_id, path, f"?{search}&cmp=off")

    assert ghosts(shown)
    assert {(trace["opacity"], trace["line"]["dash"]) for trace in ghosts(shown)} == {(0.4, "dash")}
    assert not ghosts(alone)
    assert "previous" not in alone.text


@pytest.mark.usefixtures("both_days")
@pytest.mark.parametrize(("card_id", "path", "search"), STROKES)
def test_what_is_too_short_for_dashes_is_as_faint(card_id, path, search, card):
    def faint(shown):
        return [trace for trace in shown.figures[0]["data"] if trace.get("opacity") == 0.4 and trace["x"]]

    shown = card(card_id, path, f"?{search}")

    assert faint(shown)
    assert "previous 24 hours" in shown.text
    assert not faint(card(card_id, path, f"?{search}&cmp=off"))


@pytest.mark.usefixtures("both_days")
@pytest.mark.parametrize(("card_id", "path", "field"), TABLES)
def test_tables_have_a_difference_and_say_of_how_many(card_id, path, field, card):
    def columns(shown):
        (grid,) = (part["props"] for part in shown.parts if part["type"] == "AgGrid")
        return {each["field"]: each for each in grid["columnDefs"] if not each.get("hide")}, grid["rowData"]

    defined, rows = columns(card(card_id, path))
    alone, _ = columns(card(card_id, path, "?cmp=off"))

    assert any(row[field] for row in rows)
    tip = defined[field]["tooltipField"]
    assert all(any(digit.isdigit() for digit in row[tip]) for row in rows if row[field])
    assert field not in alone


@pytest.mark.usefixtures("both_days")
def test_shares_of_status_codes_say_how_they_changed(card):
    path = "/endpoint/1/status_code_distribution"
    shown, alone = card("status-shares", path), card("status-shares", path, "?cmp=off")

    assert "Change" in shown.text
    assert "n = 30" in shown.text
    assert "Change" not in alone.text


@pytest.mark.usefixtures("both_days")
def test_hours_are_held_against_those_of_before_and_can_be_drawn_as_a_difference(card):
    plain = card("hourly-map", "/hourly_load")
    differing = card("hourly-map", "/hourly_load", "?as=difference")
    alone = card("hourly-map", "/hourly_load", "?as=difference&cmp=off")

    def hours(shown):
        return shown.figures[0]["data"][0]

    assert any("before: " in text for row in hours(plain)["text"] for text in row)
    assert sum(n or 0 for row in hours(differing)["z"] for n in row) == 10
    assert "teal less than in the previous 24 hours" in differing.text
    assert sum(n or 0 for row in hours(alone)["z"] for n in row) == 40
    assert "Difference" not in alone.text


@pytest.mark.usefixtures("both_days")
def test_a_share_of_a_version_says_what_it_was_before(card):
    [figure] = card("versions-shares", "/multi_version").figures

    assert "before: 100 %" in figure["data"][0]["customdata"][0][0][3]


@pytest.mark.usefixtures("both_days")
@pytest.mark.parametrize("path", PATHS)
def test_no_caption_claims_a_line_that_is_not_drawn(path, card, cards_of):
    path = path.replace("<int:endpoint_id>", "1").replace("<group_id>", str(GROUP))
    for card_id in cards_of(path):
        shown = card(card_id, path)
        assert ("dashed" in shown.text) <= bool(ghosts(shown)), card_id
