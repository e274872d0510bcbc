"""What the bytecode at a frame's position says about the moment it was seen at.

A sampler that is itself a Python thread sees another thread in one of two moments: the interpreter has just
taken the GIL away from it, which it does at a few instructions only, or it has given the GIL up by itself,
deep in a call that waits or that computes in C.
"""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

_TAKEN_AWAY = frozenset(
    number
    for name, number in dis.opmap.items()
    if name.startswith(("RESUME", "JUMP_BACKWARD", "JUMP_ABSOLUTE", "POP_JUMP_BACKWARD", "POP_JUMP_IF"))
)
"""Where the interpreter looks whether another thread wants the GIL, calls aside."""
_REAL_LOOP = frozenset(
    number
    for name, number in dis.opmap.items()
    if "JUMP" in name and name != "JUMP_BACKWARD_NO_INTERRUPT"  # that one is an await, not a loop
)


def was_computing(code: CodeType, position: int) -> bool:
    """Tell whether a thread seen at this instruction was surely computing, and not waiting in a call."""
    instructions = code.co_code
    return not 0 <= position < len(instructions) or instructions[position] in _TAKEN_AWAY


class Loops:
    """Which instructions lie inside a loop; worked out once for each function."""

    def __init__(self, most: int = 4096) -> None:
        """Remember so many functions."""
        self._most = most
        # The code object is kept beside the answer: its id must not go to another one.
        self._known: dict[int, tuple[CodeType, tuple[tuple[int, int], ...]]] = {}

    def contains(self, code: CodeType, position: int) -> bool:
        """Tell whether an instruction can be reached again from itself within its function."""
        known = self._known.get(id(code))
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            known = self._known[id(code)] = (code, _backward_jumps(code))
        return any(start <= position <= end for start, end in known[1])


def _backward_jumps(code: CodeType) -> tuple[tuple[int, int], ...]:
    return tuple(
        (each.argval, each.offset)
        for each in dis.get_instructions(code)
        if each.opcode in _REAL_LOOP and isinstance(each.argval, int) and each.argval <= each.offset
    )
