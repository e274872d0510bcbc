"""Requests on their way to the database, kept on disk so that no death of a process loses or doubles one."""

from __future__ import annotations

from fmd_otel_exporter.spool.delivery import Batch
from fmd_otel_exporter.spool.intake import SpoolLimits
from fmd_otel_exporter.spool.place import details_directory, spool_directory
from fmd_otel_exporter.spool.replay import Progress, replay
from fmd_otel_exporter.spool.seam import DiskSpool
from fmd_otel_exporter.spool.spool import Spool
from fmd_otel_exporter.spool.status import OwnerStatus, SpoolCounters, SpoolStatus, inspect

__all__ = [
    "Batch",
    "DiskSpool",
    "OwnerStatus",
    "Progress",
    "Spool",
    "SpoolCounters",
    "SpoolLimits",
    "SpoolStatus",
    "details_directory",
    "inspect",
    "replay",
    "spool_directory",
]
