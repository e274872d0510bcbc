"""Calls at which threads wait, told from those at which they are merely interrupted.

The interpreter takes the GIL away from a thread also when a call has returned: a thread seen at a call may be
waiting in it, or computing beside it. Two things tell these apart. A thread that waits for the GIL wakes up
after every switch interval to ask for it again, which moves its CPU clock: one whose clock stands still for
longer waits for something else. And as long as some thread computes, the sampler itself gets the GIL late: a
call at which threads are mostly seen when it came at once is one at which they wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType

_MOST = 4096
_ENOUGH_LOOKS = 4
_SHARE = 0.5
_FADE = 64
"""After so many looks half of what was learnt is forgotten: the same call may come to do something else."""


class _Site:
    __slots__ = ("code", "is_proven", "looks", "prompt")

    def __init__(self, code: CodeType) -> None:
        self.code = code  # kept with its id, which must not go to another one
        self.looks = 0
        self.prompt = 0
        self.is_proven = False


class WaitingSites:
    """What is known of the calls that threads of this process were seen at."""

    def __init__(self) -> None:
        """Know nothing."""
        self._sites: dict[tuple[int, int], _Site] = {}

    def _site(self, code: CodeType, position: int) -> _Site:
        site = self._sites.get((id(code), position))
        if site is None:
            if len(self._sites) >= _MOST:
                self._sites.clear()
            site = self._sites[id(code), position] = _Site(code)
        return site

    def prove(self, code: CodeType, position: int) -> None:
        """Note that a thread's clock has stood still there for long."""
        self._site(code, position).is_proven = True

    def waits(self, code: CodeType, position: int, *, is_prompt: bool) -> bool:
        """Note a look at a thread there, and tell whether it waits.

        Args:
            code: The function.
            position: The instruction.
            is_prompt: The sampler got the GIL at once.
        """
        site = self._site(code, position)
        site.looks += 1
        site.prompt += is_prompt
        if site.looks >= _FADE:
            site.looks //= 2
            site.prompt //= 2
        if site.is_proven:
            return True
        return site.prompt >= site.looks * _SHARE if site.looks >= _ENOUGH_LOOKS else is_prompt
