"""Beginning anew in a process that was forked without Python's hooks, as servers written in C do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fmd_otel_exporter.native import allocate_rlock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Forks:
    """Has an object begin anew once, of however many threads find out that this is another process."""

    def __init__(self) -> None:
        """Have noticed nothing yet."""
        # By the process: whoever holds one in the parent does not exist here.
        self._noticing: dict[int, AbstractContextManager[object]] = {}

    def notice(self, known_pid: Callable[[], int], begin_anew: Callable[[], None]) -> None:
        """Begin anew, unless another thread has done so already; returns when it has.

        Args:
            known_pid: Returns the process that the object believes to be in, which ``begin_anew`` sets last:
                whoever finds it right goes on with the rest.
            begin_anew: Is called once in a process; may come here again, in a finaliser, say.
        """
        pid = os.getpid()
        with self._noticing.setdefault(pid, allocate_rlock()):
            if known_pid() != pid:
                begin_anew()
