"""Call paths of stored profiles: from numbers back to lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select

from fmd_otel_dash.queries.statements import Statement, any_of, built_once
from fmd_otel_dash.stats.trees import Node, Tree
from fmd_otel_exporter.profile_data import NO_STACK
from fmd_otel_exporter.records import CodeLine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.profile_data import Leaf
    from fmd_otel_exporter.schema import Tables

_CHUNK = 500
_UNKNOWN = CodeLine("", "[forgotten]", 0, None, in_app=False)
"""A line that retention has taken while something still spoke of it."""


class Sums(NamedTuple):
    """What is known of one call path over several requests."""

    n: int = 0
    hits: int = 0
    self_us: int = 0
    cpu_us: int = 0
    total_us2: float = 0.0


class Stack(NamedTuple):
    """Who calls a call path, and from which line."""

    parent_id: int
    line_id: int
    depth: int


Added = tuple[Mapping[int, Stack], Mapping[int, Sums], int]
"""Call paths, what they come to, and of how many requests."""


def tree_of(conn: Connection, tables: Tables, profiles: Sequence[Sequence[Leaf]]) -> Tree:
    """Return single profiles as one tree."""
    return trees_of(conn, tables, {0: profiles})[0]


def trees_of(
    conn: Connection, tables: Tables, profiles: Mapping[int, Sequence[Sequence[Leaf]]]
) -> dict[int, Tree]:
    """Return single profiles as trees, one for each of whatever they are sorted by."""
    leaves = (leaf for each in profiles.values() for found in each for leaf in found)
    stacks = _stacks(conn, tables, {leaf.stack_id for leaf in leaves})
    added = {owner: (stacks, _added_up(stacks, each), len(each)) for owner, each in profiles.items()}
    return trees_from(conn, tables, added)


def trees_from(conn: Connection, tables: Tables, added: Mapping[int, Added]) -> dict[int, Tree]:
    """Return sums of call paths as trees, one for each of whatever they are sorted by."""
    wanted = {stacks[at].line_id for stacks, sums, _ in added.values() for at in sums if at in stacks}
    lines = _lines(conn, tables, sorted(wanted))
    return {owner: _tree(*each, lines) for owner, each in added.items()}


def _added_up(stacks: Mapping[int, Stack], profiles: Sequence[Sequence[Leaf]]) -> dict[int, Sums]:
    sums: dict[int, list[float]] = defaultdict(lambda: [0, 0, 0, 0, 0.0])
    for leaves in profiles:
        totals: dict[int, int] = defaultdict(int)
        for leaf in leaves:
            own = sums[leaf.stack_id]
            own[1] += leaf.hits
            own[2] += leaf.self_us
            own[3] += leaf.self_cpu_us
            for at in _callers(stacks, leaf.stack_id):
                totals[at] += leaf.self_us
        for at, total_us in totals.items():
            found = sums[at]
            found[0] += 1
            found[4] += total_us * total_us
    return {at: Sums(int(f[0]), int(f[1]), int(f[2]), int(f[3]), f[4]) for at, f in sums.items()}


def _tree(
    stacks: Mapping[int, Stack], sums: Mapping[int, Sums], n: int, lines: Mapping[int, CodeLine]
) -> Tree:
    ordered = sorted((at for at in sums if at in stacks), key=lambda at: (stacks[at].depth, at))
    numbers: dict[int, int] = {}
    index_of: dict[int, int] = {}
    nodes: list[Node] = []
    for at in ordered:
        stack, found = stacks[at], sums[at]
        line = numbers.setdefault(stack.line_id, len(numbers))
        index_of[at] = len(nodes)
        nodes.append(
            Node(
                index_of.get(stack.parent_id, -1), line, found.self_us, found.cpu_us, found.hits, found.n,
                found.total_us2,
            )
        )  # fmt: skip
    return Tree(tuple(lines.get(each, _UNKNOWN) for each in numbers), tuple(nodes), n)


def _callers(stacks: Mapping[int, Stack], at: int) -> Iterator[int]:
    while at != NO_STACK and at in stacks:
        yield at
        at = stacks[at].parent_id


def _stacks(conn: Connection, tables: Tables, wanted: Collection[int]) -> dict[int, Stack]:
    """Return these call paths, and all that lead to them."""
    query = _some_stacks(tables.stack)
    known: dict[int, Stack] = {}
    missing = set(wanted)
    while missing:
        ids = sorted(missing)
        missing = set()
        for start in range(0, len(ids), _CHUNK):
            rows = conn.execute(query, {"ids": ids[start : start + _CHUNK]})
            known |= {row[0]: Stack(row[1], row[2], row[3]) for row in rows}
        missing = {
            known[at].parent_id for at in ids if at in known and known[at].parent_id != NO_STACK
        } - known.keys()
    return known


def _lines(conn: Connection, tables: Tables, ids: Sequence[int]) -> dict[int, CodeLine]:
    query = _some_lines(tables.code_line)
    chunks = (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
    return {
        own: CodeLine(file, function, line, source, bool(in_app))
        for chunk in chunks
        for own, file, function, line, source, in_app in conn.execute(query, {"ids": chunk})
    }


@built_once
def _some_lines(code_line: Table) -> Statement:
    c = code_line.c
    query = select(c.id, c.file, c.function, c.line, c.source, c.in_app)
    return query.where(c.id.in_(any_of("ids")))


@built_once
def _some_stacks(stack: Table) -> Statement:
    c = stack.c
    return select(c.id, c.parent_id, c.line_id, c.depth).where(c.id.in_(any_of("ids")))
