"""A line of a list of requests, and what the address says about which ones to list."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import column, data_grid, link, number
from fmd_otel_dash.queries.requestfilter import RequestFilter
from fmd_otel_dash.queries.scope import local_time
from fmd_otel_dash.queries.status import FIRST_ERROR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.requests import RequestRow
    from fmd_otel_dash.urlstate import UrlState
    from fmd_otel_dash.view import View

_MAX_MS = 1e9
_HOURS = {str(hour) for hour in range(24)}
_NO_STATUS = 9999


def wanted(state: UrlState) -> RequestFilter:
    """Return the filter that an address describes; what cannot be read counts as not given."""
    status = state.get("status")
    return RequestFilter(
        status=_status(status),
        min_status=FIRST_ERROR if status == "error" else None,
        user=state.get("user"),
        ip=state.get("ip"),
        method=state.get("method").upper(),
        min_us=_us(state.get("min_ms")),
        max_us=_us(state.get("max_ms")),
        trace_id=state.get("trace"),
        hour=_hour(state.get("hour")),
    )


def cursor(state: UrlState, key: str) -> str:
    """Return a request's key as the cursor of an address.

    It remembers which range and filters it belongs to: with others, the list begins at the newest request.
    """
    return f"{key}~{_digest(state)}" if key else ""


def key_of(state: UrlState) -> str:
    """Return the key that the address's cursor holds, empty if it belongs to other filters."""
    key, _, digest = state.get("before").partition("~")
    return key if digest == _digest(state) else ""


def grid(view: View, grid_id: str, rows: Sequence[RequestRow], *, endpoints: bool = False) -> Any:
    """Return a table of requests; ``endpoints`` names the endpoint of each."""
    return data_grid(
        grid_id,
        _columns(endpoints=endpoints),
        [line(view, row) for row in rows],
    )


def line(view: View, row: RequestRow) -> dict[str, Any]:
    """Return one line."""
    local = local_time(row.ts_us, view.scope.zone)
    this_year = local.year == local_time(view.now_us, view.scope.zone).year
    year = "" if this_year else f" {local.year}"
    return {
        "id": row.key,
        "href": view.href(f"/request/{row.key}"),
        "ts": row.ts_us,
        "time": f"{local.day} {local:%b}{year} {local:%H:%M:%S}.{local.microsecond // 1000:03d}",
        "status": row.status,
        "method": row.method,
        "name": row.endpoint.name,
        "route": row.endpoint.route or "",
        "color": endpoint_color(row.endpoint.name, view.settings.colors),
        "duration": row.duration_us,
        "durationText": formatting.duration(row.duration_us),
        "version": row.version,
        "user": row.user or "",
        "ip": row.ip or "",
        "trace": row.trace_id[:16],
    }


def _columns(*, endpoints: bool) -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    return [
        link("time", "Time", width=166, minWidth=150, context=narrow),
        column("status", "Status", width=70, cellRenderer="FmdStatus", context=narrow),
        column("method", "Method", width=82),
        column("name", "Endpoint", flex=1, minWidth=140, cellRenderer="FmdEndpoint", hide=not endpoints,
               context={} if endpoints else {"off": True}),
        number("duration", "Duration", shown="durationText", width=92, context=narrow),
        column("version", "Version", width=122, cellClass="fmd-after", headerClass="fmd-after"),
        column("user", "User", width=130, **({} if endpoints else {"flex": 1})),
        column("ip", "IP", width=130),
        column("trace", "Trace", width=150, cellClass="fmd-mono", headerTooltip="First half of the trace id"),
    ]  # fmt: skip


def _digest(state: UrlState) -> str:
    others = tuple(pair for pair in state.extra if pair[0] != "before")
    about = repr((state.start, state.end, state.tz, state.versions, state.services, others))
    return hashlib.blake2s(about.encode(), digest_size=4).hexdigest()


def _hour(text: str) -> int | None:
    return int(text) if text in _HOURS else None


def _status(text: str) -> int | None:
    """Return a code, or a class by its first digit; what is too large for any is one that no answer has."""
    digits = text.rstrip("x")
    return min(int(digits), _NO_STATUS) if digits.isascii() and digits.isdigit() else None


def _us(ms: str) -> int:
    try:
        value = float(ms)
    except ValueError:
        return 0
    return round(value * 1000) if 0 < value < _MAX_MS else 0
