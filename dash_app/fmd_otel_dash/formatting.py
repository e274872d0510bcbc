"""Numbers as people read them: three digits that matter, a unit that fits, and nothing that jumps about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from fmd_otel_dash.stats.percentiles import Change
    from fmd_otel_dash.stats.significance import Effect

NONE = "–"
MIN_SAMPLE = 20
"""With fewer requests on a side, nothing is said about how it compares."""
_NOTABLE = 0.05
_LEVEL = 0.05
"""A change has a colour where chance alone gives one like it less often than this."""
_KEPT = "\n\t\u200c\u200d"
_SECONDS = ((60, "s", 1), (3600, "min", 60), (86_400, "h", 3600))

Tone = Literal["good", "bad", "neutral"]
Direction = Literal["lower", "higher", "none"]


@dataclass(frozen=True)
class Delta:
    """A change, ready to be shown."""

    text: str
    tone: Tone
    arrow: Literal["▲", "▼", ""]


def visible(text: str) -> str:
    """Return text whose invisible characters are shown: one that turns writing round would hide what it says.

    Lines stay lines, and joined letters and pictures stay joined.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in _KEPT else "�" for c in text)


def count(n: float) -> str:
    """Return a count: ``1,716``, ``24.3 k``, ``1.24 M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(n) >= size:
            return f"{_digits(n / (size if unit != 'k' else 1e3))} {unit}"
    return f"{n:,.0f}"


def size(n_bytes: float | None) -> str:
    """Return a size: ``840 B``, ``12.4 kB``, ``1.24 GB``; in powers of ten, as disks are sold."""
    if n_bytes is None:
        return NONE
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if float(f"{abs(n_bytes):.3g}") >= limit:
            return f"{_digits(n_bytes / limit)} {unit}"
    return f"{n_bytes:.0f} B"


def duration(us: float | None) -> str:
    """Return a duration in microseconds: ``840 µs``, ``12.4 ms``, ``1.24 s``, ``3.1 min``."""
    if us is None:
        return NONE
    if us < 1000:  # noqa: PLR2004 - microseconds in a millisecond
        return f"{us:.0f} µs"
    ms = us / 1000
    if float(f"{ms:.3g}") < 1000:  # noqa: PLR2004 - milliseconds in a second
        return f"{_digits(ms)} ms"
    seconds = ms / 1000
    for limit, unit, size in _SECONDS:
        if seconds < limit:
            return f"{_digits(seconds / size)} {unit}"
    return f"{_digits(seconds / 86_400)} d"


def percent(share: float | None) -> str:
    """Return a share between 0 and 1: ``0.42 %``, ``12.3 %``; never a rounded-up 100 or a rounded-down 0."""
    if share is None:
        return NONE
    value = share * 100
    if value == 0:
        return "0 %"
    if 0 < value < 0.01:  # noqa: PLR2004 - the smallest that is printed
        return "< 0.01 %"
    if 99.99 < value < 100:  # noqa: PLR2004 - the same at the other end
        return "> 99.99 %"
    return f"{_digits(value)} %"


def ago(ts_us: int | None, now_us: int) -> str:
    """Return how long ago something was: ``just now``, ``5 min ago``, ``3 d ago``."""
    if ts_us is None:
        return "never"
    seconds = (now_us - ts_us) // 1_000_000
    if seconds < 5:  # noqa: PLR2004 - clocks differ
        return "just now"
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit} ago"
    return f"{seconds // 86_400} d ago"


def relative_change(
    now: float | None,
    before: float | None,
    *,
    better: Direction = "lower",
    n_now: int | None = None,
    n_before: int | None = None,
) -> Delta | None:
    """Return how a value changed, or None where there is nothing to compare it with.

    With fewer than 20 requests on either side there is a sign in place of arrow and colour: so few say
    nothing yet.
    """
    if now is None or not before:
        return None
    change = now / before - 1
    few = any(n is not None and n < MIN_SAMPLE for n in (n_now, n_before))
    text = f"{abs(change) * 100:.0f} %" if abs(change) >= 0.1 else f"{abs(change) * 100:.1f} %"  # noqa: PLR2004
    if abs(change) >= 10:  # noqa: PLR2004 - as a percentage it would be unreadable
        text = f"{_digits(now / before)}×"
    return _delta(change, text, better, plain=few)


def measured_change(change: Change) -> Delta:
    """Return how a percentile changed; coloured only where the samples are large enough to be sure of it."""
    few = min(change.n_before, change.n_after) < MIN_SAMPLE
    delta = relative_change(
        change.after_us, change.before_us, n_now=change.n_after, n_before=change.n_before
    ) or Delta(NONE, "neutral", "")
    return delta if few or change.significant else replace(delta, tone="neutral")


def point_change(change: Effect) -> Delta:
    """Return how a share that should be low changed, in percentage points; coloured only beyond chance."""
    points = change.value * 100
    if abs(points) < 0.005:  # noqa: PLR2004 - would be printed as 0.00
        return Delta("no change", "neutral", "")
    return _tested(_delta(points, f"{abs(points):.2f} pt", "lower", plain=_few(change)), change)


def score_change(change: Effect) -> Delta:
    """Return how a score between 0 and 1 that should be high changed; coloured only beyond chance."""
    if abs(change.value) < 0.005:  # noqa: PLR2004 - would be printed as 0.00
        return Delta("no change", "neutral", "")
    # A hundredth of Apdex is about what five percent are of a duration.
    delta = _delta(change.value * 5, f"{abs(change.value):.2f}", "higher", plain=_few(change))
    return _tested(delta, change)


def _few(change: Effect) -> bool:
    return min(change.n_before, change.n_after) < MIN_SAMPLE


def _tested(delta: Delta, change: Effect) -> Delta:
    return delta if change.p < _LEVEL else replace(delta, tone="neutral")


def _delta(change: float, text: str, better: Direction, *, plain: bool) -> Delta:
    if change == 0:
        return Delta(text, "neutral", "")
    if plain:
        return Delta(f"{'+' if change > 0 else '-'}{text}", "neutral", "")
    improved = (change < 0) == (better == "lower")
    notable = abs(change) >= _NOTABLE and better != "none"
    tone: Tone = ("good" if improved else "bad") if notable else "neutral"
    return Delta(text, tone, "▲" if change > 0 else "▼")


def _digits(value: float) -> str:
    """Return three significant digits without an exponent."""
    if abs(value) >= 100:  # noqa: PLR2004 - three digits before the point
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004
