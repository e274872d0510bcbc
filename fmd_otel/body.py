"""Response bodies, changed no more than is needed to learn when their last byte has been sent."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Body:
    """A response body that tells when it ends: read to its end, closed, or thrown away."""

    __slots__ = ("_body", "_finish", "_next")

    def __init__(self, body: Iterable[bytes], finish: Callable[[], None]) -> None:
        """Stand before ``body``."""
        self._body = body
        self._finish = finish
        # Asked for now, as a server would right after: what cannot be iterated fails in the same place.
        self._next = iter(body).__next__

    def __iter__(self) -> Iterator[bytes]:
        """Return itself, as WSGI wants."""
        return self

    def __next__(self) -> bytes:
        """Return the next part."""
        try:
            return self._next()
        except BaseException:
            self._finish()
            raise

    def close(self) -> None:
        """Close the body; the server calls this also when the client has gone."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._finish()

    def __del__(self) -> None:
        """Count a request whose body nobody read or closed."""
        try:  # noqa: SIM105 # contextlib.suppress would cost every request, try costs none
            self._finish()
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


def is_streamed(headers: list[tuple[str, str]]) -> bool:
    """Tell whether the body is made while it is sent, which is when nobody knows its length beforehand."""
    for name, _ in headers:  # noqa: SIM110 # on every request, and all() is twice as slow
        if name == "Content-Length" or name.lower() == "content-length":
            return False
    return True
