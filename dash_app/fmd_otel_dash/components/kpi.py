"""The few numbers that say how things are."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from dash import html

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_dash.formatting import Delta

_SPOKEN = {"good": "better", "bad": "worse", "neutral": ""}


def kpi(label: str, value: str, *, delta: Delta | None = None, against: str = "", hint: str = "") -> Any:
    """Return one number with its change.

    Args:
        label: what it is.
        value: the number, formatted.
        delta: how it changed; nothing is shown in its place where there is nothing to compare.
        against: what it is compared with, in a few words.
        hint: how it is computed.
    """
    return html.Div(
        [
            html.Div(label, className="fmd-kpi-label"),
            html.Div(value, className="fmd-kpi-value"),
            html.Div(change(delta, against), className="fmd-kpi-delta"),
        ],
        className="fmd-card fmd-kpi",
        title=hint or None,
    )


def kpi_row(kpis: Iterable[Any], hrefs: Iterable[str] = ()) -> Any:
    """Return numbers in a row, two by two on a telephone; each leads where its ``href`` says."""
    linked = [
        html.A(each, href=href, className="fmd-kpi-link") if href else each
        for each, href in zip_longest(kpis, hrefs)
    ]
    return html.Div(linked, className="fmd-kpis")


def change(delta: Delta | None, against: str = "") -> Any:
    """Return a change with its arrow; the colour repeats what the arrow and a word for screen readers say."""
    if delta is None:
        return html.Span(against and "nothing to compare with", className="fmd-delta neutral")
    return html.Span(
        [
            f"{delta.arrow} {delta.text}".strip(),
            html.Span(_SPOKEN[delta.tone], className="fmd-visually-hidden"),
            html.Span(f" {against}", className="fmd-against") if against else None,
        ],
        className=f"fmd-delta {delta.tone}",
    )
