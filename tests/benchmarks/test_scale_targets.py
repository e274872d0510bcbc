"""What the tables of ten million requests say of the targets."""

from __future__ import annotations

from benchmarks.scale import report, targets
from benchmarks.scale.views import Took
from benchmarks.scale.writers import Cost

M = 1_000_000


def took(wall_ms: float) -> Took:
    return Took(wall_ms, wall_ms, wall_ms)


def test_a_view_has_its_limit_and_what_is_made_of_sums_must_not_grow_with_the_requests() -> None:
    asked = targets.of_question("SQLite", "API Performance", took(150), 10 * M, took(75))
    assert asked == "≤ 150 ms: met, ≤ 2 ×: met"
    asked = targets.of_question("SQLite", "API Performance", took(151), 10 * M, took(75))
    assert asked == "≤ 150 ms: **missed**, ≤ 2 ×: **missed**"
    assert targets.of_question("SQLite", "Overview", took(600), 10 * M) == "≤ 600 ms: met"
    assert targets.of_question("PostgreSQL", "Deployments", took(226), 10 * M) == "≤ 225 ms: **missed**"
    assert targets.of_question("MariaDB", "Deployments", took(1), 10 * M) == ""


def test_what_is_read_row_by_row_may_grow() -> None:
    for view in ("Requests, newest", "Endpoint: requests that failed", "Endpoint: Per-User Performance"):
        assert targets.of_question("SQLite", view, took(9), 10 * M, took(1)) == "≤ 150 ms: met"
    assert targets.is_from_sums("Requests over time")


def test_a_verdict_on_fewer_requests_says_so() -> None:
    assert targets.of_question("ClickHouse", "Overview", took(99), M) == "≤ 100 ms: met at 1m"


def test_bytes_and_writing_have_theirs() -> None:
    assert targets.of_size("SQLite", 75) == "a row ≤ 75: met"
    assert targets.of_size("SQLite", 92.5) == "a row ≤ 75: **missed**"
    assert targets.of_size("PostgreSQL", 345) == ""
    assert targets.of_writing("SQLite", Cost(18, 0, 1)) == "together ≤ 18: met"
    assert targets.of_writing("PostgreSQL", Cost(20, 21, 1)) == "together ≤ 40: **missed**"
    assert targets.of_writing("ClickHouse", Cost(12, 200, 1)) == "client ≤ 12: met"


def test_the_tables_have_a_column_for_them() -> None:
    found = {("SQLite", n * M): {"API Performance": took(10.0 + n)} for n in (1, 10)}
    assert report.queries(found, [M, 10 * M]).splitlines()[-1] == (
        "| API Performance | 11 (11) | 20 (20) | 1.8 | 20 | ≤ 150 ms: met, ≤ 2 ×: met |"
    )
    by_table = {"request": 70 * M, "subject_pack": 10 * M}
    assert report.sizes({"SQLite": by_table}, M).splitlines()[-1] == (
        "| SQLite | 70.0 | 10.0 | 80.0 | a row ≤ 75: met |"
    )
