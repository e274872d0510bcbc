"""Figures of the storage page."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from fmd_otel_dash.figures import storage as draw
from fmd_otel_dash.queries.growth import project
from fmd_otel_dash.queries.storage import Oldest, Storage

TODAY = date(2026, 11, 22)
MB = 1_000_000


@pytest.fixture
def found():
    days = tuple(TODAY - timedelta(days=29 - n) for n in range(30))
    return Storage(
        product="SQLite 3",
        total_bytes=90 * MB,
        measured_us=0,
        log_bytes=0,
        reusable_bytes=0,
        disk_free_bytes=None,
        tables=(),
        days=days,
        requests=tuple(range(30)),
        history=tuple((day, n * MB) for n, day in enumerate(days[:-1], 60)),
        raw_rows=435,
        rate_per_s=0.1,
        oldest=Oldest(1, 1, 1),
    )


def test_the_size_goes_on_dashed_from_where_it_is(checked, found):
    ahead = project(90 * MB, MB, raw_days=30, kept_days=20, disk_free_bytes=None)
    figure = checked(draw.size(found, ahead), most_bytes=12_000)
    past, future = figure["data"]
    assert (len(past["x"]), len(future["x"])) == (30, 31)
    assert past["x"][-1] == future["x"][0] == TODAY.isoformat()
    assert past["y"][-1] == future["y"][0] == 90
    assert future["y"][-1] == 100
    assert figure["layout"]["yaxis"]["ticksuffix"] == " MB"


def test_without_a_past_or_a_future_there_is_still_today(checked, found):
    figure = checked(draw.size(replace(found, history=(), total_bytes=0), None))
    assert [len(trace["x"]) for trace in figure["data"]] == [1]
    assert figure["layout"]["yaxis"]["ticksuffix"] == " B"


def test_requests_a_day_are_bars(checked, found):
    figure = checked(draw.requests_a_day(found))
    assert figure["data"][0]["y"] == list(range(30))
