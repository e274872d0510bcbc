"""Which thread this is, and how much CPU time any thread has used.

A thread's own CPU clock is what tells computing from waiting. Where the platform has no such clock for other
threads (macOS, Windows), on-CPU time is known for a whole request only, not for its lines.
"""

from __future__ import annotations

import _thread
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NO_CLOCK = 0
"""Clock of a thread whose CPU time cannot be read from another one."""
_clock_of: Callable[[int], int] | None = getattr(time, "pthread_getcpuclockid", None)


def is_patched_by_gevent() -> bool:
    """Tell whether threads are greenlets here; gevent itself is never imported for it."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("threading"))


def _original_get_ident() -> Callable[[], int]:
    """Find the real function, also where gevent has put its own in its place before."""
    if is_patched_by_gevent():
        original: Callable[[], int] = sys.modules["gevent.monkey"].get_original("_thread", "get_ident")
        return original
    return _thread.get_ident


real_thread_id = _original_get_ident()
"""Return the thread's identity as the interpreter knows it, also where greenlets have some of their own."""


def own_clock() -> int:
    """Return the calling thread's CPU clock; asked of a thread that has ended it could crash the process."""
    return _clock_of(real_thread_id()) if _clock_of is not None else NO_CLOCK


own_cpu_ns = time.thread_time_ns
"""CPU time of the calling thread."""


def cpu_ns(clock: int) -> int | None:
    """Return the CPU time of a thread, or None when it has ended or has no clock."""
    if clock == NO_CLOCK:
        return None
    try:
        return time.clock_gettime_ns(clock)
    except OSError:
        return None
