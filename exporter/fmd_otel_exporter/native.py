"""Real operating-system threads and locks, also where gevent has replaced Python's.

Database drivers block in C. On a greenlet that would stop every request of the worker; on a real thread it
stops nobody, so the background thread is one whatever the server has patched.
"""

from __future__ import annotations

import _thread
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


def _original(name: str) -> Any:
    """Return what ``_thread`` held before gevent patched it; gevent itself is never imported from here."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        return monkey.get_original("_thread", name)
    return getattr(_thread, name)


def allocate_lock() -> _thread.LockType:
    """Return a lock that stops a thread, not a greenlet: for moments that a real thread and others share."""
    lock: _thread.LockType = _original("allocate_lock")()
    return lock


def allocate_rlock() -> AbstractContextManager[object]:
    """Return a lock for the same, which a thread that holds it may take again: in a finaliser, say."""
    lock: AbstractContextManager[object] = _original("RLock")()
    return lock


class Signal:
    """Wakes one waiting thread; safe to set from anywhere, signal handlers and finalisers included."""

    def __init__(self) -> None:
        """Start unset."""
        self._lock = _original("allocate_lock")()
        self._lock.acquire()

    def set(self) -> None:
        """Wake the waiter, or spare it its next wait."""
        try:
            self._lock.release()
        except RuntimeError:  # it is set already
            return

    def wait(self, timeout_s: float) -> None:
        """Return when set, or after a while."""
        self._lock.acquire(timeout=max(timeout_s, 0.0))


_NEVER_SET = Signal()
_GIVE_WAY_S = 0.00002


def give_way() -> None:
    """Let other threads run for a moment: a request that takes a millisecond shall not wait for several.

    Whoever wants to run Python code while another thread does waits for up to 5 ms, unless that one pauses
    (``sys.getswitchinterval``). Long enough for the one who waits to wake, which takes some microseconds.
    """
    _NEVER_SET.wait(_GIVE_WAY_S)


def start_thread(target: Callable[[], None], name: str) -> None:
    """Run a function on a thread of its own that keeps no interpreter from exiting."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        _original("start_new_thread")(target, ())
    else:
        threading.Thread(target=target, name=name, daemon=True).start()
