"""What grouped profiles have in common: of one endpoint or of all, alone or held against others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting, urlstate
from fmd_otel_dash.components import url_multiselect, url_select
from fmd_otel_dash.pages.common import looked_at
from fmd_otel_dash.pages.profile_parts import Selection, arranged, controls, drawn
from fmd_otel_dash.queries.scope import US_PER_S, Scope, local_time
from fmd_otel_dash.queries.versions import versions
from fmd_otel_dash.stats.trees import Tree, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from zoneinfo import ZoneInfo

    from fmd_otel_dash.formats import Exported
    from fmd_otel_dash.queries.profilerange import Covered
    from fmd_otel_dash.view import View
    from fmd_otel_exporter.store import Store

    Ask = Callable[[Store, Scope], Covered]

AGAINST = "against"
"""Parameter: nothing, ``cmp`` for the comparison of the page, or ``v:`` and a version."""
PAGE = "cmp"
VERSION = "v:"
_US = 1000


def selection(view: View, ask: Ask, title: str) -> tuple[Selection, Covered, Covered | None]:
    """Return what the address asks for, what it covers, and what that is held against."""
    found = before_scope(view)
    page = found is not None and view.state.get(AGAINST) == PAGE
    now = view.query(ask, view.after if page else view.scope).settled()
    before = view.query(ask, found[0]).settled() if found else None
    chosen = Selection(
        title,
        now.tree,
        "grouped",
        now.start_us,
        before.tree if before and before.tree.n else None,
        f"in {looked_at(view)}" if page and looked_at(view) else _words(view),
        found[1] if found else "",
    )
    return chosen, now, before


def before_scope(view: View) -> tuple[Scope, str] | None:
    """Return what to hold the profiles against, and what that is in words."""
    wanted = view.state.get(AGAINST)
    if wanted.startswith(VERSION):
        name = wanted.removeprefix(VERSION)
        return replace(view.scope, versions=(name,)), f"in version {name}"
    comparison = view.comparison if wanted == PAGE else None
    return (view.compare, f"in {_with_article(comparison.words)}") if comparison and view.compare else None


def _with_article(words: str) -> str:
    return f"the {words}" if words.startswith("previous") else words


def _words(view: View) -> str:
    chosen = view.state.versions
    return f"in version {', '.join(chosen)}" if chosen else "in this range"


def toolbar(view: View) -> Any:
    """Return the choices of a page of grouped profiles."""
    known = view.query(versions, Scope(0, 0, services=view.scope.services))
    names = list(dict.fromkeys(version.name for version in reversed(known)))
    comparison = view.comparison
    against = [("", "Compare with …")]
    if comparison and view.compare:
        against.append((PAGE, comparison.words[:1].upper() + comparison.words[1:]))
    against += [(VERSION + name, f"Version {name}") for name in names]
    wanted = view.state.get(AGAINST)
    if wanted and wanted not in dict(against):
        against.append((wanted, wanted.removeprefix(VERSION)))
    return controls(
        view,
        url_multiselect("v", "All versions", [(name, name) for name in names], view.state.versions, w=200),
        url_select(AGAINST, "Compare these profiles with", against, wanted, w=180),
    )


def shown(view: View, name: str, ask: Ask, title: str) -> list[Any]:
    """Return the graph, the tables, and what they cover."""
    chosen, now, before = selection(view, ask, title)
    notes: list[Any] = []
    if before is not None and not before.tree.n:
        words = chosen.words_before or "there"
        notes.append(html.Div(f"There are no profiles {words} to compare with.", className="fmd-hint"))
    said = [coverage(view, now)]
    if chosen.before is not None and before is not None:
        said.append("against " + coverage(view, before))
        said.append("times are those of a request on average")
    return [
        html.Div(" · ".join(said), className="fmd-subtitle", style={"marginBottom": 8}),
        toolbar(view),
        *notes,
        *drawn(view, name, chosen),
    ]


def coverage(view: View, found: Covered) -> str:
    """Return what a tree is the sum of: "4,210 profiles of 3 versions, whole days 1–22 Nov 2026"."""
    n = found.tree.n
    parts = [f"{n:,} {'profile' if n == 1 else 'profiles'}"]
    if len(found.versions) > 1:
        parts.append(f"of {len(found.versions)} versions")
    elif found.versions:
        parts.append(f"of version {found.versions[0]}")
    text = " ".join(parts)
    if found.snapped:
        return f"{text}, {_days(found)} (UTC): single profiles of parts of days are too many, or not kept"
    start, end = (_moment(us, view.scope.zone) for us in (found.start_us, found.end_us))
    same = (found.start_us, found.end_us) == (view.scope.start_us, view.scope.end_us)
    return f"{text}, {_range_words(view) if same else f'{start} – {end}'}"


def _range_words(view: View) -> str:
    label = urlstate.label(view.state, view.window)
    relative = label.startswith(("Last ", "This ", "Today", "Yesterday", "Since "))
    return label[:1].lower() + label[1:] if relative else label


def _days(found: Covered) -> str:
    utc = Scope(0, 0).zone
    first = local_time(found.start_us // US_PER_S * US_PER_S, utc)
    last = local_time(found.end_us - 1, utc)
    if last - first < timedelta(days=1):
        return f"the whole day {first:%-d %b %Y}"
    same = (first.year, first.month) == (last.year, last.month)
    return f"whole days {first:%-d}{'' if same else f' {first:%b}'}–{last:%-d %b %Y}"


def _moment(us: int, zone: ZoneInfo) -> str:
    return f"{local_time(us, zone):%-d %b %Y %H:%M}"


def exported(view: View, ask: Ask, title: str) -> Exported | None:
    """Return the profiles for a file."""
    chosen, now, _ = selection(view, ask, title)
    return chosen.arranged(view).exported() if now.tree.n else None


COLUMNS = (
    "depth", "function", "file", "line", "source", "hits", "average_ms", "standard_deviation_ms", "total_ms",
    "cpu_ms", "own_ms", "samples", "path",
)  # fmt: skip


def rows(view: View, ask: Ask) -> Iterable[Sequence[Any]]:
    """Return the tree line by line, callers before callees."""
    tree = arranged(view, view.query(ask, view.scope).settled().tree)
    for index, depth in _preorder(tree):
        node, line = tree.nodes[index], tree.lines[tree.nodes[index].line]
        deviation = tree.deviation_us(index)
        total_us = tree.totals_us[index]
        yield (
            depth, line.function, line.file, line.line or "", line.source or "", node.n,
            round(total_us / max(1, node.n) / _US, 3), "" if deviation is None else round(deviation / _US, 3),
            round(total_us / _US, 3), round(tree.total_cpus_us[index] / _US, 3), round(node.self_us / _US, 3),
            node.hits, " > ".join(place(each) or each.function for each in tree.path(index)),
        )  # fmt: skip


def _preorder(tree: Tree) -> Iterable[tuple[int, int]]:
    callees: list[list[int]] = [[] for _ in range(len(tree.nodes) + 1)]
    for index, node in enumerate(tree.nodes):
        callees[node.parent].append(index)
    stack = [(index, 0) for index in reversed(callees[-1])]
    while stack:
        index, depth = stack.pop()
        yield index, depth
        stack += [(each, depth + 1) for each in reversed(callees[index])]


def title_of(name: str, n: int) -> str:
    """Return the name of grouped profiles, for graphs and files."""
    return f"{name} ({formatting.count(n)} profiles)"
