"""What became slower between two trees, and by which line.

Both are means: time of a request on average, so that a thousand profiles can be held against ten. A line is
the same line where file, function and text are the same, whatever its number: code moves down when something
is put in above it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_dash.stats.trees import Node, Tree, each, own_times

if TYPE_CHECKING:
    from fmd_otel_exporter.records import CodeLine

FEW_PROFILES = 10
"""On either side; what fewer differ by may be chance alone."""


class LineChange(NamedTuple):
    """What one line took before and after, without what it called."""

    line: CodeLine
    before_us: float
    after_us: float

    @property
    def delta_us(self) -> float:
        """How much more it takes now; negative: less."""
        return self.after_us - self.before_us


@dataclass(frozen=True)
class Difference:
    """Two trees of one shape: the same nodes in the same order, each with what it took before and after."""

    before: Tree
    after: Tree

    @property
    def delta_us(self) -> float:
        """How much longer a request takes now."""
        return self.after.total_us - self.before.total_us

    @cached_property
    def removed(self) -> tuple[int, ...]:
        """Nodes that took time before and take none now; of a branch, the first."""
        return self._only(self.before, self.after)

    @cached_property
    def added(self) -> tuple[int, ...]:
        """Nodes that take time now and took none before; of a branch, the first."""
        return self._only(self.after, self.before)

    @cached_property
    def lines(self) -> tuple[LineChange, ...]:
        """Own time of every line, what became slower first."""
        before, after = own_times(self.before), own_times(self.after)
        found = [
            LineChange(line, before[number], after[number])
            for number, line in enumerate(self.after.lines)
            if before[number] or after[number]
        ]
        return tuple(sorted(found, key=lambda change: -change.delta_us))

    @staticmethod
    def _only(there: Tree, absent: Tree) -> tuple[int, ...]:
        found = []
        for index, node in enumerate(there.nodes):
            gone = there.totals_us[index] > 0 and absent.totals_us[index] == 0
            inherited = node.parent >= 0 and there.totals_us[node.parent] > 0 == absent.totals_us[node.parent]
            if gone and not inherited:
                found.append(index)
        return tuple(sorted(found, key=lambda index: -there.totals_us[index]))


def difference(before: Tree, after: Tree) -> Difference:
    """Lay two trees over each other; both become means over their requests."""
    same = _same_lines(before.lines, after.lines)
    lines = list(after.lines)
    number_of = {line: number for number, line in enumerate(lines)}
    for line in before.lines:
        if line not in same:
            number_of[line] = len(lines)
            lines.append(line)
    known: dict[tuple[int, int], int] = {}
    shape: list[tuple[int, int]] = []
    times: list[list[Node]] = []

    def lay(tree: Tree, numbers: list[int]) -> dict[int, Node]:
        at: list[int] = []
        found: dict[int, Node] = {}
        for node in each(tree).nodes:
            key = (at[node.parent] if node.parent >= 0 else -1, numbers[node.line])
            if key not in known:
                known[key] = len(shape)
                shape.append(key)
            index = known[key]
            at.append(index)
            put = node._replace(parent=key[0], line=key[1])
            into = found.get(index)
            found[index] = put if into is None else _sum(into, put)
        return found

    laid = [
        lay(after, [number_of[line] for line in after.lines]),
        lay(before, [number_of[same.get(line, line)] for line in before.lines]),
    ]
    times = [
        [found.get(index) or Node(parent, line, 0, 0, 0, 0) for index, (parent, line) in enumerate(shape)]
        for found in laid
    ]
    return Difference(
        before=Tree(tuple(lines), tuple(times[1]), before.n),
        after=Tree(tuple(lines), tuple(times[0]), after.n),
    )


def _sum(one: Node, other: Node) -> Node:
    return Node(
        one.parent, one.line, one.self_us + other.self_us, one.cpu_us + other.cpu_us, one.hits + other.hits,
        max(one.n, other.n),
    )  # fmt: skip


def _same_lines(before: tuple[CodeLine, ...], after: tuple[CodeLine, ...]) -> dict[CodeLine, CodeLine]:
    """Return for each line of before what it is in after, where it is there.

    First the lines that did not move; the others of the same function and text in the order of their numbers.
    """
    unmoved = set(before) & set(after)
    moved: dict[tuple[str, str, str], list[CodeLine]] = defaultdict(list)
    for line in sorted(set(after) - unmoved, key=lambda line: line.line):
        moved[_identity(line)].append(line)
    found = {line: line for line in unmoved}
    for line in sorted(set(before) - unmoved, key=lambda line: line.line):
        candidates = moved.get(_identity(line))
        if candidates:
            found[line] = candidates.pop(0)
    return found


def _identity(line: CodeLine) -> tuple[str, str, str]:
    return line.file, line.function, (line.source or "").strip()
