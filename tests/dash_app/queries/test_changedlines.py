"""Which lines account for a change."""

from __future__ import annotations

import pytest

from fmd_otel_dash.queries.changedlines import changed_lines
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.detail_writer import DetailWriter
from tests import made_profiles

DAY = 86_400_000_000
START = 20_000 * DAY
BEFORE, AFTER = Scope(START, START + DAY), Scope(START + DAY, START + 2 * DAY)


@pytest.fixture
def write_profiles(store):
    def into(scope, n, version):
        first = 1 + scope.start_us // DAY % 2 * 1000
        made = [
            made_profiles.profile(first + i, scope.start_us + 3_600_000_000 + i, version) for i in range(n)
        ]
        DetailWriter(store).write(made)

    return into


def test_time_in_libraries_is_time_of_the_line_that_called_them(store, write_profiles):
    write_profiles(BEFORE, 20, made_profiles.OLD)
    write_profiles(AFTER, 10, made_profiles.NEW)

    found = changed_lines(store, 1, BEFORE, AFTER)

    assert (found.n_before, found.n_after) == (20, 10)
    first = found.lines[0]
    assert (first.line.file, first.line.function) == ("shop/rates.py", "exchange_rate")
    assert first.delta_us == pytest.approx(12_600, rel=0.1)
    assert found.delta_us == pytest.approx(11_600, rel=0.15)
    assert all(change.line.in_app for change in found.lines)


def test_what_became_faster_is_accounted_for_as_well(store, write_profiles):
    write_profiles(BEFORE, 10, made_profiles.NEW)
    write_profiles(AFTER, 10, made_profiles.OLD)

    found = changed_lines(store, 1, BEFORE, AFTER)

    assert found.delta_us < 0
    assert found.lines[0].line.function == "exchange_rate"
    assert found.lines[0].delta_us < 0
    assert found.share(found.lines[0]) == pytest.approx(1.08, abs=0.1)


def test_lines_that_only_moved_are_no_change(store, write_profiles):
    write_profiles(BEFORE, 10, made_profiles.OLD)
    write_profiles(AFTER, 10, made_profiles.NEW)

    found = changed_lines(store, 1, BEFORE, AFTER)

    assert [change.line.function for change in found.lines] == ["exchange_rate"]


def test_where_nothing_changed_nothing_accounts_for_it(store, write_profiles):
    write_profiles(BEFORE, 300, made_profiles.OLD)
    write_profiles(AFTER, 300, made_profiles.OLD)

    found = changed_lines(store, 1, BEFORE, AFTER)

    assert found.both
    assert found.lines == ()


@pytest.mark.parametrize("n", [(0, 0), (0, 3), (3, 0)])
def test_without_profiles_on_both_sides_there_is_nothing_to_say(store, write_profiles, n):
    write_profiles(BEFORE, n[0], made_profiles.OLD)
    write_profiles(AFTER, n[1], made_profiles.NEW)

    found = changed_lines(store, 1, BEFORE, AFTER)

    assert (found.n_before, found.n_after, found.lines) == (*n, ())
