"""The stack of a request that takes too long, taken while it still does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from fmd_otel.profiler.walker import Stack


class Watched:
    """A request whose stack is wanted if it is still running at a certain time.

    Made on the request's own thread.
    """

    __slots__ = ("is_over", "on_threshold", "place", "wake_at_ns")

    def __init__(
        self, wake_at_ns: int, on_threshold: Callable[[Stack], None], place: Place | None = None
    ) -> None:
        """Remember whom to tell.

        Args:
            wake_at_ns: When, by ``perf_counter_ns``.
            on_threshold: Called once, with the stack, on the sampler's thread; ``frame_dicts`` makes of it
                what documents keep. It holds code objects, no frames.
            place: Where the request runs, if that is known already.
        """
        self.wake_at_ns = wake_at_ns
        self.on_threshold = on_threshold
        self.place = place or Place(BASES)
        self.is_over = False

    def take(self, frames: Callable[[], Mapping[int, FrameType]]) -> None:
        """Take the stack, unless the request has ended in the meantime."""
        if self.is_over:
            return
        stack = self.place.stack(frames())
        if stack is not None and not self.is_over:
            self.on_threshold(stack)
