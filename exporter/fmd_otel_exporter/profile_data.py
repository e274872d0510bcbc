"""Profiles as numbers: what a call path is known by, and how those of one request are packed.

A *line* is known by a hash of what it says and where it stands, a *stack* by a hash of its caller's stack and
its line: the same path is the same number in all processes and releases, and equal profiles share all but
their times.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.records import TRUNCATED, CodeLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fmd_otel_exporter.records import ProfileRecord

NO_STACK = 0
"""Whoever has this one for a caller is called by nobody of ours."""
TRUNCATED_LINE = CodeLine("", TRUNCATED, 0, None, in_app=False)
DEEPEST = 10_000
_MASK = 2**63 - 1
_UNPRICED = bytes((1,))
_PRICED = bytes((2,))
_ID_BYTES = 8
_MORE = 0x80
_LONGEST_US = 366 * 86_400 * 1_000_000


class ProfileDataError(FmdOtelError):
    """Stored bytes that are no profile."""


class Leaf(NamedTuple):
    """Time spent at the end of a call path, as it is stored."""

    stack_id: int
    self_us: int
    self_cpu_us: int
    hits: int


class PathNode(NamedTuple):
    """A call path of one request."""

    parent_id: int
    line_id: int
    depth: int
    self_us: int
    self_cpu_us: int
    hits: int
    total_us: int
    """With all that it called."""


Trie = dict[int, PathNode]
"""By stack id, callers before callees."""


def line_id(line: CodeLine) -> int:
    """Return what a line is known by."""
    text = f"{line.file}\0{line.function}\0{line.line}\0{line.in_app:d}\0{line.source!r}"
    return _id(text.encode("utf-8", "surrogatepass"))


def stack_id(parent_id: int, line: int) -> int:
    """Return what a call path is known by."""
    return _id(b"%x %x" % (parent_id, line))


def _id(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=_ID_BYTES).digest(), "big") & _MASK or 1


class LineIds(dict[CodeLine, int]):
    """Ids of lines, worked out once each."""

    def __missing__(self, line: CodeLine) -> int:
        """Work one out."""
        found = self[line] = line_id(line)
        return found


class StackIds(dict[tuple[int, int], int]):
    """Ids of call paths, by caller and line, worked out once each."""

    def __missing__(self, where: tuple[int, int]) -> int:
        """Work one out."""
        found = self[where] = stack_id(*where)
        return found


def trie_of(record: ProfileRecord, lines: LineIds, stacks: StackIds) -> Trie:
    """Return the call paths of a request; what took no time and was never seen is left out.

    Raises:
        ValueError: Its nodes are no tree.
    """
    line_ids = [lines[line] for line in record.lines]
    stack_ids: list[int] = []
    found: _Growing = {}
    for index, (parent, line, us, cpu_us, hits) in enumerate(record.nodes):
        if not (-1 <= parent < index and 0 <= line < len(line_ids)):
            raise ValueError(f"node {index} of a profile has caller {parent} and line {line}")
        parent_id, depth = NO_STACK, 1
        if parent >= 0:
            parent_id = stack_ids[parent]
            depth = found[parent_id][2] + 1
            if depth > DEEPEST:
                raise ValueError(f"a profile is deeper than {DEEPEST} calls")
        own = stacks[parent_id, line_ids[line]]
        stack_ids.append(own)
        if not 0 <= us <= _LONGEST_US:
            us = 0 if us < 0 else _LONGEST_US  # noqa: PLW2901 # the hot path of the background thread
        if not 0 <= cpu_us <= us:
            cpu_us = 0 if cpu_us < 0 else us  # noqa: PLW2901 # as above
        _add(found, own, [parent_id, line_ids[line], depth, us, cpu_us, max(0, hits)])
    return _with_totals(found)


_Growing = dict[int, list[int]]
"""As a trie, but without totals."""


def _add(found: _Growing, own: int, new: list[int]) -> None:
    node = found.get(own)
    if node is None:
        found[own] = new
    else:
        node[3] += new[3]
        node[4] += new[4]
        node[5] += new[5]


def _with_totals(found: _Growing) -> Trie:
    """Return call paths with the time of all that they called; callers stand before callees."""
    for node in found.values():
        node += (node[3], node[5])  # noqa: PLW2901 # longer by what comes with its callees
    for node in reversed(found.values()):
        if node[0] != NO_STACK:
            caller = found[node[0]]
            caller[6] += node[6]
            caller[7] += node[7]
    return {own: PathNode(*node[:7]) for own, node in found.items() if node[6] or node[7]}


def fold(trie: Trie, keep: Callable[[int], bool], stacks: StackIds, truncated: int) -> Trie:
    """Return the call paths that are kept; what lies beyond is their caller's, as one line ``[truncated]``.

    Args:
        trie: The call paths of a request.
        keep: Tells whether one is kept; its callers must be, too.
        stacks: Ids of call paths.
        truncated: The id of that line.
    """
    put: dict[int, int] = {NO_STACK: NO_STACK}
    folded: dict[int, tuple[int, ...]] = {}
    found: _Growing = {}
    for own, node in trie.items():
        parent = put[node.parent_id]
        if parent in folded:
            into = parent
        elif keep(own):
            into = own
        else:
            into = stacks[parent, truncated]
            folded[into] = (parent, truncated, node.depth)
        put[own] = into
        _add(found, into, [*folded.get(into, (parent, node.line_id, node.depth)), *node[3:6]])
    return _with_totals(found)


# Packed: a byte for the layout, in the second one what it took to make the profile, then for each path that
# ended somewhere its id and three numbers, each of these in as few bytes as it takes. Ids are random and
# times nearly so: nothing is left to compress.


def pack(trie: Trie, price_us: int = 0) -> bytes:
    """Return the times of a request, and the price of its profile; callers are known by the stacks."""
    data = bytearray(_PRICED)
    _add_number(data, min(max(price_us, 0), _LONGEST_US))
    for own, node in trie.items():
        if node.self_us or node.hits:
            data += own.to_bytes(_ID_BYTES, "big")
            for number in (node.self_us, node.self_cpu_us, node.hits):
                _add_number(data, number)
    return bytes(data)


def _add_number(data: bytearray, number: int) -> None:
    while number >= _MORE:
        data.append(number & (_MORE - 1) | _MORE)
        number >>= 7
    data.append(number)


def unpack(data: bytes) -> list[Leaf]:
    """Return what :func:`pack` has packed, in its order: callers before callees.

    Raises:
        ProfileDataError: It has packed nothing of the kind.
    """
    leaves: list[Leaf] = []
    _, position = _begun(data)
    try:
        while position < len(data):
            own = int.from_bytes(data[position : position + _ID_BYTES], "big")
            position += _ID_BYTES
            numbers = []
            for _ in range(3):
                number, position = _number(data, position)
                numbers.append(number)
            leaves.append(Leaf(own, *numbers))
    except IndexError:
        raise ProfileDataError("a stored profile is cut off") from None
    return leaves


def price_us_of(data: bytes) -> int | None:
    """Return what it took to make a profile; None where nobody has measured it.

    Raises:
        ProfileDataError: It is none.
    """
    return _begun(data)[0] or None


def _begun(data: bytes) -> tuple[int, int]:
    """Return the price, and where the first path begins."""
    layout = data[:1]
    if layout == _UNPRICED:
        return 0, 1
    if layout != _PRICED:
        raise ProfileDataError(f"a stored profile is of layout {layout.hex() or 'none'}, unknown here")
    try:
        return _number(data, 1)
    except IndexError:
        raise ProfileDataError("a stored profile is cut off") from None


def _number(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[position]
        position += 1
        number |= (byte & (_MORE - 1)) << shift
        if byte < _MORE:
            return number, position
        shift += 7


def added_up(tries: Iterable[Trie]) -> dict[int, list[int]]:
    """Return what stands in the sums of a day for each path: n, hits, own time and CPU, total, its square."""
    sums: dict[int, list[int]] = {}
    for trie in tries:
        for own, node in trie.items():
            total = node.total_us
            found = sums.get(own)
            if found is None:
                sums[own] = [1, node.hits, node.self_us, node.self_cpu_us, total, total * total]
                continue
            found[0] += 1
            found[1] += node.hits
            found[2] += node.self_us
            found[3] += node.self_cpu_us
            found[4] += total
            found[5] += total * total
    return sums
