"""Ids that the shell, the registry and the components share, named once."""

from __future__ import annotations

from typing import Any

URL = "url"
VIEW = "view"
"""Store with ``{path, search, tz, serial}``: changes when the address or a refresh asks for other data."""
ROUTE = "route"
"""Store of the same shape that changes only when the address names another page."""
PAGE = "page"
NOTICE = "notice"
"""Where an action says what it did, or why it did not."""


def body(card_id: str) -> str:
    """Return the id of what a card shows."""
    return f"{card_id}-body"


def retry(card_id: str) -> str:
    """Return the id of the store that a card's "Try again" writes to."""
    return f"{card_id}-retry"


def url_filter(param: str) -> dict[str, Any]:
    """Return the id of a control whose value is a parameter of the address."""
    return {"type": "url-filter", "param": param}


def time_graph(name: str) -> dict[str, Any]:
    """Return the id of a graph whose x axis is time: dragging on it zooms the whole page."""
    return {"type": "time-graph", "name": name}
