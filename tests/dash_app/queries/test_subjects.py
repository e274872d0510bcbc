"""Users and addresses: ranked, searched, page by page, and with what is left of them."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import event, select

from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.subject_ranks import Ranks, Remembered
from fmd_otel_dash.queries.subjects import busiest, latency_by_subject, subject_by_version
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import SUBJECT_IP, SUBJECT_USER
from fmd_otel_exporter.subject_sums import sum_up_subjects

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR


@pytest.fixture
def now(at):
    return at(2026, 11, 22, 12)


@pytest.fixture
def add_up(store, now):
    def run():
        compact_days(store, now_ts_us=now)
        for _ in sum_up_subjects(store):
            pass

    return run


@pytest.fixture
def traffic(now, request_at, write, add_up):
    """Five days: ann, bob, … zed, each with more requests than the one after."""
    rng = random.Random(3)  # noqa: S311 - traffic, not secrets
    names = ["ann", "Bob_1", "bob%2", "cat", "dan", "eve", None]
    made = [
        request_at(
            now - rng.randrange(5 * DAY),
            rng.choice(("shop.cart", "shop.index")),
            group_by=name,
            ip=f"10.0.0.{number}",
            version=rng.choice("12"),
            status=rng.choice((200, 200, 500)),
            duration_us=int(rng.lognormvariate(10, 0.5)),
        )
        for number, name in enumerate(names)
        for _ in range(60 - 8 * number)
    ]
    write(*made)
    add_up()
    return made


def test_pages_follow_each_other(store, traffic, now):
    scope = Scope(now - 4 * DAY - 7, now - HOUR)
    whole = busiest(store, scope, SUBJECT_USER)
    inside = [r for r in traffic if scope.start_us <= r.ts_us < scope.end_us and r.group_by]

    pages = [busiest(store, scope, SUBJECT_USER, 4, "", offset) for offset in (0, 4, 8)]

    assert [row for page in pages for row in page.rows] == list(whole.rows)
    assert [len(page.rows) for page in pages] == [4, 2, 0]
    assert {page.found for page in pages} == {6}
    assert {page.n for page in pages} == {len(inside)}
    assert all(row.error_rate == row.errors / row.n for row in whole.rows)


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("bob", {"Bob_1", "bob%2"}),
        ("B%", {"bob%2"}),
        ("b_", {"Bob_1"}),
        ("AN", {"ann", "dan"}),
        ("nobody", set()),
        ("'; DROP", set()),
    ],
)
@pytest.mark.usefixtures("traffic")
def test_a_search_finds_a_part_of_a_name_as_it_is_written(store, now, search, found):
    page = busiest(store, Scope(now - 5 * DAY, now), SUBJECT_USER, search=search)

    assert {row.value for row in page.rows} == found
    assert page.found == len(found)
    assert page.n == sum(row.n for row in page.rows)
    assert page.last_recorded_us is None


def test_one_endpoint_and_one_version_are_counted_alone(store, traffic, now):
    everything = Scope(now - 5 * DAY, now, versions=("2",))
    inside = [r for r in traffic if r.version == "2" and r.endpoint == "shop.cart"]

    c = store.tables.endpoint.c
    with store.read() as connection:
        endpoint_id = connection.scalar(select(c.id).where(c.name == "shop.cart"))
    page = subject_by_version(store, everything.only(endpoint_id), SUBJECT_IP)

    assert [version.name for version in page.versions] == ["2"]
    assert page.busiest.n == len(inside)
    assert sum(cell.n for row in page.rows for cell in row.cells) == len(inside)


@pytest.mark.usefixtures("traffic")
def test_a_page_that_is_looked_at_again_reads_no_days(store, now):
    scope = Scope(now - 4 * DAY - 7, now)
    first = busiest(store, scope, SUBJECT_USER), subject_by_version(store, scope, SUBJECT_USER)
    asked = []
    with store.read() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))

    assert (busiest(store, scope, SUBJECT_USER), subject_by_version(store, scope, SUBJECT_USER)) == first
    assert asked
    assert not any("subject_day" in statement or "subject_pack" in statement for statement in asked)


def test_a_request_that_comes_late_is_counted_although_its_day_was_remembered(
    store, traffic, now, request_at, write, add_up
):
    scope = Scope(now - 5 * DAY, now)
    before = busiest(store, scope, SUBJECT_USER, search="ann")
    for more, age in enumerate((2 * DAY, 2 * DAY, 3 * HOUR, 3 * HOUR), 1):  # and into hours of today
        write(request_at(now - age, group_by="ann", ip="10.0.0.0"))
        (ann, *_) = subject_by_version(store, scope, SUBJECT_USER, search="ann").rows
        assert sum(cell.n for cell in ann.cells if cell) == ann.counts.n  # and in its buckets
        assert busiest(store, scope, SUBJECT_USER, search="ann").n == before.n + more
        add_up()
        assert busiest(store, scope, SUBJECT_USER, search="ann").n == before.n + more


def test_users_are_known_for_longer_than_their_requests(store, traffic, now, request_at, write):
    for _ in prune(store, Retention(raw_days=2, hourly_days=30).cutoffs(now)):
        pass
    whole_days = Scope(now - 6 * DAY, now)

    assert busiest(store, whole_days, SUBJECT_USER).n == sum(r.group_by is not None for r in traffic)
    assert latency_by_subject(store, whole_days, SUBJECT_IP).rows[0].box.n == 60
    # Within a day of which only its sums are left, a range ends at the nearest midnight.
    assert busiest(store, Scope(now - 4 * DAY - 11 * HOUR, now - 4 * DAY), SUBJECT_IP).n in {
        0,
        sum(r.ts_us // DAY == (now - 4 * DAY) // DAY for r in traffic),
    }
    write(request_at(now - 4 * DAY, group_by="late", ip="::1"))
    assert busiest(store, whole_days, SUBJECT_USER, search="late").n == 1


def test_nobody_names_the_newest_request(store, traffic, now):
    newest = max(r.ts_us for r in traffic)

    assert busiest(store, Scope(now + DAY, now + 2 * DAY), SUBJECT_USER).last_recorded_us == newest
    assert latency_by_subject(store, Scope(now + DAY, now + 2 * DAY), SUBJECT_USER).rows == ()
    assert subject_by_version(store, Scope(now + DAY, now), SUBJECT_USER).versions == ()


def test_an_empty_store_knows_nobody(store, now):
    assert busiest(store, Scope(now - DAY, now), SUBJECT_IP).last_recorded_us is None


# What is remembered


def test_of_equals_the_one_known_first_comes_first():
    ranks = Ranks().add([(9, 1, 0, 5), (2, 1, 0, 5), (5, 7, 1, 5)])

    assert [row.id for row in ranks.busiest(None, 3, 0)] == [5, 2, 9]
    assert [row.id for row in ranks.busiest({9, 2}, 1, 1)] == [9]


def test_what_is_added_to_a_copy_leaves_the_original_alone():
    ranks = Ranks().add([(1, 2, 0, 5)])

    assert ranks.copy().add([(1, 1, 1, 1), (2, 1, 0, 1)]).total(None) == (2, 4)
    assert ranks.total(None) == (1, 2)


def test_no_more_is_remembered_than_allowed():
    remembered = Remembered(most=5)
    three = Ranks().add([(number, 1, 0, 1) for number in range(3)])
    for key in "abc":
        remembered.put(key, three)

    assert [remembered.get(key) is not None for key in "abc"] == [False, False, True]
    many = Ranks().add([(number, 1, 0, 1) for number in range(9)])
    remembered.put("d", many)
    assert remembered.get("d") is many
    assert remembered.get("c") is None
