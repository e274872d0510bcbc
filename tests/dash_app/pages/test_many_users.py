"""A hundred thousand users: ranked, searched and paged through by the server; a page gets only its own."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert

from fmd_otel_dash.pages.endpoint_subjects import LISTED
from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.schema import DAY_S, SUBJECT_USER
from fmd_otel_exporter.subject_sums import SUMMED

HOUR = 3_600_000_000
USERS = 100_000
PATH = "/endpoint/1/users"
WEEK = "?from=now-7d&to=now"


@pytest.fixture
def crowd(now, write, store):
    """Each user has one request fewer than the one before, but at least one; the sums of a day say so."""
    write(now - HOUR, group_by=None)
    day = (now // 1_000_000 // DAY_S - 2) * DAY_S
    tables = store.tables
    with store.write() as connection:
        connection.execute(
            insert(tables.subject),
            [
                {"id": number, "kind": SUBJECT_USER, "value": f"user-{number:06d}"}
                for number in range(1, USERS + 1)
            ],
        )
        connection.execute(
            insert(tables.subject_day),
            [
                {
                    "endpoint_id": 1, "day": day, "kind": SUBJECT_USER, "subject_id": number, "version_id": 1,
                    "part": 0, "n": max(1, 1000 - number), "errors": 0,
                    "sum_us": 25_000 * max(1, 1000 - number),
                    "buckets": f"{bucket_of(25_000)}x{max(1, 1000 - number)}",
                }
                for number in range(1, USERS + 1)
            ],
        )  # fmt: skip
        connection.execute(insert(tables.subject_rollup), [{"day": day, "state": SUMMED, "mark": 7}])


def rows_of(shown):
    return shown.figures[0]["layout"]["yaxis"]["ticktext"]


@pytest.mark.usefixtures("crowd")
def test_a_page_of_many_users_gets_no_more_than_it_shows(card):
    first = card("endpoint-subject-boxes", PATH, WEEK)
    listed = card("endpoint-subject-list", PATH, WEEK)
    last = card("endpoint-subject-boxes", PATH, f"{WEEK}&skip={USERS - 20}")
    found = card("endpoint-subject-boxes", PATH, f"{WEEK}&q=USER-077")
    one = card("endpoint-subject-list", PATH, f"{WEEK}&q=user-077123")

    assert rows_of(first) == [f"user-{number:06d}" for number in range(1, 21)]
    assert "100,000 users" in first.text
    assert len(listed.grid_rows) == LISTED
    assert rows_of(last) == [f"user-{number:06d}" for number in range(USERS - 19, USERS + 1)]
    assert "1,000 users" in found.text
    assert [row["value"] for row in one.grid_rows] == ["user-077123"]
    for shown in (first, last, found, one):
        assert len(json.dumps(shown.children)) < 50_000
