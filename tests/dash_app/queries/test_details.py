"""What pages about single requests read: profiles, outliers, exceptions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from fmd_otel_dash.queries import exceptions, outliers
from fmd_otel_dash.queries.profiles import by_endpoint, grouped, profile_of, profiles, recent
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.documents import DocumentError, encode_document
from fmd_otel_exporter.exception_groups import resolve
from fmd_otel_exporter.records import CAPTURED, HANDLED, UNHANDLED
from tests.exporter.conftest import NOON_US
from tests.exporter.details import LINES, exception, outlier, profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

S_US = 1_000_000
HOUR_US = 3600 * S_US
DAY_US = 24 * HOUR_US
DAY_S = 86_400
TODAY_S = NOON_US // DAY_US * DAY_S
DAY = Scope(NOON_US - 12 * HOUR_US, NOON_US + 12 * HOUR_US)


@pytest.fixture
def writer(store: Store) -> DetailWriter:
    return DetailWriter(store)


@pytest.fixture
def ids(store: Store) -> Callable[[str], dict[str, int]]:
    """Return the ids of endpoints or versions, by name."""

    def of(kind: str) -> dict[str, int]:
        table = getattr(store.tables, kind)
        with store.read() as connection:
            return {row.name: row.id for row in connection.execute(table.select())}

    return of


# Profiles


def test_days_and_versions_and_endpoints_are_chosen_by_the_day(store: Store, writer: DetailWriter, ids):
    writer.write(
        [
            profile(ts_us=NOON_US - DAY_US),
            profile(ts_us=NOON_US),
            profile(ts_us=NOON_US, version="2.0"),
            profile(ts_us=NOON_US, endpoint="shop.pay"),
            profile(ts_us=NOON_US, exact=True),
        ]
    )
    version, cart = ids("version"), ids("endpoint")["shop.cart"]
    assert grouped(store, None, 0, TODAY_S).n == 1
    assert grouped(store, None, 0, TODAY_S + DAY_S).n == 4
    assert grouped(store, [cart], TODAY_S, TODAY_S + DAY_S, version_ids=[version["2.0"]]).n == 1
    assert grouped(store, [cart + 999], 0, TODAY_S + DAY_S).nodes == ()
    trees = dict(by_endpoint(store, TODAY_S, TODAY_S + DAY_S))
    assert sorted(tree.n for tree in trees.values()) == [1, 2]
    tree = grouped(store, None, 0, TODAY_S + DAY_S)
    assert [tree.lines[node.line] for node in tree.nodes] == list(LINES)
    assert [node.parent for node in tree.nodes] == [-1, 0, 1]
    assert tree.totals_us == (40_000, 39_600, 31_600)
    assert [tree.deviation_us(index) for index in range(3)] == [0, 0, 0]


def test_a_single_profile_comes_back_with_all_that_is_known_of_it(store: Store, writer: DetailWriter, ids):
    one = profile(truncated=True)
    writer.write([one, profile(ts_us=NOON_US + HOUR_US, version="2.0")])
    cart = ids("endpoint")["shop.cart"]
    newest, oldest = profiles(store, cart, (NOON_US, NOON_US + 2 * HOUR_US))
    assert (newest.version, oldest.version) == ("2.0", "1.0")
    assert profiles(store, cart, (NOON_US, NOON_US + HOUR_US)) == [oldest]
    stored = profile_of(store, cart, one.ts_us, one.span_id)
    assert stored is not None
    assert stored.row == oldest
    assert (oldest.duration_us, oldest.cpu_us, oldest.samples, oldest.period_us) == (
        10_000,
        2_000,
        11,
        10_000,
    )
    assert (oldest.exact, oldest.truncated, oldest.trace_id) == (False, True, one.trace_id)
    assert stored.tree.total_us == 10_000
    assert stored.tree.cpu_us == 2_000
    assert profile_of(store, cart, one.ts_us, bytes(8)) is None
    assert recent(store, cart, 1).n == 1
    assert recent(store, cart).totals_us == (20_000, 19_800, 15_800)


# Outliers


def test_outliers_are_listed_newest_first_with_names(store: Store, writer: DetailWriter):
    late = outlier(ts_us=NOON_US + 5, group_by=None, ip=None)
    writer.write(
        [
            outlier(ts_us=NOON_US),
            late,
            outlier(ts_us=NOON_US - DAY_US),
            profile(ts_us=late.ts_us, span_id=late.span_id),
        ]
    )
    found = outliers.outliers(store, DAY)
    assert (found.n, [row.ts_us - NOON_US for row in found.rows], found.last_us) == (2, [5, 0], None)
    first = found.rows[1]
    assert (first.user, first.ip, first.version, first.endpoint.name) == (
        "me",
        "10.0.0.1",
        "1.0",
        "shop.cart",
    )
    assert (first.times_threshold, first.cpu_percent) == (3.6, 12.5)
    assert (found.rows[0].user, found.rows[0].ip) == (None, None)
    assert len(outliers.outliers(store, DAY, limit=1).rows) == 1
    detail = outliers.outlier_detail(store, found.rows[0].key)
    assert detail is not None
    assert (detail.profiled, detail.traced) == (True, False)
    assert detail.document["url"] == "/cart"
    assert outliers.outliers_by_day(store, Scope(DAY.start_us - DAY_US, DAY.end_us)) == {
        TODAY_S // DAY_S - 1: 1, TODAY_S // DAY_S: 2
    }  # fmt: skip


@pytest.mark.parametrize("oldest_request_us", [None, NOON_US - 2 * DAY_US, NOON_US - 90 * DAY_US])
def test_more_outliers_than_are_listed_are_counted(store, writer, ids, write, request_at, oldest_request_us):
    """However most of what is kept, and little of it, are counted."""
    names = ("shop.cart", "shop.pay", "shop.gone", "shop.home")
    moments = {
        name: [NOON_US + (37 * place * 61 * S_US) % (3 * DAY_US) - 2 * DAY_US + place for place in range(n)]
        for name, n in zip(names, (40, 25, 30, 3), strict=True)
    }
    writer.write(
        [
            outlier(endpoint=name, ts_us=ts_us, version=str(ts_us % 2))
            for name in names
            for ts_us in moments[name]
        ]
    )
    if oldest_request_us:
        write(request_at(oldest_request_us), request_at(NOON_US + DAY_US))
    whole = Scope(NOON_US - 3 * DAY_US, NOON_US + 2 * DAY_US)
    assert outliers.outliers(store, whole, limit=2).n == sum(map(len, moments.values()))
    numbers = ids("endpoint")
    with store.write() as connection:
        c = store.tables.endpoint.c
        gone = update(store.tables.endpoint).where(c.id == numbers["shop.gone"])
        connection.execute(gone.values(removed_ts=NOON_US))

    def expected(scope: Scope, *names: str) -> int:
        return sum(
            scope.start_us <= ts_us < scope.end_us
            and (not scope.versions or str(ts_us % 2) in scope.versions)
            for name in names
            for ts_us in moments[name]
        )

    known = ("shop.cart", "shop.pay", "shop.home")
    for start_us, end_us in ((-3, 2), (-1, 0), (0, 1), (-3, -2)):
        scope = Scope(NOON_US + start_us * DAY_US, NOON_US + end_us * DAY_US)
        assert outliers.outliers(store, scope, limit=2).n == expected(scope, *known)
        odd = replace(scope, versions=("1",))
        assert outliers.outliers(store, odd, limit=2).n == expected(odd, *known)
        for name in known:
            one = replace(scope, endpoint_ids=(numbers[name],))
            assert outliers.outliers(store, one, limit=2).n == expected(one, name)


def test_where_there_are_no_outliers_the_newest_is_told(store: Store, writer: DetailWriter):
    later = Scope(DAY.end_us, DAY.end_us + DAY_US)
    assert outliers.outliers(store, later).last_us is None
    writer.write([outlier(ts_us=NOON_US)])
    assert outliers.outliers(store, later) == outliers.Outliers(later, (), 0, NOON_US)
    for key in ("", "nonsense", f"{NOON_US}-1-{'0' * 16}"):
        assert outliers.outlier_detail(store, key) is None


def test_a_damaged_document_says_so(store: Store, writer: DetailWriter):
    writer.write([outlier(ts_us=NOON_US, document=b"nothing of the kind")])
    (row,) = outliers.outliers(store, DAY).rows
    with pytest.raises(DocumentError, match="cannot be read"):
        outliers.outlier_detail(store, row.key)


# Exceptions


def test_groups_tell_how_often_since_when_and_whom(store: Store, writer: DetailWriter):
    writer.write(
        [
            exception(ts_us=NOON_US - 3 * DAY_US, version="0.9", group_by="old"),
            exception(ts_us=NOON_US),
            exception(ts_us=NOON_US + HOUR_US, group_by="you", kind=HANDLED, document=None),
            exception(
                ts_us=NOON_US + HOUR_US + 1, version="2.0", endpoint="shop.pay", kind=CAPTURED, group_by=None
            ),
            exception(ts_us=NOON_US, group_id=5, place="elsewhere"),
            exception(ts_us=NOON_US, group_id=6, endpoint="", span_id=bytes(8)),
        ]
    )
    found = exceptions.groups(store, DAY, points=24)
    assert [(group.id, group.n) for group in found] == [(77, 3), (5, 1), (6, 1)]
    group = found[0]
    assert (group.introduced_in, group.last_in, group.first_us) == ("0.9", "2.0", NOON_US - 3 * DAY_US)
    assert (group.kinds, group.users) == ({UNHANDLED: 1, HANDLED: 1, CAPTURED: 1}, 2)
    assert [endpoint.name for endpoint in group.endpoints] == ["shop.cart", "shop.pay"]
    assert (group.spark.start_us, group.spark.width_s, len(group.spark.n)) == (DAY.start_us, 3600, 24)
    assert (group.spark.n[12], group.spark.n[13], sum(group.spark.n)) == (1, 2, 3)
    assert found[2].endpoints == ()
    assert exceptions.exceptions_by_day(store, DAY) == {TODAY_S // DAY_S: 5}


def test_groups_are_chosen_by_endpoint_version_and_state(store: Store, writer: DetailWriter, ids):
    writer.write(
        [
            exception(ts_us=NOON_US),
            exception(ts_us=NOON_US, group_id=5, version="2.0"),
            exception(ts_us=NOON_US, group_id=6, endpoint="shop.pay"),
        ]
    )
    own = ids("endpoint")
    assert [group.id for group in exceptions.groups(store, DAY.only(own["shop.pay"]))] == [6]
    of_two = Scope(DAY.start_us, DAY.end_us, versions=("2.0",))
    assert [group.id for group in exceptions.groups(store, of_two)] == [5]
    assert resolve(store, 6, now_us=NOON_US + 1)
    assert [group.id for group in exceptions.groups(store, DAY, states=[exceptions.RESOLVED])] == [6]
    assert [group.id for group in exceptions.groups(store, DAY, states=[exceptions.OPEN])] == [5, 77]
    assert exceptions.groups(store, DAY, states=[exceptions.REOPENED]) == ()


def test_a_group_is_shown_with_who_met_it_where_also_when_nobody_did_lately(
    store: Store, writer: DetailWriter
):
    one = exception(ts_us=NOON_US, document=encode_document({"chain": [], "url": "/there"}))
    writer.write(
        [
            one,
            exception(ts_us=NOON_US + 1, version="2.0", group_by="you", document=None),
            exception(ts_us=NOON_US + 2, group_by="you", document=None),
        ]
    )
    detail = exceptions.group_detail(store, DAY, 77)
    assert detail is not None
    assert detail.by_version == (("1.0", 2), ("2.0", 1))
    assert [(endpoint.name if endpoint else None, n) for endpoint, n in detail.by_endpoint] == [
        ("shop.cart", 3)
    ]
    assert detail.by_user == (("you", 2), ("me", 1))
    (occurrence,) = detail.occurrences
    assert (occurrence.user, occurrence.version, occurrence.trace_id) == ("me", "1.0", one.trace_id.hex())
    document = exceptions.occurrence_document(store, 77, occurrence.ts_us, occurrence.span_id)
    assert document == {"chain": [], "url": "/there"}
    assert exceptions.occurrence_document(store, 77, occurrence.ts_us, "no span") is None
    later = exceptions.group_detail(store, Scope(DAY.end_us, DAY.end_us + DAY_US), 77)
    assert later is not None
    assert (later.group.n, later.group.last_us, later.n) == (0, NOON_US + 2, 3)
    assert later.occurrences == detail.occurrences
    assert exceptions.group_detail(store, DAY, 78) is None
