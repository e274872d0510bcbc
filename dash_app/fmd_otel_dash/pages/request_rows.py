"""A line of a list of requests, and what the address says about which ones to list."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import column, data_grid, number
from fmd_otel_dash.queries.look import endpoints
from fmd_otel_dash.queries.requestfilter import RequestFilter
from fmd_otel_dash.queries.scope import Scope, local_time
from fmd_otel_dash.queries.status import FIRST_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from fmd_otel_dash.queries.requests import RequestRow
    from fmd_otel_dash.urlstate import UrlState
    from fmd_otel_dash.view import View

WITHOUT = "without"
_OF_NONE = (0,)
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


def without(endpoint_ids: Iterable[int]) -> tuple[tuple[str, str], ...]:
    """Return what an address says that lists the requests of all endpoints but some."""
    return tuple((WITHOUT, str(each)) for each in endpoint_ids)


def scope_of(view: View) -> Scope:
    """Return the scope that the address asks for, where it leaves out some endpoints."""
    left_out = set(view.state.get_all(WITHOUT))
    if not left_out or view.endpoint_id is not None:
        return view.scope
    known = view.query(endpoints, Scope(0, 0, services=view.scope.services))
    kept = tuple(each.id for each in known if str(each.id) not in left_out)
    return replace(view.scope, endpoint_ids=kept or _OF_NONE)


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
    lines = [line(view, row) for row in rows]
    return data_grid(grid_id, _columns(endpoints=endpoints, time_px=time_px(lines)), lines)


def today(local: datetime, view: View) -> dict[str, bool]:
    """Return what a line says of a moment of today; of others nothing, since lines are many."""
    return {"today": True} if local.date() == local_time(view.now_us, view.scope.zone).date() else {}


def time_px(lines: Sequence[dict[str, Any]]) -> int:
    """Return how much of a telephone moments take: those of today are shown without their day."""
    return 76 if all("today" in each for each in lines) else 116


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
        **today(local, view),
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


def _columns(*, endpoints: bool, time_px: int) -> list[dict[str, Any]]:
    narrow = {"narrow": True}
    return [
        column("time", "Time", width=166, minWidth=76, cellRenderer="FmdTime", context={"narrow": time_px}),
        column("status", "Status", width=70, cellRenderer="FmdStatus", context={"narrow": 56}),
        column("method", "Method", width=82),
        column("name", "Endpoint", flex=1, minWidth=76, cellRenderer="FmdEndpoint", hide=not endpoints,
               context=narrow if endpoints else {"off": True}),
        number("duration", "Duration", shown="durationText", width=92, context={"narrow": 82}),
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
