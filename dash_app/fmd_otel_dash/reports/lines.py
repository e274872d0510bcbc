"""Which lines account for a change, in words: the same on a page and in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_dash import formatting
from fmd_otel_dash.stats.treediff import FEW_PROFILES
from fmd_otel_dash.stats.trees import place

if TYPE_CHECKING:
    from fmd_otel_dash.queries.changedlines import ChangedLines

HEADING = "Lines that account for the change"
COLUMNS = ("Line", "Where", "Per request", "Share", "Before", "After")
SMALL_PRINT = (
    "Of a request on average. What a library took counts as the line of your own code that called it. "
    "Shares go above 100 % where other lines changed the other way."
)
_SAME = 0.02


class LineWords(NamedTuple):
    """One line, as texts; in the order of :data:`COLUMNS`."""

    code: str
    """What it says, or the function where that is not known."""
    where: str
    change: str
    share: str
    before: str
    after: str


def summary(found: ChangedLines) -> str:
    """Return what the profiles say as a whole, and whether there are enough of them."""
    if not found.both:
        side, n = ("before", found.n_before) if found.n_before else ("after", found.n_after)
        there = f"{n:,} {'profile' if n == 1 else 'profiles'}"
        return f"There are profiles of one side only ({there} {side}): nothing to hold them against."
    now, before = formatting.duration(found.after_us), formatting.duration(found.before_us)
    counts = f"{found.n_after:,} against {found.n_before:,} profiles"
    if not found.lines and abs(found.delta_us) <= _SAME * found.before_us:
        said = f"A profiled request takes {now} on average, as before ({before}; {counts})."
    else:
        moved = formatting.duration(abs(found.delta_us))
        way = "more" if found.delta_us > 0 else "less"
        said = f"A profiled request takes {now} on average, {moved} {way} than before ({before}; {counts})."
    few = min(found.n_before, found.n_after) < FEW_PROFILES
    return f"{said} So few profiles may differ by chance alone." if few else said


def lines(found: ChangedLines) -> list[LineWords]:
    """Return the lines, what changed most first."""
    return [
        LineWords(
            (each.line.source or "").strip() or each.line.function,
            f"{each.line.function} ({place(each.line)})",
            f"{'+' if each.delta_us > 0 else '-'}{formatting.duration(abs(each.delta_us))}",
            f"{found.share(each) * 100:.0f} %",
            formatting.duration(each.before_us),
            formatting.duration(each.after_us),
        )
        for each in found.lines
    ]
