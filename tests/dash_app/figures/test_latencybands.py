from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fmd_otel_dash.figures.latencybands import band_us, bands_over
from fmd_otel_dash.pages.drill import duration_filters
from fmd_otel_exporter.buckets import bucket_of

durations = st.integers(1, 3_600_000_000)


@given(durations, durations, st.sampled_from([4, 8, 16]))
def test_a_band_holds_just_the_durations_whose_buckets_it_is_made_of(one, other, coarse):
    low, high = band_us(one, coarse)

    assert (low <= other < high) == (bucket_of(one) // coarse == bucket_of(other) // coarse)


@given(st.sets(durations, min_size=1))
def test_there_are_never_more_bands_than_can_be_told_apart(some):
    bands = bands_over(map(bucket_of, some))

    assert len(bands.numbers) <= 30
    assert all(0 <= bands.of(bucket_of(us)) < len(bands.numbers) for us in some)


@given(durations)
def test_a_filter_in_milliseconds_means_the_same_microsecond(us):
    (text,) = duration_filters(us).values()

    assert round(float(text) * 1000) == us
