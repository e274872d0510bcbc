from __future__ import annotations

import pytest

from fmd_otel_dash.queries.overview import Recent, overview, recent
from fmd_otel_dash.queries.scope import Scope

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR


def row_of(page, name):
    return next(row for row in page.endpoints if row.endpoint.name == name)


def test_an_empty_store_has_an_overview_that_says_so(store, at):
    now = at(2026, 11, 22, 12)

    page = overview(store, Scope(now - DAY, now), None, now)

    assert page.endpoints == ()
    assert page.kpis.n == 0
    assert page.kpis.error_rate is None
    assert page.kpis.p95_us is None
    assert page.nothing_recorded


def test_one_request_is_all_there_is_to_see(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    write(request_at(now - 1, duration_us=100_000, status=500))

    page = overview(store, Scope(now - DAY, now), None, now)

    (row,) = page.endpoints
    assert (row.n, row.n_today, row.n_week, row.errors) == (1, 1, 1, 1)
    assert row.p50_us == row.p95_us == row.p99_us == pytest.approx(100_000, rel=0.011)
    assert row.time_share == 1
    assert row.change is None
    assert (row.endpoint.route, row.endpoint.blueprint, row.endpoint.service) == (
        "/shop.cart",
        "shop",
        "shop",
    )
    assert row.endpoint.last_us == now - 1
    assert page.kpis.error_rate == 1
    assert not page.nothing_recorded


def test_an_empty_range_points_to_the_newest_data(store, at, request_at, write):
    newest = at(2026, 11, 2, 8, 30)
    write(request_at(newest), request_at(newest - DAY, "shop.index"))
    now = at(2026, 11, 22, 12)

    page = overview(store, Scope(now - DAY, now), None, now)

    assert page.kpis.n == 0
    assert not page.nothing_recorded
    assert page.last_recorded_us == newest


def test_the_range_is_half_open_to_the_microsecond(store, at, request_at, write):
    start, end = at(2026, 11, 22, 10, 7), at(2026, 11, 22, 10, 8)
    write(request_at(start - 1), request_at(start), request_at(end - 1), request_at(end))

    assert overview(store, Scope(start, end), None, end).kpis.n == 2


@pytest.mark.parametrize(
    ("zone", "now", "inside", "outside"),
    [
        # Midnight in Amsterdam is 23:00 UTC in winter and 22:00 in summer.
        ("Europe/Amsterdam", (2026, 11, 22, 12), (2026, 11, 21, 23), (2026, 11, 21, 22, 59)),
        ("Europe/Amsterdam", (2026, 7, 1, 12), (2026, 6, 30, 22), (2026, 6, 30, 21, 59)),
        # On the day the clocks go forward, midnight is still that of winter time.
        ("Europe/Amsterdam", (2026, 3, 29, 12), (2026, 3, 28, 23), (2026, 3, 28, 22, 59)),
        ("America/New_York", (2026, 11, 1, 20), (2026, 11, 1, 4), (2026, 11, 1, 3, 59)),
        ("Asia/Kolkata", (2026, 11, 22, 12), (2026, 11, 21, 18, 30), (2026, 11, 21, 18, 29)),
        ("Australia/Lord_Howe", (2026, 11, 22, 12), (2026, 11, 21, 13), (2026, 11, 21, 12, 59)),
        ("Asia/Kathmandu", (2026, 11, 22, 12), (2026, 11, 21, 18, 15), (2026, 11, 21, 18, 14)),
    ],
)
def test_today_begins_at_midnight_of_the_zone(store, at, request_at, write, zone, now, inside, outside):
    write(request_at(at(*inside)), request_at(at(*outside)))

    scope = Scope(at(*now) - HOUR, at(*now), zone)
    page = overview(store, scope, None, at(*now))

    row = row_of(page, "shop.cart")
    assert (row.n_today, row.n_week) == (1, 2)
    assert recent(store, scope, at(*now)) == (Recent(row.endpoint, 1, 2),)


def test_errors_are_told_from_the_clients_mistakes(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    write(
        *(
            request_at(now - 1 - i, status=status)
            for i, status in enumerate([200, 301, 404, 499, 500, 503, 200, 200])
        )
    )

    row = row_of(overview(store, Scope(now - DAY, now), None, now), "shop.cart")

    assert (row.n, row.errors, row.client_errors) == (8, 2, 2)
    assert row.error_rate == 0.25


def test_the_time_spent_is_shared_out(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    write(
        *(request_at(now - 1 - i, "shop.slow", duration_us=300_000) for i in range(2)),
        *(request_at(now - 1 - i, "shop.fast", duration_us=10_000) for i in range(40)),
    )

    page = overview(store, Scope(now - DAY, now), None, now)

    assert row_of(page, "shop.slow").time_share == pytest.approx(0.6)
    assert row_of(page, "shop.fast").time_share == pytest.approx(0.4)


def test_the_comparison_has_its_own_figures_and_a_change_with_both_counts(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    scope = Scope(now - DAY, now)
    write(
        *(request_at(now - 1 - i * 1000, duration_us=48_000 + 40 * i) for i in range(200)),
        *(request_at(now - DAY - 1 - i * 1000, duration_us=40_000 + 33 * i, status=500) for i in range(100)),
        request_at(now - 1, "shop.new"),
    )

    page = overview(store, scope, scope.previous(), now)

    moved = row_of(page, "shop.cart").change
    assert (moved.n_before, moved.n_after) == (100, 200)
    assert moved.ratio == pytest.approx(55_600 / 43_135 - 1, abs=0.03)
    assert moved.significant
    assert row_of(page, "shop.new").change is None
    assert (page.kpis.n, page.previous.n, page.previous.errors) == (201, 100, 100)
    assert page.changes.p95.n_before == 100


def test_an_endpoint_at_level_0_shows_when_it_was_last_asked_for_and_how_often(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    write(*(request_at(now - 10 + i, "shop.quiet", level=0) for i in range(3)))

    page = overview(store, Scope(now - DAY, now), None, now)

    row = row_of(page, "shop.quiet")
    assert (row.n, row.n_today) == (0, 0)
    assert row.p95_us is None
    assert (row.endpoint.last_us, row.endpoint.level0_n) == (now - 8, 3)


def test_a_service_can_be_looked_at_alone(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    write(request_at(now - 1, service="shop"), request_at(now - 2, service="billing", version="2.0"))

    page = overview(store, Scope(now - DAY, now, services=("billing",)), None, now)

    assert [row.endpoint.service for row in page.endpoints] == ["billing"]
    assert page.kpis.n == 1


def test_a_version_can_be_looked_at_alone_also_at_the_raw_ends(store, at, request_at, write):
    now = at(2026, 11, 22, 12, 7)
    write(
        *(request_at(now - i * HOUR // 8 - 1, version="1.0") for i in range(100)),
        *(request_at(now - i * HOUR // 8 - 1, version="2.0") for i in range(50)),
    )

    page = overview(store, Scope(now - DAY, now, versions=("2.0",)), None, now)

    assert page.kpis.n == row_of(page, "shop.cart").n == 50
    assert overview(store, Scope(now - DAY, now, versions=("nine",)), None, now).kpis.n == 0


@pytest.mark.parametrize("days", [0.01, 1, 7, 30, 400])
def test_a_sparkline_has_at_most_24_points_of_honest_rates(store, at, request_at, write, days):
    now = at(2026, 11, 22, 12, 7)
    start = now - int(days * DAY)
    step = (now - start) // 480
    write(*(request_at(start + i * step) for i in range(480)))

    row = row_of(overview(store, Scope(start, now), None, now), "shop.cart")

    assert 1 <= len(row.sparkline) <= 24
    assert len(row.sparkline_mean_us) == len(row.sparkline)
    # Steady traffic draws a level line: neither the first nor the last step hangs down.
    expected = 480 / (days * 24)
    assert all(rate == pytest.approx(expected, rel=0.5) for rate in row.sparkline)


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "🛒.カート", "x" * 255, "\u202eevil", "a'b\"c%d"]
)
def test_hostile_names_come_back_as_they_are(store, at, request_at, write, name):
    now = at(2026, 11, 22, 12)
    write(request_at(now - 1, name))

    (row,) = overview(store, Scope(now - DAY, now), None, now).endpoints

    assert row.endpoint.name == name
