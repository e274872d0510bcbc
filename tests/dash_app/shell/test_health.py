"""The judgement on the monitoring itself."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from fmd_otel_dash.health import MANY_WAITING, judge, unusable
from fmd_otel_dash.queries.processes import Facts, Process
from fmd_otel_exporter.migrations import HEAD, REVISIONS, Schema

S = 1_000_000
MINUTE = 60 * S
HOUR = 60 * MINUTE
NOW = 1_800_000_000 * S
_pids = itertools.count(100)


def process(**changed) -> Process:
    values = {
        "id": "00", "role": "worker", "state": "live", "host": "web1", "pid": next(_pids), "service": "shop",
        "version": "1.7.0", "fmd_otel": "1.0", "python": "3.11", "retention": "30,90,0",
        "started_us": NOW - HOUR, "heard_us": NOW - 5 * S, "clock_us": 0,
    }  # fmt: skip
    return Process(**(values | changed))


WELL = Facts(
    now_us=NOW,
    clock_us=0,
    processes=(process(pid=1), process(pid=2)),
    schema=Schema(HEAD, None),
    maintainer="web1:1",
    maintained_until_us=NOW + HOUR,
    last_request_us=NOW - 3 * S,
)


def test_trouble_of_the_process_that_shows_it_is_told_while_it_lasts():
    health = judge(WELL, "another process holds the database")
    assert (health.level, health.summary) == ("warn", "Requests wait to be written")
    assert "another process holds the database. They are written as soon as" in health.reasons[0].detail


def with_one(**changed) -> Facts:
    return replace(WELL, processes=(process(pid=1), process(pid=7, **changed)))


def test_all_is_well():
    health = judge(WELL)
    assert (health.level, health.reasons) == ("good", ())
    assert health.summary == "2 processes write; last request just now"


@pytest.mark.parametrize(
    ("facts", "level", "general", "details"),
    [
        (
            with_one(dropped_hour=1200, dropped_by={"spool_full": 1500}),
            "bad",
            "Requests were lost in the last hour",
            ["1,200 requests on web1:7", "the spool was full"],
        ),
        (with_one(state="late", heard_us=NOW - 4 * MINUTE), "warn", "A process has not been heard from",
         ["web1:7", "4 min ago"]),
        (
            replace(WELL, processes=(process(pid=7, state="late", heard_us=NOW - 9 * MINUTE),)),
            "bad",
            "No application has been heard from for minutes",
            ["web1:7", "9 min ago", "spools"],
        ),
        (
            with_one(waiting=MANY_WAITING, waiting_before=10),
            "warn",
            "More requests wait than are written",
            ["1,000 requests wait on web1:7"],
        ),
        (
            with_one(last_error="the disk is full", last_error_us=NOW - MINUTE),
            "warn",
            "A process had trouble writing",
            ["web1:7", "the disk is full"],
        ),
        (
            replace(WELL, schema=Schema("9999", "9998")),
            "bad",
            "The tables are newer than this dashboard",
            ["9999", "Upgrade"],
        ),
        (
            replace(WELL, schema=Schema("9999", HEAD)),
            "warn",
            "The tables are newer than this dashboard",
            ["9999", "still works"],
        ),
        (
            replace(WELL, schema=Schema(REVISIONS[0], None)),
            "bad",
            "The tables are older than this dashboard",
            [REVISIONS[0], "fmd-otel db upgrade"],
        ),
        (replace(WELL, schema=None), "bad", "The tables are gone", []),
        (
            replace(WELL, maintained_until_us=NOW - HOUR),
            "warn",
            "Nobody deletes what is old",
            ["not since 1 h ago"],
        ),
        (replace(WELL, maintained_until_us=None), "warn", "Nobody deletes what is old", ["never"]),
        (
            replace(WELL, processes=(), last_request_us=None),
            "warn",
            "No application writes to this database",
            ["None has ever been", "DATABASE"],
        ),
        (
            replace(
                WELL,
                processes=(process(state="ended", heard_us=NOW - 3 * HOUR), process(role="dashboard")),
                last_request_us=NOW - 3 * HOUR,
            ),
            "warn",
            "No application writes to this database",
            ["3 h ago"],
        ),
        (with_one(clock_us=90 * S), "warn", "Clocks differ", ["web1:7", "1.50 min ahead of"]),
        (with_one(clock_us=-HOUR), "warn", "Clocks differ", ["web1:7", "1.00 h behind"]),
        (replace(WELL, clock_us=-5 * MINUTE), "warn", "This dashboard's clock is wrong", ["5.00 min behind"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_reason(facts, level, general, details):
    health = judge(facts)
    (reason,) = health.reasons
    assert (health.level, health.summary, reason.general) == (level, general, general)
    for detail in details:
        assert detail in reason.detail
        assert "web1" not in reason.general


@pytest.mark.parametrize(
    "facts",
    [
        with_one(dropped=7, dropped_by={"spool_full": 7}),  # long ago
        with_one(state="ended", heard_us=NOW - 4 * MINUTE, dropped_hour=0),
        with_one(state="killed", heard_us=NOW - 4 * MINUTE),
        with_one(state="gone", heard_us=NOW - 5 * HOUR, dropped_hour=9, dropped_by={"spool_full": 9}),
        with_one(waiting=5 * MANY_WAITING, waiting_before=9 * MANY_WAITING),  # it is being caught up with
        with_one(waiting=MANY_WAITING - 1),
        with_one(last_error="the disk was full", last_error_us=NOW - HOUR),
        with_one(clock_us=-2 * S),
        replace(WELL, processes=(process(started_us=NOW - MINUTE),), maintained_until_us=None),  # just begun
        replace(WELL, processes=()),  # requests come, from a release that does not speak
    ],
)
def test_what_is_over_or_usual_worries_nobody(facts):
    assert judge(facts).level == "good"


def test_the_worst_comes_first_and_gives_the_colour():
    health = judge(replace(with_one(dropped_hour=1), maintained_until_us=None, clock_us=HOUR))
    assert [reason.level for reason in health.reasons] == ["bad", "warn", "warn"]
    assert health.level == "bad"
    assert health.summary == "Requests were lost in the last hour, and 2 more"


def test_a_database_that_cannot_be_asked_is_bad():
    assert unusable("the disk is gone").level == "bad"


def test_many_processes_are_not_all_named():
    late = [process(pid=n, state="late", heard_us=NOW - 4 * MINUTE) for n in range(1, 11)]
    (reason,) = judge(replace(WELL, processes=(process(), *late))).reasons
    assert "web1:1, web1:2, web1:3 and 7 more" in reason.detail
