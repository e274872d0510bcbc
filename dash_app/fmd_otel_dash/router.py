"""Which page an address is: one table, matched without Dash.

Dash's own pages live in process-wide globals, which the monitored app may be using for itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote

from fmd_otel_dash.roles import GUEST, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fmd_otel_dash.formats import Exported
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.tables import Table
    from fmd_otel_dash.view import View

Section = Literal["dashboard", "endpoint", ""]
_PLACEHOLDER = re.compile(r"<(?:(int):)?(\w+)>")
_ALIAS = "__"


def _nothing(_registry: Registry) -> None:
    """Register no callbacks: for pages without any."""


@dataclass(frozen=True)
class Page:
    """One route: how it looks before there is data, and the callbacks that fill it in."""

    path: str
    """``/hourly_load``, or with placeholders: ``/endpoint/<int:endpoint_id>/versions``."""
    title: str
    layout: Callable[[View], Any]
    """Returns the page's shell: cards with skeletons. Data comes later, through the cards' callbacks."""
    register: Callable[[Registry], None] = _nothing
    section: Section = ""
    """Where the page stands in the menu; nowhere if empty."""
    key: str = ""
    """Pressed after ``g``, goes there; for pages of an endpoint, after ``e``."""
    icon: str = ""
    role: Role = GUEST
    aliases: tuple[str, ...] = ()
    table: Table | None = None
    """What ``/export/<path>.csv`` downloads."""
    files: Mapping[str, Callable[[View], str]] = field(default_factory=dict)
    """What ``/export/<path>.<kind>`` downloads: by kind, how to write it."""
    profile: Callable[[View], Exported | None] | None = None
    """What the files of profiles hold, as ``/export/<path>.speedscope.json``; None where there is nothing."""
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile what the address has to look like."""
        object.__setattr__(self, "pattern", _compiled((self.path, *self.aliases)))

    def url(self, params: Mapping[str, str]) -> str:
        """Return the page's path with its placeholders filled in."""
        return _PLACEHOLDER.sub(lambda match: quote(str(params[match[2]]), safe=""), self.path)


@dataclass(frozen=True)
class Match:
    """A page and what its placeholders matched."""

    page: Page
    params: Mapping[str, str]


class Router:
    """The table of pages."""

    def __init__(self, pages: Iterable[Page], not_found: Page) -> None:
        self.pages = tuple(pages)
        self.not_found = not_found

    def resolve(self, path: str) -> Match:
        """Return the page of a path within the dashboard; never fails, there is a page for that."""
        trimmed = "/" + path.strip("/")
        for page in self.pages:
            if match := page.pattern.fullmatch(trimmed):
                found = {
                    _name(group): value for group, value in match.groupdict().items() if value is not None
                }
                return Match(page, {name: unquote(value) for name, value in found.items()})
        return Match(self.not_found, {})

    def section(self, section: Section) -> tuple[Page, ...]:
        """Return the pages of one part of the menu, in order."""
        return tuple(page for page in self.pages if page.section == section)


def _name(group: str) -> str:
    return group.rpartition(_ALIAS)[0]


def _compiled(paths: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = []
    for number, path in enumerate(paths):
        pieces, at = [], 0
        for match in _PLACEHOLDER.finditer(path):
            pieces.append(re.escape(path[at : match.start()]))
            kind, name = match.groups()
            expression = r"\d{1,18}" if kind == "int" else "[^/]+"
            # A group name may occur once; an alias has names of its own.
            pieces.append(f"(?P<{name}{_ALIAS}{number}>{expression})")
            at = match.end()
        alternatives.append("".join(pieces) + re.escape(path[at:]))
    return re.compile("|".join(f"(?:{alternative})" for alternative in alternatives), re.ASCII)
