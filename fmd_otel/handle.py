"""What ``instrument()`` returns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fmd_otel.backstage import backstage
from fmd_otel.graphs import forget, make_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmd_otel.graphs import Graphs
    from fmd_otel.monitor import Monitor
    from fmd_otel.settings import Settings
    from fmd_otel_exporter.pipeline import Pipeline

_NOTHING: Mapping[str, int] = {}


class Handle:
    """An application under observation."""

    def __init__(
        self,
        settings: Settings,
        *,
        monitor: Monitor | None = None,
        pipeline: Pipeline | None = None,
        detach: Callable[[], None] | None = None,
    ) -> None:
        """Hold what was attached; without a monitor, nothing was (monitoring is switched off)."""
        self.settings = settings
        """The settings in force, each with its origin."""
        self.monitor = monitor
        self._pipeline = pipeline
        self.graphs: Graphs | None = None
        """What it draws of itself; None where monitoring is off."""
        self._detach = detach

    @property
    def active(self) -> bool:
        """Whether requests are being recorded."""
        return self._detach is not None

    @property
    def service(self) -> str | None:
        """The service name under which requests are kept."""
        return self.monitor.service if self.monitor is not None else None

    @property
    def failures(self) -> Mapping[str, int]:
        """How often something of ours, or ``group_by`` or ``get_ip``, failed; the requests did not notice."""
        return self.monitor.guard.counts if self.monitor is not None else _NOTHING

    def force_flush(self, timeout_ms: int = 5000) -> bool:
        """Write what was recorded so far.

        Returns:
            Whether all of it is in the database.
        """
        if self._pipeline is None:
            return True
        deadline = time.monotonic() + timeout_ms / 1000
        if self.monitor is not None:
            self.monitor.watch.flush()
        is_done = backstage().drain(timeout_ms / 1000)
        left_ms = max(int((deadline - time.monotonic()) * 1000), 0)
        return self._pipeline.force_flush(left_ms) and is_done

    def add_graph(
        self, title: str, func: Callable[[], Any], trigger: Any = "interval", **schedule: Any
    ) -> None:
        """Draw what a function of this application returns; see :func:`fmd_otel.add_graph`.

        Where monitoring is off it is checked and not run.
        """
        graph = make_graph(title, func, trigger, schedule)
        if self.graphs is not None:
            self.graphs.add(graph)

    def uninstrument(self) -> None:
        """Give the application back as it was; what was recorded stays. Calling it again does nothing."""
        detach, self._detach = self._detach, None
        if self.graphs is not None:
            forget(self.graphs)
            self.graphs.stop()
        if detach is not None:
            detach()

    def __repr__(self) -> str:
        """Name the service, and whether it is being recorded."""
        return f"<fmd_otel.Handle {self.service!r} {'active' if self.active else 'inactive'}>"
