"""From a frame to the stack it stands on, by reading and nothing else.

The thread may run on while its frames are read: each attribute is read once, no local is touched, and no
frame is kept (it would keep the locals of the request alive).
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import nullcontext
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container
    from contextlib import AbstractContextManager
    from types import CodeType, FrameType

MOST_FRAMES = 256


class Stack(NamedTuple):
    """A call stack, innermost first: what each frame runs, and where in it."""

    codes: list[CodeType]
    positions: list[int]
    is_whole: bool
    """It reaches down to where the request began; otherwise its outer part is missing or is not ours."""
    is_cut: bool = False
    """There are more frames than are looked at."""


def walk(frame: FrameType | None, bases: Container[int], most: int = MOST_FRAMES) -> Stack:
    """Read a stack down to a base.

    Args:
        frame: The innermost frame.
        bases: Identities of the code objects at which a request begins; their frames are left out.
        most: Frames to read at the most.
    """
    codes: list[CodeType] = []
    positions: list[int] = []
    while frame is not None:
        code = frame.f_code
        if id(code) in bases:
            return Stack(codes, positions, is_whole=True)
        if len(codes) >= most:
            return Stack(codes, positions, is_whole=False, is_cut=True)
        codes.append(code)
        positions.append(frame.f_lasti)
        frame = frame.f_back
    return Stack(codes, positions, is_whole=False)


def without_outer(stack: Stack, outer: int) -> Stack:
    """Return a stack that was read to its end without its outermost frames, which are not the request's."""
    if stack.is_whole or stack.is_cut:
        return stack
    rest = len(stack.codes) - outer
    if rest <= 0:
        return stack  # it has returned to where it was called from
    return Stack(stack.codes[:rest], stack.positions[:rest], is_whole=True)


def _current_frames_without_collection() -> dict[int, FrameType]:
    """Keep the garbage collector out of the call.

    Before 3.11.12 it may run inside, call finalisers that give the GIL away, and lock up the interpreter
    (python/cpython#106883). From 3.12 on it only runs between instructions.
    """
    if not gc.isenabled():
        return sys._current_frames()  # noqa: SLF001 # documented, underscore and all
    gc.disable()
    try:
        return sys._current_frames()  # noqa: SLF001 # documented, underscore and all
    finally:
        gc.enable()


class _CollectorAtRest:
    """The garbage collector kept out while other threads' stacks are read; for one thread, not nested.

    Before 3.12, Python makes the object of a frame that is read when it is asked for, and allocating it may
    start a collection. Finalisers then give the GIL away, the other thread returns from that very frame, and
    Python goes on to write into memory that has another owner by now. From 3.12 on collections start between
    instructions only.
    """

    def __init__(self) -> None:
        self._is_off = False

    def __enter__(self) -> None:
        if gc.isenabled():
            self._is_off = True
            gc.disable()

    def __exit__(self, *_exc: object) -> None:
        self.end()

    def end(self) -> None:
        """Let it work again; also in a process that was forked in the meantime."""
        if self._is_off:
            self._is_off = False
            gc.enable()


def _collector_at_rest() -> AbstractContextManager[None]:
    if sys.version_info >= (3, 12):
        return nullcontext()
    guard = _CollectorAtRest()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=guard.end)
    return guard


collector_at_rest = _collector_at_rest()
"""What the one thread that reads other threads' stacks does so within."""
_IS_SAFE = sys.version_info >= (3, 11, 12)
current_frames = sys._current_frames if _IS_SAFE else _current_frames_without_collection  # noqa: SLF001 # the same
"""Return the innermost frame of every thread, by the thread's real identity."""
