"""Errors whose text is written for the person who has to act on it."""

from __future__ import annotations

from fmd_otel_exporter.errors import FmdOtelError, SettingsError

__all__ = ["FmdOtelError", "SettingsError"]
