"""Profiles as the canvases of ``assets/2*-*.js`` draw them: columns of numbers, callers before callees.

What a browser gets is bounded by size, not by count: the smallest branches are put together until it fits,
and the page says how much was.
"""

from __future__ import annotations

import json
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from fmd_otel_dash.stats.trees import MARK, package

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.stats.treediff import Difference
    from fmd_otel_dash.stats.trees import Tree
    from fmd_otel_exporter.records import CodeLine

MOST_BYTES = 380_000
_LONGEST_SOURCE = 160
_LESS = 0.9
SMALLER = "[smaller frames]"


def profile(tree: Tree, *, kind: str = "profile", most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Return the columns of a tree.

    Args:
        tree: the sum of its requests.
        kind: ``profile`` of one request, or ``grouped``, which has averages and deviations as well.
        most_bytes: how large it may be as JSON.
    """
    return _fitting(tree, None, kind, most_bytes)


def diff(found: Difference, *, most_bytes: int = MOST_BYTES) -> dict[str, Any]:
    """Return the columns of a difference: as wide as now, coloured by what changed."""
    return _fitting(found.after, found.before, "diff", most_bytes)


def _fitting(tree: Tree, before: Tree | None, kind: str, most_bytes: int) -> dict[str, Any]:
    weight: Sequence[float] = tree.totals_us
    if before is not None:
        weight = [max(pair) for pair in zip(weight, before.totals_us, strict=True)]
    payload = _columns(tree, before, kind, weight, 0)
    kept = len(weight)
    while (size := len(_json(payload))) > most_bytes and kept > 0:
        # As many of the largest as would fit were they all of one size, and some less: texts differ.
        kept = min(int(kept * most_bytes / size * _LESS), kept - 1)
        least = nlargest(kept + 1, weight)[-1]
        payload = _columns(tree, before, kind, weight, least)
    return payload


def _json(payload: dict[str, Any]) -> str:
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False)


def _columns(
    tree: Tree, before: Tree | None, kind: str, weight: Sequence[float], least: float
) -> dict[str, Any]:
    """Return the columns of all that weighs more than the least; what does not is one frame of its caller."""
    out = _Columns(tree, before, kind)
    callees: list[list[int]] = [[] for _ in range(len(tree.nodes) + 1)]
    for index, node in enumerate(tree.nodes):
        callees[node.parent].append(index)  # -1: the last list

    def below(indexes: list[int], depth: int) -> list[tuple[int, list[int], int]]:
        """Return what is drawn below a frame, the first of it last: nodes, and those put together."""
        kept = [each for each in indexes if weight[each] > least or not least]
        small = [each for each in indexes if weight[each] <= least and least]
        found = [(-1, small, depth)] if small else []
        return found + [(each, [], depth) for each in _widest_last(kept, weight)]

    stack = below(callees[-1], 0)
    while stack:
        index, small, depth = stack.pop()
        if small:
            out.smaller(small, depth, callees)
            continue
        out.add(index, depth)
        stack += below(callees[index], depth + 1)
    return out.payload()


def _widest_last(indexes: Sequence[int], weight: Sequence[float]) -> list[int]:
    return sorted(indexes, key=lambda index: (weight[index], -index))


class _Columns:
    """Collects the columns in the order of drawing."""

    def __init__(self, tree: Tree, before: Tree | None, kind: str) -> None:
        self._tree, self._before, self._kind = tree, before, kind
        self._frames: dict[int, int] = {}
        self._groups: dict[str, int] = {}
        self._left_out = 0
        more = {"grouped": ["nodeN", "sd"], "diff": ["before"]}.get(kind, [])
        self._names = ["depth", "frame", "self", "cpu", "hits", *more]
        self._rows: list[tuple[int, ...]] = []

    def add(self, index: int, depth: int) -> None:
        node = self._tree.nodes[index]
        was = self._before.nodes[index].self_us if self._before else 0
        deviation = self._tree.deviation_us(index) if self._kind == "grouped" else None
        self._row(
            depth, self._frames.setdefault(node.line, len(self._frames)), node.self_us, node.cpu_us,
            node.hits, n=node.n, sd=-1 if deviation is None else deviation, before=was,
        )  # fmt: skip

    def smaller(self, left: list[int], depth: int, callees: list[list[int]]) -> None:
        """Put callees that are too small together as one."""
        count, todo = 0, list(left)
        while todo:
            count += 1
            todo += callees[todo.pop()]
        self._left_out += count
        totals, cpus = self._tree.totals_us, self._tree.total_cpus_us
        was = sum(self._before.totals_us[each] for each in left) if self._before else 0
        self._row(
            depth, self._frames.setdefault(-1, len(self._frames)), sum(totals[each] for each in left),
            sum(cpus[each] for each in left), sum(self._tree.nodes[each].hits for each in left),
            n=max(self._tree.nodes[each].n for each in left), sd=-1, before=was,
        )  # fmt: skip

    def _row(  # noqa: PLR0913 - a row has that many columns
        self, depth: int, frame: int, own: float, cpu: float, hits: int, *, n: int, sd: float, before: float
    ) -> None:
        more = {"grouped": (n, sd), "diff": (before,)}.get(self._kind, ())
        self._rows.append((depth, frame, *map(round, (own, cpu, hits, *more))))

    def payload(self) -> dict[str, Any]:
        return {
            "kind": self._kind,
            "n": self._tree.n,
            "nBefore": self._before.n if self._before else 0,
            "leftOut": self._left_out,
            "frames": [self._frame(number) for number in self._frames],
            "groups": list(self._groups),
            **{name: [row[at] for row in self._rows] for at, name in enumerate(self._names)},
        }

    def _frame(self, number: int) -> list[Any]:
        if number < 0:
            return [SMALLER, "", 0, "", self._group(MARK)]
        line: CodeLine = self._tree.lines[number]
        source = (line.source or "").strip()[:_LONGEST_SOURCE]
        return [line.function, line.file, line.line, source, self._group(package(line))]

    def _group(self, name: str) -> int:
        return self._groups.setdefault(name, len(self._groups))
