"""Statements are built once for each shape: another range, another endpoint is a matter of values."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.statements import built_once, integer
from fmd_otel_dash.queries.timeline import timeline

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOW_US = 1_790_164_800_000_000


def test_what_was_built_for_some_arguments_is_not_built_again():
    built = []

    @built_once
    def name(of, *, large):
        built.append((of, large))
        return of.upper() if large else of

    assert [name("a", large=True), name("a", large=True), name("a", large=False)] == ["A", "A", "a"]
    assert built == [("a", True), ("a", False)]


def test_a_parameter_for_times_takes_more_than_32_bits(store):
    with store.read() as conn:
        assert conn.scalar(select(integer("at")), {"at": NOW_US}) == NOW_US


@pytest.mark.parametrize("ask", [timeline, lambda store, scope: overview(store, scope, None, NOW_US)])
def test_another_range_and_endpoint_is_asked_with_the_same_statements(store, ask):
    def statements(end_us, endpoint_id):
        ask(store, Scope(end_us - 7 * DAY_US, end_us, endpoint_ids=(endpoint_id,)))
        with store.read() as conn:
            return {*conn.engine._compiled_cache}  # what SQLAlchemy has compiled

    first = statements(NOW_US - 1, 1)

    assert statements(NOW_US - 40 * DAY_US - 1, 2) == first


def test_sources_of_one_shape_share_their_rows_and_not_their_values(store):
    ranges = [Scope(NOW_US - days * DAY_US - 7, NOW_US) for days in (2, 5)]
    with look(store, ranges[0]) as view:
        some, others = (view.hits(scope) for scope in ranges)
        hours = view.hits(ranges[0], days=False)

    assert some.rows is others.rows
    assert some.values != others.values
    assert some.values.keys() == others.values.keys() == hours.values.keys()
