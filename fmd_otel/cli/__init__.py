"""The ``fmd-otel`` command."""

from __future__ import annotations

from fmd_otel.cli.main import main

__all__ = ["main"]
