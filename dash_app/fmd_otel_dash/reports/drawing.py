"""Two distributions over one another, as a picture inside a file: no script, no font, no request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.base import log_ticks
from fmd_otel_dash.stats.percentiles import count
from fmd_otel_exporter.buckets import PER_OCTAVE, bucket_of, lower_bound_us

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.stats.percentiles import Buckets

COARSE = 4
"""Buckets drawn as one step, an eighth of a doubling: fine enough to see two peaks, and calm."""
_WIDTH, _HEIGHT, _BOTTOM = 560, 130, 22


def steps(sample: Buckets, low: int, high: int) -> list[float]:
    """Return the share of requests in each step from bucket ``low`` up to ``high``, in percent."""
    total = count(sample) or 1
    found = [0.0] * ((high - low) // COARSE + 1)
    for bkt, n in sample.items():
        if low <= bkt <= high:
            found[(bkt - low) // COARSE] += 100 * n / total
    return found


def span(*samples: Buckets) -> tuple[int, int] | None:
    """Return the buckets to draw: all but the half percent at either end of all samples together."""
    together: dict[int, int] = {}
    for sample in samples:
        for bkt, n in sample.items():
            together[bkt] = together.get(bkt, 0) + n
    total = count(together)
    if not total:
        return None
    passed, kept = 0, []
    for bkt, n in sorted(together.items()):
        passed += n
        if 0.005 * total <= passed and passed - n <= 0.995 * total:
            kept.append(bkt)
    low = kept[0] // COARSE * COARSE - COARSE
    return low, kept[-1] // COARSE * COARSE + 2 * COARSE


def overlay(before: Buckets, after: Buckets) -> str:
    """Return an SVG of both distributions: the earlier one dashed, the later one filled."""
    ends = span(before, after)
    if ends is None:
        return ""
    low, high = ends
    old, new = steps(before, low, high), steps(after, low, high)
    top = max([*old, *new], default=0) or 1
    width = _WIDTH / len(new)

    def path(values: Sequence[float], *, closed: bool) -> str:
        points = [
            f"{i * width:.1f},{_HEIGHT - value / top * (_HEIGHT - 6):.1f}" for i, value in enumerate(values)
        ]
        line = "M" + " L".join(points)
        return f"{line} L{(len(values) - 1) * width:.1f},{_HEIGHT} L0,{_HEIGHT} Z" if closed else line

    ticks = "".join(
        f'<text x="{(bucket_of(round(us)) - low) / COARSE * width:.1f}" y="{_HEIGHT + 16}" font-size="11" '
        f'fill="var(--dim)" text-anchor="middle">{text}</text>'
        for us, text in zip(*log_ticks(lower_bound_us(low), lower_bound_us(high)), strict=True)
        if low < bucket_of(round(us)) < high
    )
    label = (
        f"Durations before (dashed) and after (filled), {formatting.duration(lower_bound_us(low))} to "
        f"{formatting.duration(lower_bound_us(high))}; one step is {2 ** (COARSE / PER_OCTAVE) - 1:.0%} wide"
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _BOTTOM}" width="{_WIDTH}" role="img" aria-label="{label}">'
        f'<path d="{path(new, closed=True)}" fill="var(--accent)" fill-opacity=".35" stroke="var(--accent)"/>'
        f'<path d="{path(old, closed=False)}" fill="none" stroke="var(--ghost)" stroke-width="1.6" '
        f'stroke-dasharray="5 3"/>{ticks}</svg>'
    )
