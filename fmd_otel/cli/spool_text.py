"""What a spool holds, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fmd_otel_exporter.errors import safe_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel.settings import Settings
    from fmd_otel_exporter.spool import OwnerStatus, SpoolStatus

_HEAD = ("PROCESS", "HOST", "STATE", "SEGMENTS", "SIZE", "WAITING", "OLDEST", "DROPPED")
_STATES = {True: "running", False: "ended", None: "unknown"}
_UNITS = ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))
_AGES = ((86_400, "d"), (3600, "h"), (60, "min"))


def as_json(settings: Settings, found: SpoolStatus) -> str:
    """Return all there is to know."""
    shown: dict[str, Any] = {
        "database": safe_url(settings.database),
        "directory": str(found.directory) if found.directory else None,
        "error": found.error,
        "segments": found.segments,
        "bytes": found.bytes,
        "records": found.records,
        "kinds": found.kinds,
        "set_aside": found.set_aside,
        "unreadable": found.unreadable,
        "dropped": found.dropped,
        "oldest_age_s": _rounded(found.oldest_age_s),
        "processes": [
            asdict(owner) | {"oldest_age_s": _rounded(owner.oldest_age_s)} for owner in found.owners
        ],
    }
    return json.dumps(shown, indent=2, ensure_ascii=False)


def as_table(found: SpoolStatus) -> str:
    """Return a line for each process that has something there, and what it means."""
    if not found.owners:
        return "Nothing waits: every request is in the database, or none has been recorded yet."
    rows = [_HEAD, *(_row(owner) for owner in found.owners)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines = [line.rstrip() for line in lines]
    lines.append("")
    waiting = joined(found.kinds) if found.records else "Nothing"
    lines.append(f"{waiting} waiting, {size(found.bytes)} in {counted(found.segments, 'segment')}.")
    lines += _meaning(found)
    return "\n".join(lines)


def _row(owner: OwnerStatus) -> tuple[str, ...]:
    return (
        str(owner.pid or owner.name.partition("-")[0]),
        owner.host or "-",
        _STATES[owner.alive],
        f"{owner.segments:,}",
        size(owner.bytes),
        joined(owner.kinds) if owner.records else "-",
        age(owner.oldest_age_s) if owner.oldest_age_s is not None else "-",
        f"{owner.dropped:,}" if owner.dropped else "-",
    )


def _meaning(found: SpoolStatus) -> list[str]:
    """Say what people may want to do about it."""
    said = []
    if any(owner.alive is False and owner.records for owner in found.owners):
        said.append(
            "What ended processes left is written by the next application that runs here, or now by: "
            "fmd-otel spool replay"
        )
    if any(owner.alive is None for owner in found.owners):
        said.append(
            "unknown: the lock file is gone. If no application runs here: "
            "fmd-otel spool replay --without-lock-file"
        )
    if found.set_aside:
        said.append(f"{counted(found.set_aside, 'record')} of a newer fmd-otel wait for it.")
    if found.unreadable:
        said.append(f"{counted(found.unreadable, 'segment')} could not be read just now.")
    if found.dropped:
        said.append(
            "dropped: lost since the process started, because the spool was full (SPOOL_MB) or could not be "
            "used."
        )
    return said


def joined(kinds: Mapping[str, int]) -> str:
    """Return how many there are of what."""
    return ", ".join(
        f"{count:,} {name if count != 1 else name.removesuffix('s')}" for name, count in kinds.items()
    )


def counted(count: int, noun: str) -> str:
    """Return a number and what it counts."""
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def running(count: int) -> str:
    """Return how many processes run."""
    return "a running process" if count == 1 else f"{count} running processes"


def ended(count: int) -> str:
    """Return how many processes have ended."""
    return "a process that has ended" if count == 1 else f"{count} processes that have ended"


def size(count: int) -> str:
    """Return a number of bytes for people."""
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} B"


def age(seconds: float) -> str:
    """Return a length of time for people."""
    for unit, name in _AGES:
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
