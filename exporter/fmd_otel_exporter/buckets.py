"""Latency buckets: OpenTelemetry's base-2 exponential histogram at scale 5.

A bucket of index ``i`` holds durations in ``(2**(i/32), 2**((i+1)/32)]`` seconds, so that any duration is
known to within 1.083 % of its bucket's middle, histograms of different workers merge by adding counts, and
they align with ``ExponentialHistogram`` data points of ``http.server.request.duration``.
Source: opentelemetry.io/docs/specs/otel/metrics/data-model, "Exponential Scale".
Stored is ``i + 1024``, which is positive from microseconds to years and halves exactly to the next coarser
scale.
"""

from __future__ import annotations

from math import ceil, log2

SCALE = 5
PER_OCTAVE = 1 << SCALE
OFFSET = 1024
_OCTAVES_US = log2(1_000_000)


def bucket_of(duration_us: int) -> int:
    """Return the stored bucket number of a duration in microseconds; anything below 1 µs counts as 1 µs."""
    if duration_us <= 1:  # noqa: PLR1730 # max() would cost half as much again
        duration_us = 1
    return ceil((log2(duration_us) - _OCTAVES_US) * PER_OCTAVE) - 1 + OFFSET


def lower_bound_us(bucket: int) -> float:
    """Return the exclusive lower edge of a stored bucket, in microseconds."""
    edge: float = 1_000_000 * 2.0 ** ((bucket - OFFSET) / PER_OCTAVE)
    return edge


def upper_bound_us(bucket: int) -> float:
    """Return the inclusive upper edge of a stored bucket, in microseconds."""
    return lower_bound_us(bucket + 1)
