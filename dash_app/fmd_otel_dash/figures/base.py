"""What all figures share: colours, units, and text that is safe to show.

Figures are plain dictionaries that look right in light and dark alike: no background, colours that hold on
both, and colour scales that fade by transparency. Text and grid get their colours from the style sheet.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape
from math import floor, log10
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.figures.timeaxis import axis_zone, labels
from fmd_otel_dash.queries.scope import local_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, tzinfo

    from fmd_otel_dash.queries.scope import Scope

Figure = dict[str, Any]

ACCENT = "#4263eb"
ACCENT_SOFT = "rgba(66,99,235,.32)"
TEAL = "#0c8599"
ORANGE = "#e8590c"
RED = "#e03131"
GREY = "#868e96"
BELOW_A_LINE = 0.6
"""How strong bars are drawn where the dashed line of a comparison lies upon them."""
FAINT = 0.4
"""How strong a comparison is drawn, in the colour of what it is compared with."""
OTHERS = "rgba(134,142,150,.55)"

FADE = [[0, "rgba(66,99,235,.06)"], [1, "rgba(66,99,235,1)"]]
"""A colour scale for both themes: nothing is transparent."""
FADE_EARLY = [[0, "rgba(66,99,235,.03)"], [0.05, "rgba(66,99,235,.16)"], [0.3, "rgba(66,99,235,.4)"],
              [1, "rgba(66,99,235,.7)"]]  # fmt: skip
"""The same for values most of which are small, pale enough for text upon it."""

DIFFERENCE = [[0, "rgba(12,133,153,1)"], [0.5, "rgba(134,142,150,.08)"], [1, "rgba(232,89,12,1)"]]
"""From less to more, for both themes and for people who see red and green as one."""

STATUS_COLORS = {1: GREY, 2: "#2b8a9e", 3: "#748ffc", 4: "#f08c00", 5: RED}
"""By class; told apart by people who see red and green as one, since lightness differs, too."""

_LABEL_LENGTH = 34
_LOG_STEPS = ((1.4, (1, 2, 5)), (2.7, (1, 3)))
"""Up to how many decades a logarithmic axis has which ticks."""
_FEW = 4
"""Up to which number each whole one has a tick."""
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
_UNITS_US = ((1_000, "µs", 1), (1_000_000, "ms", 1_000), (60_000_000, "s", 1_000_000))


@lru_cache(maxsize=4096)
def label(name: str, length: int = _LABEL_LENGTH) -> str:
    """Return a name as plotly may show it: no markup, not too long, no effect on the text around it."""
    short = name if len(name) <= length else name[: length // 2] + "…" + name[-(length - length // 2 - 1) :]
    safe = escape(formatting.visible(short), quote=False)
    # First strong isolate: a name that is written from right to left must not turn its surroundings round.
    return safe if short.isascii() else f"\u2068{safe}\u2069"


def significant(value: float | None, digits: int = 4) -> float | None:
    """Return a number with as many digits as a screen can show: what is not sent costs nothing."""
    if value is None or value == 0:
        return value
    rounded = round(value, digits - 1 - floor(log10(abs(value))))
    return int(rounded) if rounded == int(rounded) else rounded


def duration_unit(largest_us: float) -> tuple[str, int]:
    """Return the unit for an axis of durations, and its length in microseconds."""
    for limit, unit, size_us in _UNITS_US:
        if largest_us < limit:
            return unit, size_us
    return "min", 60_000_000


def log_ticks(smallest_us: float, largest_us: float) -> tuple[list[float], list[str]]:
    """Return ticks for a logarithmic axis of durations, each in its own unit: 500 µs, 10 ms, 2 s."""
    low, high = max(smallest_us, 1) * 0.7, max(largest_us, 1) * 1.4
    first, last = floor(log10(low)), floor(log10(high))
    decades = log10(high / low)
    # As many as have room beside each other on a telephone.
    steps = next((steps for most, steps in _LOG_STEPS if decades <= most), (1,))
    values = [
        step * 10.0**power
        for power in range(first, last + 1)
        for step in steps
        if low <= step * 10.0**power <= high
    ]
    return values, [_tick(value) for value in values]


def wall(ts_us: int, zone: tzinfo) -> str:
    """Return a moment as an axis of local time takes it; the zone is :func:`.axis_zone`'s."""
    return local_time(ts_us, zone).replace(tzinfo=None).isoformat(" ", "seconds")


def requests_text(n: int) -> str:
    """Return a number of requests in words: what every figure says of its sample."""
    return f"{n:,} request" + ("" if n == 1 else "s")


def others_text(n: int) -> str:
    """Return what is drawn together, in words."""
    return f"{n:,} other" + ("" if n == 1 else "s")


def lines(*parts: str) -> str:
    """Return lines of a hover text, empty ones left out."""
    return "<br>".join(part for part in parts if part)


def axis(**options: Any) -> dict[str, Any]:
    """Return an axis without the lines that only weigh a figure down."""
    return {"zeroline": False, "automargin": True, "ticks": "", **options}


def count_axis(largest: float, **options: Any) -> dict[str, Any]:
    """Return an axis of whole numbers from zero, written as in the tables: 1,200, and never a half."""
    steps = {"dtick": 1} if largest <= _FEW else {}
    return axis(rangemode="tozero", tickformat=",", **steps, **options)


def tallest(stacks: Iterable[Iterable[float | None]]) -> float:
    """Return the height of the highest of some bars that are stacked; each row is one series."""
    return max((sum(n or 0 for n in column) for column in zip(*stacks, strict=True)), default=0)


def ghost(color: str = ACCENT, **line: Any) -> dict[str, Any]:
    """Return what a trace needs to be the comparison of one in this colour: dashed, and faint."""
    return {
        "mode": "lines",
        "opacity": FAINT,
        "line": {"color": color, "width": 1.8, "dash": "dash", **line},
    }


def is_ghost(figure: Figure, curve: Any) -> bool:
    """Tell whether a click on a trace, by its number, was one on the comparison."""
    traces = figure["data"]
    if not isinstance(curve, int) or not 0 <= curve < len(traces):
        return False
    line: dict[str, Any] = traces[curve].get("line", {})
    return line.get("dash") == "dash"


def time_axis(scope: Scope, **options: Any) -> dict[str, Any]:
    """Return an axis of local time over a scope, whose ticks name the day once."""
    stops = [
        {"dtickrange": [None, _MINUTE_MS - 1], "value": "%H:%M:%S\n%-d %b"},
        {"dtickrange": [_MINUTE_MS, _DAY_MS - 1], "value": "%H:%M\n%-d %b"},
        {"dtickrange": [_DAY_MS, None], "value": "%-d %b\n%Y"},
    ]
    zone = axis_zone(scope)
    ends = [wall(us, zone) for us in (scope.start_us, scope.end_us)]
    return axis(
        type="date",
        showgrid=False,
        range=ends,
        tickformatstops=stops,
        nticks=7,
        tickangle=0,
        **labels(scope),
        **options,
    )


def day_ticks(days: Sequence[date], most: int = 14) -> dict[str, list[str]]:
    """Return ticks in the middle of days: a date alone means midnight."""
    ticked = days[:: -(-len(days) // most)] if days else ()
    return {
        "tickvals": [f"{day} 12:00" for day in ticked],
        "ticktext": [f"{day.day} {day:%b}" for day in ticked],
    }


def legend() -> dict[str, Any]:
    """Return a legend above the figure, where it takes no width from it."""
    return {
        "orientation": "h", "xref": "container", "x": 0, "xanchor": "left", "yref": "container", "y": 1,
        "yanchor": "top", "traceorder": "normal",
    }  # fmt: skip


MARGIN = {"l": 44, "r": 12, "t": 8, "b": 24}
MARGIN_LEGEND = MARGIN | {"t": 36}


def longest(values: Iterable[float | None]) -> float:
    """Return the largest of some values that may be missing; 0 of none."""
    return max((value for value in values if value is not None), default=0.0)


def _tick(us: float) -> str:
    text = formatting.duration(us)
    number, _, unit = text.partition(" ")
    return f"{float(number.replace(',', '')):g} {unit}"
