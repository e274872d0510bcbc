"""Response bodies, changed no more than is needed to learn when their last byte has been handed over."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fmd_otel.request_state import RequestState

UNKNOWN = -1
"""Length of a body that is made while it is sent."""


class Body:
    """A response body that tells when it ends: all of it handed over, closed, or thrown away.

    A body of announced length ends with its last byte. Not everybody asks for more only to hear that there is
    none, nor closes what was read: Flask's test client does neither.
    """

    __slots__ = ("_body", "_next", "_state")

    def __init__(self, body: Iterable[bytes], state: RequestState) -> None:
        """Stand before ``body``."""
        self._body = body
        self._state = state
        # Asked for now, as a server would right after: what cannot be iterated fails in the same place.
        self._next = iter(body).__next__

    def __iter__(self) -> Iterator[bytes]:
        """Return itself, as WSGI wants."""
        return self

    def __next__(self) -> bytes:
        """Return the next part."""
        state = self._state
        try:
            part = self._next()
        except StopIteration:
            state.finish()
            raise
        except BaseException as error:
            state.fail(error)
            raise
        if state.length > 0 and type(part) is bytes:
            state.length -= len(part)
            if state.length <= 0:
                state.finish()
        return part

    def close(self) -> None:
        """Close the body; the server calls this also when the client has gone."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._state.finish()

    def __del__(self) -> None:
        """Count a request whose body nobody read or closed."""
        try:  # noqa: SIM105 # contextlib.suppress would cost every request, try costs none
            self._state.finish()
        except Exception:  # noqa: BLE001, S110 # the interpreter may be going down around us
            pass


def call_on_close(body: Any, finish: Callable[[], None]) -> None:
    """Finish when a server's file wrapper is closed; at once if it lets nobody add to it."""
    close = getattr(body, "close", None)

    def close_and_finish() -> Any:
        try:
            return close() if close is not None else None
        finally:
            finish()

    try:
        body.close = close_and_finish
        # A file wrapper that is never closed ends with its object.
        weakref.finalize(body, finish).atexit = False
    except (AttributeError, TypeError):
        finish()


def announced_length(headers: list[tuple[str, str]]) -> int:
    """Return how many bytes the headers announce, or ``UNKNOWN``."""
    for name, value in headers:
        if name == "Content-Length" or name.lower() == "content-length":
            return int(value) if value.isdecimal() else UNKNOWN
    return UNKNOWN
