from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fmd_otel_dash.queries import profilerange
from fmd_otel_dash.queries.profilerange import newest_exact, ordered, profiles_by_endpoint, profiles_of_range
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.catalog import order_profile
from fmd_otel_exporter.detail_writer import DetailWriter
from tests import made_profiles

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
START = 20_000 * DAY  # a midnight of UTC


def at(hours):
    return START + int(hours * HOUR)


@pytest.fixture
def profiled(store):
    """Write profiles at some hours, and return them."""

    def write(*hours, endpoint="shop.cart", version=made_profiles.OLD, **fields):
        records = [
            made_profiles.profile(round(hour * 1000) + 1, at(hour), version, endpoint, **fields)
            for hour in hours
        ]
        DetailWriter(store).write(records)
        return records

    return write


def total(records):
    return sum(node.self_us for record in records for node in record.nodes)


def within(records, start, end):
    return [record for record in records if at(start) <= record.ts_us < at(end)]


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 72), (0, 24), (3, 30), (3, 9), (23.5, 24.5), (30, 31), (-10, 90), (24, 48), (5, 6)],
)
def test_whole_days_and_their_parts_come_to_the_profiles_of_the_range(store, profiled, start, end):
    records = profiled(1, 4, 5, 8, 23.9, 24, 25, 30, 47, 50, 71)
    found = profiles_of_range(store, Scope(at(start), at(end)))
    inside = within(records, start, end)
    assert found.tree.n == len(inside)
    assert found.tree.total_us == total(inside)
    assert not found.snapped
    assert (found.start_us, found.end_us) == (at(start), at(end))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(bounds=st.tuples(st.floats(-5, 80), st.floats(-5, 80)).map(sorted))
def test_any_range_covers_what_lies_in_it(tmp_path_factory, bounds):
    from fmd_otel_exporter.store import open_store  # noqa: PLC0415 # one for all examples

    path = tmp_path_factory.getbasetemp() / "any-range.db"
    new = not path.exists()
    store = open_store(f"sqlite:///{path}")
    records = [made_profiles.profile(i + 1, at(i * 0.7)) for i in range(100)]
    if new:
        DetailWriter(store).write(records)
    start, end = bounds
    found = profiles_of_range(store, Scope(at(start), at(end)))
    inside = within(records, start, end)
    store.dispose()
    assert (found.tree.n, found.tree.total_us) == (len(inside), total(inside))


def test_deviations_are_the_same_from_sums_of_days_and_from_single_profiles(store, profiled):
    profiled(*range(24))
    whole = profiles_of_range(store, Scope(at(0), at(24))).tree
    part = profiles_of_range(store, Scope(at(-30), at(23.99))).tree
    assert whole.n == part.n == 24
    by_path = {part.path(i): part.deviation_us(i) for i in range(len(part.nodes))}
    for i in range(len(whole.nodes)):
        assert by_path[whole.path(i)] == pytest.approx(whole.deviation_us(i))


def test_too_many_profiles_of_a_part_are_taken_with_their_whole_day(store, profiled, monkeypatch):
    monkeypatch.setattr(profilerange, "MOST_SINGLE", 3)
    profiled(1, 2, 3, 4, 5, 6, 30)
    found = profiles_of_range(store, Scope(at(1.5), at(48)))
    assert found.snapped
    assert found.tree.n == 7
    assert (found.start_us, found.end_us) == (at(0), at(48))


def test_where_single_profiles_are_gone_the_whole_day_stands_in(store, profiled):
    profiled(1, 2, 30)
    with store.write() as connection:
        connection.execute(store.tables.profile.delete())
    found = profiles_of_range(store, Scope(at(1.5), at(48)))
    assert (found.tree.n, found.snapped) == (3, True)


def test_profiles_that_were_asked_for_do_not_count_among_the_sampled(store, profiled):
    profiled(1, 2)
    order_profile(store, 1)
    profiled(3, exact=True)
    assert profiles_of_range(store, Scope(at(0), at(24))).tree.n == 2
    assert profiles_of_range(store, Scope(at(0.5), at(3.5))).tree.n == 2


def test_a_version_can_be_looked_at_alone(store, profiled):
    old = profiled(1, 2, 30)
    new = profiled(3, 31, version=made_profiles.NEW)
    scope = Scope(at(1.5), at(40))
    assert profiles_of_range(store, scope).versions == (made_profiles.OLD, made_profiles.NEW)
    only = profiles_of_range(store, replace(scope, versions=(made_profiles.NEW,)))
    assert only.versions == (made_profiles.NEW,)
    assert only.tree.total_us == total(new)
    assert profiles_of_range(store, replace(scope, versions=("none",))).tree.n == 0
    assert profiles_of_range(store, scope).tree.total_us == total(old[1:]) + total(new)


def test_all_endpoints_stand_side_by_side(store, profiled):
    cart, home = profiled(1, 30), profiled(2, endpoint="shop.home")
    found = profiles_by_endpoint(store, Scope(at(0.5), at(31)))
    roots = {
        found.tree.lines[node.line].function: found.tree.totals_us[i]
        for i, node in enumerate(found.tree.nodes)
        if node.parent < 0
    }
    assert roots == {"shop.cart": total(cart), "shop.home": total(home)}
    assert found.tree.n == 3


def test_an_empty_range_knows_when_the_newest_profile_was(store, profiled):
    profiled(1, 5)
    found = profiles_of_range(store, Scope(at(100), at(200)))
    assert (found.tree.n, found.newest_us) == (0, at(5))
    assert profiles_of_range(store, Scope(at(0), at(1), endpoint_ids=(99,))).newest_us is None


def test_the_newest_profile_that_was_asked_for(store, profiled):
    profiled(1, 9)
    assert newest_exact(store, 1) is None
    order_profile(store, 1, 2)
    assert ordered(store, 1) == 2
    profiled(3, 4, exact=True)
    assert newest_exact(store, 1).ts_us == at(4)
    assert ordered(store, 1) == 0
