"""Ids that the shell, the registry and the components share, named once."""

from __future__ import annotations

from typing import Any

URL = "url"
VIEW = "view"
"""Store with ``{path, search, tz, serial}``: changes when the address or a refresh asks for other data."""
ROUTE = "route"
"""Store of the same shape that changes only when the address names another page."""
PAGE = "page"
TITLE = "title"
NOTICE = "notice"
"""Where an action says what it did, or why it did not."""
SHELL = "shell"
MENU = "menu"
BURGER = "burger"
HELP = "help"
TICK = "tick"
REFRESH = "refresh"
VERSION_CHIP = "version-chip"

PICKER = "picker"
RANGE_LABEL = "range-label"
RANGE_TEXT = "range-text"
RANGE_PROBLEM = "range-problem"
RANGE_BACK = "range-back"
RANGE_FORWARD = "range-forward"
ZOOM_OUT = "range-out"
CALENDAR = "calendar"
ZONE_NOTE = "zone-note"
VERSIONS = "versions"
SERVICES = "services"


def body(card_id: str) -> str:
    """Return the id of what a card shows."""
    return f"{card_id}-body"


def retry(card_id: str) -> str:
    """Return the id of the store that a card's "Try again" writes to."""
    return f"{card_id}-retry"


def url_filter(param: Any) -> dict[str, Any]:
    """Return the id of a control whose value is a parameter of the address; ``ALL`` for all of them."""
    return {"type": "url-filter", "param": param}


def time_graph(name: Any) -> dict[str, Any]:
    """Return the id of a graph; dragging over one whose x axis is time zooms the whole page."""
    return {"type": "time-graph", "name": name}


def profile_data(name: Any) -> dict[str, Any]:
    """Return the id of the store whose profile the browser draws; ``MATCH`` for any of them."""
    return {"type": "profile-data", "name": name}


def profile_drawn(name: Any) -> dict[str, Any]:
    """Return the id of the store that stands for the drawing: Dash calls for what has an output only."""
    return {"type": "profile-drawn", "name": name}
