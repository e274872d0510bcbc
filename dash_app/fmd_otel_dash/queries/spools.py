"""What waits on disk: on each host as its processes say, and here as the directory shows."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmd_otel_exporter.spool import spool_directory
from fmd_otel_exporter.spool.owner import entries, is_alive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_dash.queries.processes import Process


@dataclass(frozen=True)
class HostSpool:
    """What the processes of one host have not written yet."""

    host: str
    processes: int
    waiting: int
    waiting_before: int
    waiting_bytes: int


@dataclass(frozen=True)
class LocalSpool:
    """The spool directory of this machine."""

    directory: str
    total_bytes: int
    orphaned_bytes: int
    """Of processes that are gone; the next one to look around takes them over."""


def by_host(processes: Iterable[Process]) -> tuple[HostSpool, ...]:
    """Add up what live and late processes say, the fullest host first."""
    hosts: dict[str, list[Process]] = {}
    for one in processes:
        if one.writes and one.state in {"live", "late"}:
            hosts.setdefault(one.host, []).append(one)
    found = [
        HostSpool(
            host,
            len(them),
            sum(one.waiting for one in them),
            sum(one.waiting_before for one in them),
            sum(one.waiting_bytes for one in them),
        )
        for host, them in hosts.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.waiting_bytes, one.host)))


def local(database: str, table_prefix: str, configured: str | None) -> LocalSpool | None:
    """Look at the directory here, by the sizes of its files; None where there is none."""
    directory = spool_directory(database, table_prefix, configured=configured)
    if directory is None or not directory.is_dir():
        return None
    total = orphaned = 0
    alive: dict[str, bool | None] = {}
    with suppress(OSError):
        for entry in entries(directory):
            if not entry.kind:
                continue
            with suppress(OSError):  # it may be written, and gone, meanwhile
                size = entry.path.stat().st_size
                if entry.owner not in alive:
                    alive[entry.owner] = is_alive(directory, entry.owner)
                total += size
                orphaned += 0 if alive[entry.owner] else size
    return LocalSpool(str(directory), total, orphaned)
