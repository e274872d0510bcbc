"""The same as an OpenTelemetry exporter, for set-ups by name: ``OTEL_TRACES_EXPORTER=fmd``."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from fmd_otel_exporter.entry_spans import EntrySpans
from fmd_otel_exporter.pipeline import shared_pipeline
from fmd_otel_exporter.settings import ExporterSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

_log = logging.getLogger("fmd_otel")


class FmdSpanExporter(SpanExporter):
    """Puts entry spans into the database of fmd-otel.

    A span processor drops what an exporter refuses, so this one refuses nothing: it hands over to the
    pipeline, which waits for the database as long as there is room. Constructing it opens nothing.
    """

    def __init__(self, url: str | None = None, table_prefix: str | None = None) -> None:
        """Export to a database.

        Args:
            url: SQLAlchemy URL; by default that of ``FMD_OTEL_DATABASE``, else ``sqlite:///fmd_otel.db``.
            table_prefix: By default that of ``FMD_OTEL_TABLE_PREFIX``, else ``fmd``.
        """
        settings = ExporterSettings.from_env()
        if url is not None:
            settings = replace(settings, database=url)
        if table_prefix is not None:
            settings = replace(settings, table_prefix=table_prefix)
        self._pipeline = shared_pipeline(settings)
        self._entries = EntrySpans(self._pipeline)
        self._closed = False
        self._warned = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand the requests among these spans over; fails only after :meth:`shutdown`."""
        if self._closed:
            return SpanExportResult.FAILURE
        for span in spans:
            self._offer(span)
        return SpanExportResult.SUCCESS

    def _offer(self, span: ReadableSpan) -> None:
        try:
            self._entries.offer(span)
        except Exception:  # noqa: BLE001 # one odd span must not cost the others of its batch
            if not self._warned:
                self._warned = True
                _log.warning(
                    "fmd-otel could not count a span; further failures are not reported", exc_info=True
                )

    def shutdown(self) -> None:
        """Flush, and accept no more; the pipeline may serve others and stays open."""
        self._closed = True
        self._pipeline.force_flush()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until all requests handed over so far are in the database."""
        return self._pipeline.force_flush(timeout_millis)
