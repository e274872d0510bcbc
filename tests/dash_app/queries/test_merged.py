"""Merged endpoints answer as one that was never two; deleted ones, as if they had never been."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from fmd_otel_dash.queries.bands import bands
from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.exceptions import groups
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.look import Endpoint, look
from fmd_otel_dash.queries.outliers import outlier_detail, outliers
from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.performance import performance
from fmd_otel_dash.queries.profilerange import newest_exact, profiles_by_endpoint, profiles_of_range
from fmd_otel_dash.queries.profiles import profiles
from fmd_otel_dash.queries.requests import request_detail, requests
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.status import status_codes
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_dash.queries.versions import utilization
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.endpoint_changes import merge, remove, rename, separate
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
from tests.exporter.conftest import NOON_US
from tests.exporter.details import exception, outlier, profile

HOUR_US = 3_600_000_000
NOW_US = NOON_US + 20 * HOUR_US
WEEK = Scope(NOON_US - 3 * 24 * HOUR_US, NOW_US)
BEFORE = WEEK.previous()


@pytest.fixture
def number_of(store):
    def of(name: str) -> int:
        with store.read() as connection:
            table = store.tables.endpoint
            return next(row.id for row in connection.execute(table.select()) if row.name == name)

    return of


def _records(request_at, second: str) -> list[Any]:
    """Return requests of some days, half of them of another endpoint, in an order that both would have."""
    found = []
    for hour in range(0, 60, 3):
        for number, name in enumerate(("shop.cart", second, "home", second)):
            found.append(
                request_at(
                    NOON_US - hour * HOUR_US + number, name, duration_us=1000 * (hour + number + 1),
                    status=500 if hour % 5 == 0 else 200, version="2.0" if hour < 30 else "1.0",
                    span_id=(hour * 10 + number + 1).to_bytes(8, "big"), group_by=f"user{number}",
                    level=0 if hour == 9 else 1, trace_id=bytes(16), route="/cart", blueprint=None,
                )
            )  # fmt: skip
    return found


def _answers(store) -> dict[str, Any]:
    found = {
        "overview": overview(store, WEEK, BEFORE, NOW_US),
        "hourly": hourly(store, WEEK),
        "daily": daily(store, WEEK),
        "versions": utilization(store, WEEK),
        "performance": performance(store, WEEK, BEFORE),
        "status": status_codes(store, WEEK),
        "timeline": timeline(store, WEEK),
        "requests": requests(store, WEEK, limit=1000),
    }
    return {name: _plain(answer) for name, answer in found.items()}


def _plain(value: Any) -> Any:
    """Return an answer without the numbers of rows, which differ between databases."""
    if isinstance(value, Endpoint):
        return value.name, value.first_us, value.last_us, value.level0_n
    if isinstance(value, Scope):
        return value.start_us, value.end_us
    if is_dataclass(value) and not isinstance(value, type):
        return {
            each.name: _plain(getattr(value, each.name))
            for each in fields(value)
            if each.name not in ("id", "next_cursor")
        }
    if isinstance(value, dict) and all(isinstance(each, int) for each in value.values()):
        return dict(sorted(value.items()))  # buckets, in the order in which a database gives them
    if isinstance(value, dict):
        return [_plain(each) for each in value.values()]
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def test_merged_endpoints_answer_as_one_that_was_never_two(store, tmp_path, request_at, number_of):
    one = open_store(f"sqlite:///{tmp_path / 'one.db'}")
    for into, second in ((store, "shop.basket"), (one, "shop.cart")):
        Writer(into).write(_records(request_at, second))
        compact_days(into, now_ts_us=NOW_US)
    assert _answers(store) != _answers(one)
    merge(store, number_of("shop.basket"), number_of("shop.cart"))
    mine, theirs = _answers(store), _answers(one)
    for name, answer in theirs.items():
        assert mine[name] == answer, name
    with look(one, Scope(0, 0)) as found:
        cart = next(each.id for each in found.endpoints if each.name == "shop.cart")
    here, there = (WEEK.only(own) for own in (number_of("shop.cart"), cart))
    assert _plain(overview(store, here, None, NOW_US)) == _plain(overview(one, there, None, NOW_US))
    assert _plain(bands(store, here, here.endpoint_ids)) == _plain(bands(one, there, there.endpoint_ids))
    one.dispose()


def test_what_is_merged_can_be_separated_without_a_trace(store, request_at, number_of):
    Writer(store).write(_records(request_at, "shop.basket"))
    before = _answers(store)
    merge(store, number_of("shop.basket"), number_of("shop.cart"))
    assert _answers(store) != before
    separate(store, number_of("shop.basket"))
    assert _answers(store) == before


def test_a_request_of_a_merged_endpoint_is_found_by_its_link(store, request_at, number_of):
    Writer(store).write(_records(request_at, "shop.basket"))
    merge(store, number_of("shop.basket"), number_of("shop.cart"))
    rows = requests(store, WEEK.only(number_of("shop.cart")), limit=1000).rows
    assert {row.endpoint.name for row in rows} == {"shop.cart"}
    assert {row.endpoint.id for row in rows} == {number_of("shop.cart"), number_of("shop.basket")}
    for row in rows[:4]:
        found = request_detail(store, row.key)
        assert found is not None
        assert found.row == row
        assert found.n > len(rows) // 8
    # And by the address that the endpoint had before.
    assert requests(store, WEEK.only(number_of("shop.basket")), limit=1000).rows == rows


def test_details_of_a_merged_endpoint_are_there(store, number_of):
    DetailWriter(store).write(
        [
            profile(endpoint="a"), profile(endpoint="b"), profile(endpoint="b", exact=False),
            outlier(endpoint="b"), exception(endpoint="b"), exception(endpoint="a"),
        ]
    )  # fmt: skip
    merge(store, number_of("b"), number_of("a"))
    a = number_of("a")
    assert len(profiles(store, a, (WEEK.start_us, WEEK.end_us))) == 3
    assert profiles_of_range(store, WEEK.only(a)).tree.n == 3
    tree = profiles_by_endpoint(store, WEEK).tree
    assert [tree.lines[node.line].function for node in tree.nodes if node.parent == -1] == ["a"]
    assert newest_exact(store, a) is None
    (found,) = outliers(store, WEEK.only(a)).rows
    assert found.endpoint.name == "a"
    assert outlier_detail(store, found.key) is not None
    (group,) = groups(store, WEEK)
    assert [endpoint.name for endpoint in group.endpoints] == ["a"]


def test_an_endpoint_is_shown_by_the_name_that_people_gave_it(store, request_at, number_of):
    Writer(store).write(_records(request_at, "shop.basket"))
    rename(store, number_of("shop.cart"), "The cart")
    names = {row.endpoint.name for row in overview(store, WEEK, None, NOW_US).endpoints}
    assert names == {"The cart", "shop.basket", "home"}


def test_a_deleted_endpoint_is_seen_nowhere_while_its_rows_go(store, tmp_path, request_at, number_of):
    without = open_store(f"sqlite:///{tmp_path / 'without.db'}")
    records = _records(request_at, "shop.basket")
    Writer(store).write(records)
    Writer(without).write([each for each in records if each.endpoint != "shop.basket"])
    remove(store, number_of("shop.basket"))
    mine, theirs = _answers(store), _answers(without)
    for name, answer in theirs.items():
        assert mine[name] == answer, name
    without.dispose()
