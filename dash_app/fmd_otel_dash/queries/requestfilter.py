"""Which requests a list shows, as conditions on their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, false, or_, select

from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_exporter.schema import SUBJECT_IP, SUBJECT_USER

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from fmd_otel_dash.queries.look import Look
    from fmd_otel_dash.queries.scope import Scope

_CLASSES = range(1, 10)
_HOUR_US = 3600 * US_PER_S
_DAY_US = 24 * _HOUR_US


@dataclass(frozen=True)
class RequestFilter:
    """What a request has to be; what is left empty may be anything."""

    status: int | None = None
    """A code (404), or a class by its first digit (4)."""
    min_status: int | None = None
    """Answers of this code and above: 400 for all that went wrong."""
    user: str = ""
    ip: str = ""
    method: str = ""
    min_us: int = 0
    """Duration in microseconds that it took at least."""
    max_us: int = 0
    """Duration that it took less than; 0 is no limit."""
    trace_id: str = ""
    """32 hexadecimal digits, or the first of them."""
    hour: int | None = None
    """Hour of the day that it began in, on the clock of the scope's zone."""


ALL = RequestFilter()


def conditions(view: Look, scope: Scope, wanted: RequestFilter) -> list[ColumnElement[bool]] | None:
    """Return what rows have to meet, None where none can: an unknown user has sent no request."""
    c = view.tables.request.c
    found = _own(c, wanted)
    if wanted.hour is not None:
        found.append(_within_hour(c.ts, scope, wanted.hour))
    version_ids = view.version_ids(scope)
    if version_ids is not None:
        found.append(c.version_id.in_(version_ids))
    for value, kind, column in ((wanted.user, SUBJECT_USER, c.group_id), (wanted.ip, SUBJECT_IP, c.ip_id)):
        if value:
            subject_id = _subject_id(view, kind, value)
            if subject_id is None:
                return None
            found.append(column == subject_id)
    if wanted.trace_id:
        ends = _trace_range(wanted.trace_id)
        if ends is None:
            return None
        found += [c.trace_id >= ends[0], c.trace_id <= ends[1]]
    return found


def _own(c: Any, wanted: RequestFilter) -> list[ColumnElement[bool]]:
    """Return the conditions that a row can be held against without looking anything up."""
    found: list[ColumnElement[bool]] = []
    if wanted.status is not None and wanted.status in _CLASSES:
        found.append(c.status.between(wanted.status * 100, wanted.status * 100 + 99))
    elif wanted.status is not None:
        found.append(c.status == wanted.status)
    if wanted.min_status is not None:
        found.append(c.status >= wanted.min_status)
    if wanted.method:
        found.append(c.method == wanted.method)
    if wanted.min_us:
        found.append(c.duration >= wanted.min_us)
    if wanted.max_us:
        found.append(c.duration < wanted.max_us)
    return found


def _within_hour(ts: Any, scope: Scope, hour: int) -> ColumnElement[bool]:
    """Return the condition that the clock shows an hour, stretch by stretch of what it is ahead of UTC."""
    start_us, end_us = hour * _HOUR_US, (hour + 1) * _HOUR_US
    return or_(
        false(),
        *(
            and_(
                ts >= stretch.start_us,
                ts < stretch.end_us,
                ((ts + stretch.offset_s * US_PER_S) % _DAY_US).between(start_us, end_us - 1),
            )
            for stretch in scope.stretches()
        ),
    )


def _trace_range(text: str) -> tuple[bytes, bytes] | None:
    """Return the first and the last trace id that begin with these digits."""
    digits = text.strip().lower()
    try:
        return bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
    except ValueError:
        return None


def _subject_id(view: Look, kind: int, value: str) -> int | None:
    c = view.tables.subject.c
    found: int | None = view.conn.scalar(select(c.id).where(c.kind == kind, c.value == value))
    return found
