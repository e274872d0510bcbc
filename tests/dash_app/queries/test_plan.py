from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.queries.plan import Kept, Segment, split
from fmd_otel_exporter.schema import DAY_S

US = 1_000_000
DAY = 20_000 * DAY_S


def test_a_range_on_bucket_edges_needs_no_raw_rows():
    assert split(DAY * US, (DAY + 1800) * US, width_s=900) == (Segment("bucket", DAY, DAY + 1800, DAY),)


def test_the_ends_of_a_range_are_counted_raw_each_in_its_own_bucket():
    start, end = (DAY + 600) * US + 1, (DAY + 2000) * US

    assert split(start, end, width_s=900) == (
        Segment("raw", start, (DAY + 900) * US, DAY),
        Segment("bucket", DAY + 900, DAY + 1800, DAY + 900),
        Segment("raw", (DAY + 1800) * US, end, DAY + 1800),
    )


def test_a_range_inside_one_bucket_is_one_raw_segment():
    start, end = (DAY + 10) * US, (DAY + 20) * US

    assert split(start, end, width_s=900) == (Segment("raw", start, end, DAY),)


def test_a_range_across_one_bucket_edge_is_two_raw_segments():
    start, end = (DAY + 890) * US, (DAY + 910) * US

    assert split(start, end, width_s=900) == (
        Segment("raw", start, (DAY + 900) * US, DAY),
        Segment("raw", (DAY + 900) * US, end, DAY + 900),
    )


def test_rolled_up_days_are_used_in_runs_and_a_missing_day_falls_back_to_buckets():
    days = {DAY, DAY + DAY_S, DAY + 3 * DAY_S}

    segments = split((DAY - 900) * US, (DAY + 4 * DAY_S) * US, width_s=900, days=days)

    assert [(segment.source, segment.start, segment.end) for segment in segments] == [
        ("bucket", DAY - 900, DAY),
        ("day", DAY, DAY + 2 * DAY_S),
        ("bucket", DAY + 2 * DAY_S, DAY + 3 * DAY_S),
        ("day", DAY + 3 * DAY_S, DAY + 4 * DAY_S),
    ]


def test_a_day_that_sticks_out_of_the_range_is_not_used():
    segments = split((DAY + 900) * US, (DAY + DAY_S) * US, width_s=900, days={DAY})

    assert [segment.source for segment in segments] == ["bucket"]


def test_an_empty_or_reversed_range_has_no_segments():
    assert split(5, 5, width_s=900) == ()
    assert split(6, 5, width_s=900) == ()


@given(
    start=st.integers(-3 * DAY_S * US, 3 * DAY_S * US),
    length=st.integers(1, 6 * DAY_S * US),
    width_s=st.sampled_from([900, 3600]),
    days=st.sets(st.integers(-4, 8)),
)
def test_segments_cover_the_range_without_gap_or_overlap(start, length, width_s, days):
    start += DAY * US
    segments = split(start, start + length, width_s=width_s, days={DAY + day * DAY_S for day in days})

    assert segments[0].start_us == start
    assert segments[-1].end_us == start + length
    for before, after in itertools.pairwise(segments):
        assert before.end_us == after.start_us
    for segment in segments:
        assert segment.start < segment.end
        if segment.source == "raw":
            assert segment.bucket_s * US <= segment.start
            assert segment.end <= (segment.bucket_s + width_s) * US
        else:
            assert segment.start % width_s == 0
            assert segment.end % width_s == 0


# What retention has left

HALF_DAY = DAY_S // 2


def test_an_end_within_a_day_of_which_only_the_sum_is_kept_moves_to_the_nearer_midnight():
    kept = Kept(sealed=frozenset({DAY}))

    late = split((DAY + HALF_DAY + 1) * US, (DAY + DAY_S) * US, width_s=900, kept=kept)
    early = split((DAY + HALF_DAY) * US, (DAY + DAY_S) * US, width_s=900, kept=kept)

    assert late == ()
    assert early == (Segment("day", DAY, DAY + DAY_S, DAY),)


def test_days_of_which_only_the_sum_is_kept_are_counted_so_in_fine_charts_too():
    kept = Kept(sealed=frozenset({DAY}))

    segments = split(DAY * US, (DAY + 2 * DAY_S) * US, width_s=900, days=(), kept=kept)

    assert [(segment.source, segment.start) for segment in segments] == [
        ("day", DAY),
        ("bucket", DAY + DAY_S),
    ]


def test_an_end_among_deleted_raw_rows_moves_to_the_nearer_bucket_edge():
    kept = Kept(raw_from_us=(DAY + DAY_S) * US)

    segments = split((DAY + 100) * US, (DAY + 1700) * US, width_s=900, kept=kept)

    assert segments == (Segment("bucket", DAY, DAY + 1800, DAY),)


def test_a_raw_row_that_came_late_does_not_hide_that_those_after_it_are_gone():
    kept = Kept(raw_from_us=(DAY + 3 * 3600) * US, pruned=frozenset({DAY, DAY + DAY_S}))

    segments = split(DAY * US, (DAY + 5 * 3600 + 1300) * US, width_s=900, kept=kept)

    assert segments == (Segment("bucket", DAY, DAY + 5 * 3600 + 900, DAY),)


def test_raw_rows_of_an_earlier_day_do_not_hide_that_those_of_a_day_are_gone():
    kept = Kept(raw_from_us=(DAY - 450) * US, pruned=frozenset({DAY}))

    segments = split((DAY + 100) * US, (DAY + DAY_S + 100) * US, width_s=900, kept=kept)

    assert [(segment.source, segment.start_us) for segment in segments] == [
        ("bucket", DAY * US),
        ("raw", (DAY + DAY_S) * US),
    ]


def test_raw_rows_that_are_left_in_a_bucket_are_counted():
    kept = Kept(raw_from_us=(DAY + 450) * US)

    segments = split((DAY + 100) * US, (DAY + 900) * US, width_s=900, kept=kept)

    assert segments == (Segment("raw", (DAY + 100) * US, (DAY + 900) * US, DAY),)


@given(
    edges=st.lists(st.integers(0, 6 * DAY_S * US), min_size=3, max_size=3).map(sorted),
    width_s=st.sampled_from([900, 3600]),
    sealed=st.sets(st.integers(0, 5)),
    raw_from=st.integers(0, 6 * DAY_S * US),
    pruned=st.sets(st.integers(0, 5)),
)
def test_ranges_next_to_each_other_stay_so_whatever_is_left(edges, width_s, sealed, raw_from, pruned):
    start, middle, end = (DAY * US + edge for edge in edges)
    sealed_days, pruned_days = (frozenset(DAY + day * DAY_S for day in days) for days in (sealed, pruned))
    kept = Kept(sealed_days, DAY * US + raw_from, pruned_days)

    def covered(first, last):
        segments = split(first, last, width_s=width_s, kept=kept)
        return sum(segment.end_us - segment.start_us for segment in segments)

    assert covered(start, middle) + covered(middle, end) == covered(start, end)
