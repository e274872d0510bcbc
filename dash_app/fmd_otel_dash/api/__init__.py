"""The numbers of the dashboard for programs: JSON and CSV under ``/api/v1``, described by OpenAPI."""

from __future__ import annotations

from fmd_otel_dash.api.routes import blueprint

__all__ = ["blueprint"]
