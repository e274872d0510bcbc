"""A request's profile as it is handed to the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmd_otel.profiler.credit import place_computing
from fmd_otel.profiler.exact import ExactProfile
from fmd_otel.profiler.trie import CUT, ELSEWHERE, ROOT
from fmd_otel_exporter.records import ON_CPU, TRUNCATED, CodeLine, ProfileNode, ProfileRecord

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmd_otel.profiler.bytecode import Loops
    from fmd_otel.profiler.lines import LineResolver
    from fmd_otel.profiler.sampler import Profile
    from fmd_otel.profiler.trie import Trie

SENDING = "[sending]"
"""Function of the synthetic line for time in the server, between two parts of the body."""
REQUEST = "[request]"
"""Function of the synthetic line for time of a request of which nothing more is known."""

_SHORTEST_NS = 1000


class Identity(NamedTuple):
    """Which request a profile is of: as its own record says."""

    service: str
    endpoint: str
    version: str
    ts_us: int
    span_id: bytes
    trace_id: bytes
    duration_us: int


def profile_record(
    identity: Identity, profile: Profile, resolver: LineResolver, loops: Loops
) -> ProfileRecord | None:
    """Put together what was learnt of a request; None if that is nothing."""
    trie = profile.trie
    if trie is None:
        return None
    tree = _LineTree(trie, resolver)
    for between, (wall_ns, cpu_ns) in sorted(profile.unplaced.items()):
        parent = tree.node_of(place_computing(trie, between, loops))
        tree.add_synthetic(parent, ON_CPU, wall_ns, cpu_ns)
    tree.add_synthetic(-1, REQUEST, trie.wall_ns[ROOT], trie.cpu_ns[ROOT])
    nodes = tuple(tree.nodes())
    return ProfileRecord(
        *identity,
        cpu_us=sum(node.self_cpu_us for node in nodes),
        samples=profile.samples,
        period_us=0 if isinstance(profile, ExactProfile) else profile.period_ns // 1000,
        exact=profile.exact,
        truncated=trie.is_full or CUT in trie.positions,
        lines=tuple(tree.lines),
        nodes=nodes,
    )


class _LineTree:
    """The tree of instructions, made a tree of lines."""

    def __init__(self, trie: Trie, resolver: LineResolver) -> None:
        self._trie = trie
        self._resolver = resolver
        self._lines: dict[CodeLine, int] = {}
        self._places: dict[tuple[int, int], int] = {}
        self._sums: list[list[int]] = []
        """Wall time, CPU time and hits of each node of lines."""
        self._node_of = [-1]
        """Of each node of instructions; the request as a whole is no line."""
        for node in range(1, len(trie)):
            mine = self.node_of(node)
            self._add(mine, trie.wall_ns[node], trie.cpu_ns[node], trie.hits[node])

    @property
    def lines(self) -> list[CodeLine]:
        return list(self._lines)

    def nodes(self) -> Iterator[ProfileNode]:
        for (parent, line), (wall_ns, cpu_ns, hits) in zip(self._places, self._sums, strict=True):
            yield ProfileNode(parent, line, wall_ns // 1000, min(cpu_ns, wall_ns) // 1000, hits)

    def node_of(self, node: int) -> int:
        """Return the node of lines for one of instructions; parents come before their children in both."""
        while node >= len(self._node_of):
            new = len(self._node_of)
            parent = self._node_of[self._trie.parents[new]]
            self._node_of.append(self._place(parent, self._line_of(new)))
        return self._node_of[node]

    def add_synthetic(self, parent: int, function: str, wall_ns: int, cpu_ns: int) -> None:
        if wall_ns >= _SHORTEST_NS:
            node = self._place(parent, CodeLine("", function, 0, None, in_app=False))
            self._add(node, wall_ns, cpu_ns, 0)

    def _line_of(self, node: int) -> CodeLine:
        code, position = self._trie.codes[node], self._trie.positions[node]
        if code is None:
            function = SENDING if position == ELSEWHERE else TRUNCATED
            return CodeLine("", function, 0, None, in_app=False)
        return self._resolver.line_at(code, position)

    def _place(self, parent: int, line: CodeLine) -> int:
        number = self._lines.setdefault(line, len(self._lines))
        node = self._places.setdefault((parent, number), len(self._places))
        if node == len(self._sums):
            self._sums.append([0, 0, 0])
        return node

    def _add(self, node: int, wall_ns: int, cpu_ns: int, hits: int) -> None:
        sums = self._sums[node]
        sums[0] += wall_ns
        sums[1] += cpu_ns
        sums[2] += hits
