"""The stacks of one request, folded into a tree with its times."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

    from fmd_otel.profiler.walker import Stack

MOST_NODES = 2048
"""Beyond these, what is deeper is summed up in one node below each of them that has more."""
ROOT = 0
"""The request itself."""
CUT = -2
"""Position of the node that stands for outer frames that were not looked at."""
ELSEWHERE = -3
"""Position of the node for time in which none of the request's own code was on the stack."""
DEFINITION = -4
"""Position of a node that stands for a function as a whole, not for one of its instructions."""


class Trie:
    """A tree of call paths: each node is an instruction, below the one that called its function.

    An instruction is known by where its code object lies and the position in it: no name or line is looked
    up while the request runs. The nodes keep their code objects, so that no address means another function.
    """

    __slots__ = ("_children", "codes", "cpu_ns", "hits", "is_full", "parents", "positions", "wall_ns")

    def __init__(self) -> None:
        """Begin with the request alone."""
        self.parents = [-1]
        self.codes: list[CodeType | None] = [None]
        self.positions = [-1]
        self.wall_ns = [0]
        self.cpu_ns = [0]
        self.hits = [0]
        self.is_full = False
        """Something had no room and went to the nearest node that had."""
        self._children: dict[tuple[int, int, int], int] = {}

    def __len__(self) -> int:
        """Return the number of nodes, the request itself included."""
        return len(self.parents)

    def leaf(self, stack: Stack, start: int = ROOT) -> int:
        """Return the node of a stack that stands on ``start``, making what is missing."""
        codes, positions, is_whole, is_cut = stack
        children = self._children
        node = start
        if is_cut:
            node = self.child(node, None, CUT)
        elif not is_whole:
            # Not the request's own doing: its server's, between two parts of the body.
            return self.child(node, None, ELSEWHERE)
        for index in range(len(codes) - 1, -1, -1):
            code = codes[index]
            found = children.get((node, id(code), positions[index]))
            if found is None:
                if len(self.parents) >= MOST_NODES:
                    self.is_full = True
                    return self.child(node, None, CUT)
                found = self._add(node, code, positions[index])
            node = found
        return node

    def child(self, parent: int, code: CodeType | None, position: int) -> int:
        """Return a node below another one, making it if it is missing."""
        found = self._children.get((parent, id(code), position))
        return self._add(parent, code, position) if found is None else found

    def _add(self, parent: int, code: CodeType | None, position: int) -> int:
        node = len(self.parents)
        self._children[parent, id(code), position] = node
        self.parents.append(parent)
        self.codes.append(code)
        self.positions.append(position)
        self.wall_ns.append(0)
        self.cpu_ns.append(0)
        self.hits.append(0)
        return node

    def add(self, node: int, wall_ns: int, cpu_ns: int = 0) -> None:
        """Give a node time of its own, part of which it was on the CPU."""
        self.wall_ns[node] += wall_ns
        self.cpu_ns[node] += cpu_ns

    def path(self, node: int) -> list[int]:
        """Return the nodes from the outermost one to this one, the request itself left out."""
        nodes = []
        while node > ROOT:
            nodes.append(node)
            node = self.parents[node]
        nodes.reverse()
        return nodes
