"""Where time went, as a tree of code lines: of one request, or of many laid over each other.

Times are microseconds; those of a tree that is a mean over many requests need not be whole. A node's own time
is ``self_us``, of which ``cpu_us`` on the CPU and the rest waiting; what its callees took comes on top.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import cached_property
from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_exporter.records import CodeLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

APP = "your code"
STDLIB = "standard library"
MARK = ""
"""Package of lines that are no code: "[on CPU]", "[truncated]", an endpoint's name."""

Path = tuple[CodeLine, ...]
"""From the outermost line to the one that is meant."""


class Node(NamedTuple):
    """One line of code, as called from one place."""

    parent: int
    """Index of the caller, which stands before it; -1 for what nobody calls."""
    line: int
    """Index of the line."""
    self_us: float
    cpu_us: float
    hits: int
    """How often it was seen."""
    n: int = 1
    """In how many of the requests it occurred; of nodes put together, in at least how many."""
    total_us2: float | None = None
    """Sum over the requests of the square of its time with callees. None where nodes were put together."""


@dataclass(frozen=True)
class Tree:
    """Nodes, callers before callees, and the lines they speak of."""

    lines: tuple[CodeLine, ...]
    nodes: tuple[Node, ...]
    n: int = 1
    """How many requests it is the sum of."""

    @cached_property
    def totals_us(self) -> tuple[float, ...]:
        """Time of each node with all that it called."""
        return self._with_callees([node.self_us for node in self.nodes])

    @cached_property
    def total_cpus_us(self) -> tuple[float, ...]:
        """Time on the CPU of each node with all that it called."""
        return self._with_callees([node.cpu_us for node in self.nodes])

    @property
    def total_us(self) -> float:
        """Time of all nodes."""
        return sum(node.self_us for node in self.nodes)

    @property
    def cpu_us(self) -> float:
        """Time on the CPU of all nodes."""
        return sum(node.cpu_us for node in self.nodes)

    def deviation_us(self, index: int) -> float | None:
        """Return the standard deviation of a node's time over the requests it occurred in."""
        node = self.nodes[index]
        if node.total_us2 is None or node.n < 2:  # noqa: PLR2004 - one request does not deviate
            return None
        mean = self.totals_us[index] / node.n
        return sqrt(max(0.0, node.total_us2 / node.n - mean * mean))

    def path(self, index: int) -> Path:
        """Return the lines from the outermost one to a node's."""
        found: list[CodeLine] = []
        while index >= 0:
            node = self.nodes[index]
            found.append(self.lines[node.line])
            index = node.parent
        return tuple(reversed(found))

    def _with_callees(self, own: list[float]) -> tuple[float, ...]:
        for index in range(len(self.nodes) - 1, -1, -1):
            parent = self.nodes[index].parent
            if parent >= 0:
                own[parent] += own[index]
        return tuple(own)


EMPTY = Tree((), (), 0)


def build(paths: Iterable[tuple[Sequence[CodeLine], float, float, int]], *, n: int = 1) -> Tree:
    """Return the tree of stacks: each with its own time, its time on the CPU, and how often it was seen."""
    lines: dict[CodeLine, int] = {}
    known: dict[tuple[int, int], int] = {}
    nodes: list[Node] = []
    for path, self_us, cpu_us, hits in paths:
        at = -1
        for line in path:
            number = lines.setdefault(line, len(lines))
            at = _child(nodes, known, at, number)
        if at >= 0:
            node = nodes[at]
            nodes[at] = node._replace(
                self_us=node.self_us + self_us, cpu_us=node.cpu_us + cpu_us, hits=node.hits + hits
            )
    return Tree(tuple(lines), tuple(nodes), n)


def merged(trees: Iterable[Tree]) -> Tree:
    """Return the sum of trees that speak of different requests."""
    lines: dict[CodeLine, int] = {}
    known: dict[tuple[int, int], int] = {}
    nodes: list[Node] = []
    n = 0
    for tree in trees:
        n += tree.n
        numbers = [lines.setdefault(line, len(lines)) for line in tree.lines]
        at: list[int] = []
        for node in tree.nodes:
            parent, number = (at[node.parent] if node.parent >= 0 else -1), numbers[node.line]
            key = (parent, number)
            index = known.get(key)
            if index is None:
                index = known[key] = len(nodes)
                nodes.append(Node(parent, number, *node[2:]))
            else:
                nodes[index] = _added(nodes[index], node)
            at.append(index)
    return Tree(tuple(lines), tuple(nodes), n)


def own_code(tree: Tree) -> Tree:
    """Return the tree without the lines of libraries: what they took is time of the line that called them.

    A tree that is all library is returned as it is: an empty one would tell nothing.
    """
    if not any(line.in_app for line in tree.lines):
        return tree
    return _joined(tree, lambda line: None if not line.in_app and package(line) != MARK else line)


def code_only(tree: Tree) -> Tree:
    """Return the tree without marks: time that no line is known for is time of the line above it."""
    return _joined(tree, lambda line: None if package(line) == MARK else line)


def settled(tree: Tree) -> Tree:
    """Return a tree of several versions with each line once, also where it moved down between them.

    A line is known by file, function and text, and gets the number under which it took the most time.
    """
    weight: dict[CodeLine, float] = dict.fromkeys(tree.lines, 0.0)
    for node in tree.nodes:
        weight[tree.lines[node.line]] += 1 + node.hits
    heaviest: dict[tuple[str, str, str], CodeLine] = {}
    for line in sorted(weight, key=lambda line: -weight[line]):
        heaviest.setdefault((line.file, line.function, line.source or f":{line.line}"), line)
    return _joined(
        tree,
        lambda line: heaviest[line.file, line.function, line.source or f":{line.line}"],
        disjoint=True,
    )


def by_function(tree: Tree) -> Tree:
    """Return the tree with all lines of a function as one, without a text and with the first number seen."""
    first: dict[tuple[str, str], CodeLine] = {}
    for line in sorted(tree.lines, key=lambda line: line.line):
        first.setdefault((line.file, line.function), line._replace(source=None))
    return _joined(tree, lambda line: first[line.file, line.function])


def under(named: Iterable[tuple[str, Tree]], *, n: int | None = None) -> Tree:
    """Return trees side by side, each under a line of its own that is no code: an endpoint's name."""
    lines: dict[CodeLine, int] = {}
    nodes: list[Node] = []
    covered = 0
    for text, tree in named:
        root = len(nodes)
        mark = CodeLine("", text, 0, None, in_app=False)
        nodes.append(Node(-1, lines.setdefault(mark, len(lines)), 0, 0, 0, tree.n))
        numbers = [lines.setdefault(line, len(lines)) for line in tree.lines]
        nodes += [
            Node(root + 1 + node.parent if node.parent >= 0 else root, numbers[node.line], *node[2:])
            for node in tree.nodes
        ]
        covered += tree.n
    return Tree(tuple(lines), tuple(nodes), covered if n is None else n)


def each(tree: Tree) -> Tree:
    """Return the tree of a request on average: all times over the number of requests."""
    over = max(1, tree.n)
    nodes = tuple(
        node._replace(self_us=node.self_us / over, cpu_us=node.cpu_us / over) for node in tree.nodes
    )
    return replace(tree, nodes=nodes)


def own_times(tree: Tree) -> list[float]:
    """Return the own time of each of a tree's lines, wherever it was called from."""
    found = [0.0] * len(tree.lines)
    for node in tree.nodes:
        found[node.line] += node.self_us
    return found


def package(line: CodeLine) -> str:
    """Return whose code a line is: the app's, the standard library's, a package's; of no code, nothing."""
    if not line.file:
        return MARK
    if line.in_app:
        return APP
    top = line.file.replace("\\", "/").lstrip("/").partition("/")[0]
    name = top.removesuffix(".py")
    return STDLIB if name in sys.stdlib_module_names or name.startswith("<") else name


def place(line: CodeLine) -> str:
    """Return where a line is: ``shop/cart.py:12``; nothing for what is no code."""
    return f"{line.file}:{line.line}" if line.file and line.line else line.file


def _joined(tree: Tree, name: Callable[[CodeLine], CodeLine | None], *, disjoint: bool = False) -> Tree:
    """Return the tree with lines by other names; what has none is added to its caller.

    Args:
        tree: the tree.
        name: says what a line shall be.
        disjoint: lines that become one are of different requests, so that these add up.
    """
    names = [name(line) for line in tree.lines]
    lines: dict[CodeLine, int] = {}
    known: dict[tuple[int, int], int] = {}
    nodes: list[Node] = []
    put: list[int] = []
    for node in tree.nodes:
        parent = put[node.parent] if node.parent >= 0 else -1
        wanted = names[node.line]
        if wanted is None and parent >= 0:
            into = nodes[parent]
            nodes[parent] = into._replace(
                self_us=into.self_us + node.self_us,
                cpu_us=into.cpu_us + node.cpu_us,
                hits=into.hits + node.hits,
            )
            put.append(parent)
            continue
        # A library that nobody of ours called stays: its time has to be somewhere.
        line = tree.lines[node.line] if wanted is None else wanted
        number = lines.setdefault(line, len(lines))
        at = known.setdefault((parent, number), len(nodes))
        if at == len(nodes):
            nodes.append(Node(parent, number, *node[2:]))
        else:
            into = nodes[at]
            nodes[at] = _added(into, node)
            if disjoint:
                nodes[at] = nodes[at]._replace(n=min(nodes[at].n, tree.n))
            else:
                nodes[at] = nodes[at]._replace(n=max(into.n, node.n), total_us2=None)
        put.append(at)
    return Tree(tuple(lines), tuple(nodes), tree.n)


def _added(one: Node, other: Node) -> Node:
    known = one.total_us2 is not None and other.total_us2 is not None
    return Node(
        one.parent,
        one.line,
        one.self_us + other.self_us,
        one.cpu_us + other.cpu_us,
        one.hits + other.hits,
        one.n + other.n,
        (one.total_us2 or 0) + (other.total_us2 or 0) if known else None,
    )


def _child(nodes: list[Node], known: dict[tuple[int, int], int], parent: int, line: int) -> int:
    at = known.get((parent, line))
    if at is None:
        at = known[parent, line] = len(nodes)
        nodes.append(Node(parent, line, 0, 0, 0))
    return at
