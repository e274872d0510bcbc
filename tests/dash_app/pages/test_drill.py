"""From each chart to the requests behind it: as many as the chart says, and no others."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from fmd_otel_dash.pages import (
    daily,
    endpoint_status,
    exception_detail,
    exceptions,
    hourly,
    outliers,
    overview,
    reporting,
)

HOUR = 3_600_000_000
DAY = 24 * HOUR
MINUTE = 60_000_000
WEEK = "?from=now-7d&to=now"


def query_of(href):
    return dict(parse_qsl(urlsplit(href).query))


@pytest.fixture
def days(now, write):
    """Two endpoints over three days, some of it failing; and three days earlier half as much."""
    for day in range(3):
        for i in range(6 + day):
            write(now - day * DAY - HOUR - i * 7 * MINUTE, "shop.home", status=500 if i == 2 else 200)
        for i in range(2):
            write(now - day * DAY - 2 * HOUR - i * MINUTE, "shop.cart", status=404)
        write(now - (day + 7) * DAY - HOUR, "shop.home")


@pytest.mark.usefixtures("days")
def test_a_bar_of_a_day_leads_to_its_endpoint_and_the_total_to_all(card, view_of, listed):
    [figure] = card("daily-stack", "/daily_utilization", WEEK).figures
    met = set()
    for curve, trace in enumerate(figure["data"]):
        if trace["name"] == "Before":
            continue
        for number, n in enumerate(trace["y"]):
            if not n:
                continue
            point = {"x": trace["x"][number], "curveNumber": curve, "pointNumber": number}
            point |= {"customdata": trace["customdata"][number]} if "customdata" in trace else {}
            assert len(listed(daily.clicked_day(view_of("/daily_utilization", WEEK), point))) == n
            met.add(trace["name"])
    assert met == {"shop.home", "shop.cart", "Total"}


def test_the_others_of_a_day_lead_to_the_requests_of_these_endpoints_alone(now, write, card, view_of, listed):
    for number in range(12):
        write([now - HOUR - i * MINUTE for i in range(20 - number)], f"shop.page_{number:02}")
    [figure] = card("daily-stack", "/daily_utilization", WEEK).figures
    others = next(trace for trace in figure["data"] if trace["name"] == "3 others")
    point = {"x": others["x"][-1], "customdata": others["customdata"][-1]}

    href = daily.clicked_day(view_of("/daily_utilization", WEEK), point)

    found = [row.endpoint.name for row in listed(href)]
    assert len(found) == others["y"][-1]
    assert set(found) == {"shop.page_09", "shop.page_10", "shop.page_11"}
    shown = card("requests-list", "/requests", "?" + urlsplit(href).query)
    assert "Without" in shown.text
    assert {row["name"] for row in shown.grid_rows} == set(found)


@pytest.mark.usefixtures("days")
def test_the_dashed_line_of_days_leads_to_the_days_of_before(card, view_of, listed):
    [figure] = card("daily-stack", "/daily_utilization", WEEK).figures
    ghost = figure["data"][-1]
    assert ghost["line"]["dash"] == "dash"
    counts = [
        len(listed(daily.clicked_day(view_of("/daily_utilization", WEEK), {"x": "?", "customdata": day})))
        for day in ghost["customdata"]
    ]

    assert counts == ghost["y"]


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize("tz", ["UTC", "Asia/Kolkata"])
def test_an_hour_of_the_typical_day_leads_to_it_on_all_days(tz, card, view_of, listed):
    [figure] = card("hourly-typical", "/hourly_load", WEEK, tz=tz).figures
    means = figure["data"][0]["y"]
    shown = {
        hour: len(listed(hourly.clicked_typical(view_of("/hourly_load", f"{WEEK}&tz={tz}"), {"x": hour})))
        for hour in range(24)
    }

    assert {hour for hour, n in shown.items() if n} == {hour for hour, mean in enumerate(means) if mean}
    assert sum(shown.values()) == 27


@pytest.mark.usefixtures("days")
def test_a_code_over_time_leads_to_its_answers(card, view_of, listed):
    [figure] = card("status-over-time", "/endpoint/1/status_code_distribution", WEEK).figures
    view = view_of("/endpoint/1/status_code_distribution", WEEK)
    for curve, trace in enumerate(figure["data"]):
        if (trace.get("line") or {}).get("dash"):
            continue
        for number, n in enumerate(trace["y"]):
            if n:
                href = endpoint_status.clicked_step(view, {"curveNumber": curve, "pointNumber": number})
                rows = listed(href)
                assert {row.status for row in rows} == {int(trace["name"])}
                assert len(rows) == n


@pytest.mark.usefixtures("days")
def test_a_step_of_the_overview_leads_to_its_requests(card, view_of, listed):
    [figure] = card("overview-traffic", "/overview", WEEK).figures
    bars = [trace for trace in figure["data"] if trace["type"] == "bar"]
    for number in range(len(bars[0]["x"])):
        n = sum(trace["customdata"][number] or 0 for trace in bars)
        if n:
            href = overview.clicked_traffic(view_of("/overview", WEEK), {"pointNumber": number})
            assert len(listed(href)) == n
    [figure] = card("overview-durations", "/overview", WEEK).figures
    for number, n in enumerate(figure["data"][0]["customdata"]):
        if n:
            href = overview.clicked_durations(view_of("/overview", WEEK), {"pointNumber": number})
            assert len(listed(href)) == n


def test_a_step_of_two_distributions_leads_to_the_side_it_is_of(now, write, card, view_of, listed):
    for i in range(40):
        write(now - HOUR - i, "shop.home", duration_us=40_000 + 997 * i)
        write(now - DAY - HOUR - i, "shop.home", duration_us=20_000 + 997 * i)
    search = "?show=all&one=1"
    [figure] = card("reporting-detail", "/reporting", search).figures
    counts = []
    for trace, start in zip(figure["data"], (now - DAY, now - 2 * DAY), strict=True):
        total = 0
        for share, key in zip(trace["y"], trace["customdata"], strict=True):
            rows = listed(reporting.clicked_band(view_of("/reporting", search), {"customdata": key}))
            assert len(rows) == pytest.approx(share * 40 / 100, abs=0.1)
            assert all(start <= row.ts_us < start + DAY for row in rows)
            total += len(rows)
        counts.append(total)

    assert counts == [40, 40]


def test_a_bar_of_exceptions_leads_to_the_exception_in_its_hours(now, write, write_exception, card, view_of):
    write(now - HOUR)
    write_exception([now - HOUR, now - 2 * MINUTE])
    [figure] = card("exceptions-over-time", "/exceptions").figures
    trace = figure["data"][0]
    number = next(i for i, n in enumerate(trace["y"]) if n)
    point = {"curveNumber": 0, "pointNumber": number, "customdata": trace["customdata"][number]}

    href = exceptions.clicked_bar(view_of("/exceptions"), point)

    assert urlsplit(href).path == f"/dashboard/exception/{trace['customdata'][number]}"
    path = urlsplit(href).path.removeprefix("/dashboard")
    [found] = card("exception-trend", path, "?" + urlsplit(href).query).figures
    assert sum(n or 0 for n in found["data"][0]["y"]) == trace["y"][number]
    again = exception_detail.clicked_bar(view_of(path), {"pointNumber": number})
    assert urlsplit(again).path.endswith(path)
    assert query_of(again)["from"] == query_of(href)["from"]


def test_a_dot_of_the_machine_leads_to_its_outlier(now, write, write_outlier, card, view_of):
    write(now - HOUR)
    write_outlier([now - HOUR, now - 2 * HOUR])
    keys = {row["id"] for row in card("outliers-list", "/outliers").grid_rows}
    for name in ("outliers-cores", "outliers-memory"):
        [figure] = card(name, "/outliers").figures
        dots = [trace for trace in figure["data"] if trace["type"] == "scatter"]
        assert {key for trace in dots for key in trace["customdata"]} == keys
        for key in keys:
            assert key in outliers.clicked(view_of("/outliers"), {"customdata": key})


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize("odd", [{}, {"x": "?"}, {"customdata": [7]}, {"pointNumber": 10**9}, {"x": 99}])
def test_what_is_not_a_point_leads_nowhere(odd, view_of):
    view = view_of("/overview")
    for follow in (
        daily.clicked_day, hourly.clicked_typical, overview.clicked_traffic, overview.clicked_durations,
        reporting.clicked_band, exceptions.clicked_bar, exception_detail.clicked_bar, outliers.clicked,
    ):  # fmt: skip
        assert follow(view, odd) is None


def test_two_versions_of_the_table_are_compared_by_a_link(now, write, card):
    for hours, version in ((30, "1.0"), (20, "1.1"), (2, "2.0")):
        write([now - hours * HOUR - i for i in range(10)], version=version)
    week = f"{WEEK}&"

    def compared(search):
        shown = card("versions-deployments", "/multi_version", search)
        return [query_of(href) for href in shown.links if "/reporting?" in href]

    [by_default] = compared(WEEK)
    assert (by_default["old"], by_default["new"]) == ("1.1", "2.0")
    [chosen] = compared(f"{week}old=1.0&new=1.1")
    assert (chosen["old"], chosen["new"], chosen["from"]) == ("1.0", "1.1", "now-7d")
    assert compared(f"{week}old=1.0&new=1.0") == []
    report = card("reporting-endpoints", "/reporting", f"{week}old=1.0&new=2.0&show=all")
    assert len(report.grid_rows) == 1


def test_one_version_has_nothing_to_be_compared_with(now, write, card):
    write([now - HOUR])

    assert "Compare" not in card("versions-deployments", "/multi_version").text


def test_key_figures_and_cells_lead_to_what_they_count(now, write, card, listed):
    for i in range(40):
        write(now - HOUR - i, "shop.home", duration_us=10_000 * (i + 1), status=500 if i < 3 else 200)
    figures = card("overview-kpis", "/overview")
    requests, slow, errors, unsatisfied = (listed(href) for href in figures.links)
    [row] = card("overview-endpoints", "/overview").grid_rows

    assert (len(requests), len(errors)) == (40, 3)
    assert len(slow) == pytest.approx(0.05 * 40, abs=1)
    assert all(each.duration_us >= 300_000 for each in unsatisfied)
    assert len(unsatisfied) == 11
    assert len(listed(row["requestsHref"])) == row["n"]
    failed, slower = (f"{row['requestsHref']}?{only}" for only in ("status=5xx", row["slow"]))
    assert len(listed(failed)) == round(row["errors"] * row["n"])
    assert len(listed(slower)) == len(slow)
    of_one = card("endpoint-figures", "/endpoint/1").links
    assert [len(listed(href)) for href in of_one] == [40, len(slow), pytest.approx(20, abs=1), 3]
