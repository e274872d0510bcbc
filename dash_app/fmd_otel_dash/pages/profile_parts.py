"""What the pages with profiles share: what is selected, how it is shown, and as what it can be saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dash import MATCH, Input, Output, html

from fmd_otel_dash import formatting, ids
from fmd_otel_dash.components import empty, nothing_in_range, url_segments
from fmd_otel_dash.components.profile import downloads, profile_graph
from fmd_otel_dash.figures import profile as figures
from fmd_otel_dash.formats import Exported, Part
from fmd_otel_dash.stats.treediff import FEW_PROFILES, difference
from fmd_otel_dash.stats.trees import by_function, each, own_code, place
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.stats.treediff import Difference
    from fmd_otel_dash.stats.trees import Tree
    from fmd_otel_dash.view import View

CODE = (("", "All code"), ("app", "Your code only"))
LINES = (("", "By line"), ("function", "By function"))
KEPT = ("code", "by")
"""Parameters of the address that go along from one profile to another."""
FILES = (
    ("speedscope.json", "speedscope", "Opens in speedscope"),
    ("collapsed.txt", "Collapsed stacks", "FlameGraph, inferno and many others"),
    ("pprof.pb.gz", "pprof", "go tool pprof, Pyroscope, Parca"),
)
_FEW_SAMPLES = 20
_MOST_NAMED = 3


@dataclass(frozen=True)
class Selection:
    """Profiles that a page shows, and those they are held against."""

    title: str
    tree: Tree
    kind: str
    """``profile`` of one request, or ``grouped``."""
    start_us: int
    before: Tree | None = None
    words: str = "now"
    words_before: str = ""

    def arranged(self, view: View) -> Selection:
        """Return it as the address wants it: by function, without libraries."""
        before = None if self.before is None else arranged(view, self.before)
        return Selection(
            self.title, arranged(view, self.tree), self.kind, self.start_us, before, self.words,
            self.words_before,
        )  # fmt: skip

    def exported(self) -> Exported:
        """Return it as a file has it; a difference is between averages."""
        if self.before is None:
            return Exported(self.title, Part(self.title, self.tree), start_us=self.start_us)
        return Exported(
            f"{self.title}: {self.words_before} and {self.words}",
            Part(f"{self.title}, {self.words}", each(self.tree)),
            Part(f"{self.title}, {self.words_before}", each(self.before)),
            self.start_us,
        )


def arranged(view: View, tree: Tree) -> Tree:
    """Return a tree as the address wants it."""
    if view.state.get("by") == "function":
        tree = by_function(tree)
    return own_code(tree) if view.state.get("code") == "app" else tree


def kept(view: View) -> dict[str, str]:
    """Return the parameters that a link to another profile takes along."""
    return {name: view.state.get(name) for name in KEPT if view.state.get(name)}


def register(registry: Registry) -> None:
    """Register what draws profiles in the browser."""
    registry.clientside(
        "profile", Output(ids.profile_drawn(MATCH), "data"), Input(ids.profile_data(MATCH), "data")
    )


def controls(view: View, *more: Any) -> Any:
    """Return the choices that change what is drawn."""
    return html.Div(
        [
            *more,
            url_segments("code", "Code", CODE, view.state.get("code")),
            url_segments("by", "Lines or functions", LINES, view.state.get("by")),
            html.Div(className="fmd-spacer"),
            export_menu(view),
        ],
        className="fmd-toolbar",
    )


def export_menu(view: View) -> Any:
    """Return the files that hold what is shown."""
    search = format_search(view.state)
    base = view.settings.url(f"/export{view.path}")
    return downloads((text, f"{base}.{suffix}", search, hint) for suffix, text, hint in FILES)


def drawn(view: View, name: str, selection: Selection) -> list[Any]:
    """Return the graph and the tables of a selection."""
    shown = selection.arranged(view)
    if shown.before is None:
        payload = figures.profile(shown.tree, kind=shown.kind)
        notes: list[Any] = []
    else:
        found = difference(shown.before, shown.tree)
        payload = figures.diff(found)
        notes = [verdict(selection, found)]
    payload |= {"title": selection.title, "editor": view.settings.editor_link}
    if payload["leftOut"]:
        notes.append(
            html.Div(
                f"{payload['leftOut']:,} of the smallest frames are put together as {figures.SMALLER}.",
                className="fmd-caption",
            )
        )
    return [*notes, profile_graph(name, payload)]


def verdict(selection: Selection, found: Difference) -> Any:
    """Return in a sentence or two what changed, and by which lines."""
    before, after, delta = found.before.total_us, found.after.total_us, found.delta_us
    counts = f"{found.after.n:,} against {found.before.n:,} profiles"
    said = (
        f"A request takes {formatting.duration(after)} on average {selection.words}, "
        f"{formatting.duration(abs(delta))} {'more' if delta > 0 else 'less'} than {selection.words_before} "
        f"({formatting.duration(before)}; {counts})."
    )
    tone = "bad" if delta > 0 else "good"
    slower = [change for change in found.lines if change.delta_us > 0 and change.line.file]
    parts: list[Any] = [said]
    if delta > 0 and slower:
        parts.append(" Slower by their own time: ")
        for number, change in enumerate(slower[:_MOST_NAMED]):
            parts += [
                "; " if number else "",
                html.Code(change.line.function),
                f" ({place(change.line)}) +{formatting.duration(change.delta_us)}",
            ]
        parts.append(".")
    if min(found.after.n, found.before.n) < FEW_PROFILES:
        parts.append(" So few profiles may differ by chance alone.")
    return html.Div(parts, className=f"fmd-verdict {tone}")


def few_samples(samples: int) -> Any:
    """Return a word of caution, where shares are those of a handful of samples."""
    if samples >= _FEW_SAMPLES:
        return None
    return html.Div(
        f"Only {samples} {'sample' if samples == 1 else 'samples'}: its shares are rough. "
        "The Grouped Profiler adds up many requests.",
        className="fmd-hint",
    )


def no_profiles(view: View, last_us: int | None, level: int | None, *actions: Any) -> Any:
    """Return what stands there without profiles: how to come by some."""
    if last_us is not None:
        return nothing_in_range(view, last_us, what="profiles")
    if level is None or level < 3:  # noqa: PLR2004 - the level that profiles
        at = "" if level is None else f" This endpoint is at level {level}."
        return empty(
            "No profiles yet",
            f"Monitor level 3 samples where each request spends its time, for a few percent of it.{at} "
            "Set the level, or profile the next request.",
            html.A("Open the Overview", href=view.href("/overview"), className="fmd-button"),
            *actions,
            symbol="gauge",
        )
    return empty(
        "No profiles yet",
        "This endpoint is at level 3: its next requests that take longer than a sample will show here.",
        *actions,
        symbol="clock",
    )
