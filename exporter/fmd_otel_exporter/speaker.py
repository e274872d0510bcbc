"""The worker's voice: light until the database is open, then a :class:`.Heartbeat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmd_otel_exporter.counters import PipelineCounters
    from fmd_otel_exporter.heartbeat import Heartbeat
    from fmd_otel_exporter.settings import ExporterSettings
    from fmd_otel_exporter.store import Store


class Speaker:
    """Says for one process who it is and how it fares; belongs to the worker's thread."""

    def __init__(
        self, settings: ExporterSettings, role: str, counters: Callable[[], PipelineCounters]
    ) -> None:
        """Prepare; nothing is said or imported."""
        self._settings = settings
        self._role = role
        self._counters = counters
        self._serves = ("", "")
        self._heartbeat: Heartbeat | None = None

    def wrote(self, batch: Sequence[object]) -> None:
        """Note whose requests these are."""
        service, version = (getattr(batch[-1], name, "") for name in ("service", "version"))
        if isinstance(service, str) and isinstance(version, str):
            self._serves = (service, version)

    def speak(self, store: Store) -> None:
        """Say how things are, if it is time for that; never raises."""
        if self._heartbeat is None:
            from fmd_otel_exporter.heartbeat import About, Heartbeat  # noqa: PLC0415 # SQLAlchemy

            settings = self._settings
            days = settings.retention_raw_days, settings.retention_hourly_days, settings.retention_daily_days
            about = About(self._role, ",".join(map(str, days)), settings.reported)
            self._heartbeat = Heartbeat(about, self._counters)
        self._heartbeat.serves = self._serves
        self._heartbeat.work(store)

    def goodbye(self, store: Store | None) -> None:
        """Say that this process ends; never raises."""
        if self._heartbeat is not None:
            self._heartbeat.goodbye(store)
