"""The body of a profiled request: between two parts of it, its thread is the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel.body import Body

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel.request_state import RequestState


class ProfiledBody(Body):
    """A response body whose parts are made by the request, and sent by the server."""

    __slots__ = ("_profile",)

    def __init__(self, body: Iterable[bytes], state: RequestState) -> None:
        """Stand before ``body``; called where the view has returned, on the request's own thread."""
        super().__init__(body, state)
        self._profile: Any = state.profile
        self._profile.leave()

    def __next__(self) -> bytes:
        """Return the next part."""
        profile = self._profile
        profile.enter()
        try:
            return Body.__next__(self)
        finally:
            profile.leave()

    def close(self) -> None:
        """Close the body."""
        profile = self._profile
        profile.enter()
        try:
            Body.close(self)
        finally:
            profile.leave()
