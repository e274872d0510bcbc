"""Long lists a page at a time: the address says how many are left out, so that a part can be linked to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from fmd_otel_dash.view import View

_MOST_DIGITS = 8
_MOST = 10_000_000


def offset_of(view: View, found: int = _MOST) -> int:
    """Return how many of the first the address leaves out; of fewer than that, none."""
    text = view.state.get("skip")
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    offset = int(text) if is_number else 0
    return offset if offset < found else 0


def pager(view: View, shown: int, found: int, *, back: str = "Previous") -> Any:
    """Return which part of a list is shown, with the ways to the next and the previous; None where it is all.

    Args:
        view: What is being looked at.
        shown: How many a page shows.
        found: How many there are.
        back: What the way back is called.
    """
    if found <= shown:
        return None
    offset = offset_of(view, found)
    last = min(offset + shown, found)
    links: list[Any] = [html.Span(f"{offset + 1:,} to {last:,}", className="fmd-faint")]
    for text, target in ((back, offset - shown), ("Next", offset + shown)):
        if offset if text == back else target < found:
            state = view.state.with_extra("skip", *([str(target)] if target > 0 else []))
            links.append(
                html.A(text, href=view.settings.url(view.path) + format_search(state), className="fmd-button")
            )
    return html.Div(links, className="fmd-pager")
