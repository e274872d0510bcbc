"""What the time between two looks at a thread was spent on.

The elapsed time is known, and by the thread's CPU clock how much of it was computing. A look at one that
computes says what it computed; a look at one that waits says what it waited for, and nothing of computing: a
thread that computes for less than the interpreter's switch interval (5 ms) at a time is never seen at it, as
it is only interrupted after that. What it computed between two waits is real, and cannot be placed any deeper
than in the function that was surely running all the while. It is kept apart for that reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fmd_otel.profiler.trie import DEFINITION, ROOT

if TYPE_CHECKING:
    from fmd_otel.profiler.bytecode import Loops
    from fmd_otel.profiler.trie import Trie

NEGLIGIBLE = 0.02
"""Waiting costs some CPU by itself: less than this share of an interval is no computing of its own."""


class Look:
    """What one look at a thread found."""

    __slots__ = ("node", "thread_id", "waits")

    def __init__(self, node: int, *, waits: bool, thread_id: int = -1) -> None:
        """Note the innermost node, whether the thread waited there, and which thread it was."""
        self.node = node
        self.waits = waits
        self.thread_id = thread_id

    def is_of(self, thread_id: int) -> bool:
        """Tell whether it was a look at this thread, and not at another one that did the work before."""
        return self.thread_id == thread_id


class Unplaced(NamedTuple):
    """Between which two looks something was computed that neither of them saw."""

    earlier: int
    later: int


class Pace:
    """How much of the time in which threads want to compute they do; else they wait for the GIL or a core.

    Where two looks find a thread computing, it wanted to all the while, most likely. Seldom it did not, and
    that only makes the pace look slower than it is: so it follows a quick interval soon, and a slow one late.
    """

    __slots__ = ("share",)

    def __init__(self) -> None:
        """Begin with a thread that has a core of its own."""
        self.share = 1.0

    def note(self, wall_ns: int, cpu_ns: int) -> None:
        """Learn from an interval at both ends of which a thread was computing."""
        if wall_ns:
            share = max(cpu_ns / wall_ns, _SLOWEST)
            self.share += (share - self.share) * (_SOON if share > self.share else _LATE)

    def time_for(self, cpu_ns: int, wall_ns: int) -> int:
        """Return how long so much computing took, of some time that is known."""
        return min(int(cpu_ns / self.share), wall_ns)


_SLOWEST = 0.01
_SOON, _LATE = 0.3, 0.1

Between = dict["Unplaced", list[int]]
"""Computing that no look has seen: its wall and its CPU time, by the looks it lies between."""


def credit(  # noqa: PLR0913, PLR0917 # all that it depends on
    trie: Trie, unplaced: Between, looks: tuple[Look, Look], wall_ns: int, cpu_ns: int, pace: Pace
) -> None:
    """Give the time between two looks to the nodes it was spent in.

    Args:
        trie: The request's.
        unplaced: Where computing goes that no look has seen; see ``place_computing``.
        looks: The earlier and the later one.
        wall_ns: Time between them.
        cpu_ns: The part of it that the thread was on the CPU.
        pace: How long computing takes just now.
    """
    earlier, later = looks
    cpu_ns = min(max(cpu_ns, 0), wall_ns)
    if not earlier.waits and not later.waits:
        pace.note(wall_ns, cpu_ns)
        half_ns, half_cpu_ns = wall_ns // 2, cpu_ns // 2
        trie.add(earlier.node, half_ns, half_cpu_ns)
        trie.add(later.node, wall_ns - half_ns, cpu_ns - half_cpu_ns)
        return
    computed_ns = pace.time_for(cpu_ns, wall_ns)
    waited_ns = wall_ns - computed_ns
    # Before the first look there was nothing to see.
    first = later if earlier.node == ROOT else earlier
    if earlier.waits and later.waits:
        half_ns = waited_ns // 2
        trie.add(first.node, half_ns)
        trie.add(later.node, waited_ns - half_ns)
        if cpu_ns <= wall_ns * NEGLIGIBLE:
            trie.add(later.node, computed_ns, cpu_ns)
        else:
            leave_unplaced(unplaced, Unplaced(earlier.node, later.node), computed_ns, cpu_ns)
    elif later.waits:
        trie.add(earlier.node, computed_ns, cpu_ns)
        trie.add(later.node, waited_ns)
    else:
        trie.add(first.node, waited_ns)
        trie.add(later.node, computed_ns, cpu_ns)


def credit_unmeasured(trie: Trie, looks: tuple[Look, Look], wall_ns: int) -> None:
    """Give the time between two looks to both by halves, where nobody knows how much of it was computing."""
    earlier, later = looks
    half_ns = wall_ns // 2
    trie.add(later.node if earlier.node == ROOT else earlier.node, half_ns)
    trie.add(later.node, wall_ns - half_ns)


def leave_unplaced(unplaced: Between, between: Unplaced, wall_ns: int, cpu_ns: int) -> None:
    """Keep computing that no look has seen."""
    sums = unplaced.setdefault(between, [0, 0])
    sums[0] += wall_ns
    sums[1] += cpu_ns


def place_computing(trie: Trie, between: Unplaced, loops: Loops) -> int:
    """Return the deepest node in which computing between two looks surely was.

    Frames that both looks share were there all the time, unless one of them was left and entered again: that
    takes a loop in a frame further out. So the outermost frame that loops is the last one to be sure of.
    """
    earlier, later = trie.path(between.earlier), trie.path(between.later)
    shared = 0
    for one, other in zip(earlier, later, strict=False):
        if one != other:
            break
        shared += 1
    for index in range(shared):
        node = later[index]
        code = trie.codes[node]
        if code is not None and loops.contains(code, trie.positions[node]):
            return _function_of(trie, node)
    if between.earlier == between.later:
        return between.later  # the same call all the time
    if shared < min(len(earlier), len(later)):
        one, other = earlier[shared], later[shared]
        if trie.codes[one] is trie.codes[other] and trie.codes[one] is not None:
            return _function_of(trie, other)  # the same function, further on
    return later[shared - 1] if shared else ROOT


def _function_of(trie: Trie, node: int) -> int:
    """Return the node that stands for the whole function an instruction is in."""
    return trie.child(trie.parents[node], trie.codes[node], DEFINITION)
