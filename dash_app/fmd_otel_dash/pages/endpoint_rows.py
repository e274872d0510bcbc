"""A line of the endpoints table, as the grid wants it: numbers to sort by, and the text to show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components.attributes import attributes

if TYPE_CHECKING:
    from fmd_otel_dash.queries.overview import EndpointRow
    from fmd_otel_dash.view import View

LEVELS = {
    0: "only counts requests and remembers the last one",
    1: "records duration, time, version, user and IP of every request",
    2: "also records outliers in detail",
    3: "also profiles every request",
}


def row(view: View, each: EndpointRow) -> dict[str, Any]:
    """Return one line."""
    endpoint = each.endpoint
    delta = formatting.measured_change(each.change) if each.change else None
    return {
        "id": str(endpoint.id),
        "name": endpoint.name,
        "service": endpoint.service,
        "route": endpoint.route or "",
        "href": view.href(f"/endpoint/{endpoint.id}/hourly_load"),
        "color": endpoint_color(endpoint.name, view.settings.colors),
        "level": endpoint.level,
        "today": each.n_today,
        "week": each.n_week,
        "n": each.n,
        "errors": None if each.error_rate is None else round(each.error_rate, 6),
        "errorsText": formatting.percent(each.error_rate),
        "clientErrors": each.client_errors,
        "p50": _rounded(each.p50_us),
        "p50Text": formatting.duration(each.p50_us),
        "p95": _rounded(each.p95_us),
        "p95Text": formatting.duration(each.p95_us),
        "p99": _rounded(each.p99_us),
        "p99Text": formatting.duration(each.p99_us),
        "change": round(each.change.ratio, 4) if each.change and delta and delta.arrow else None,
        "changeText": f"{delta.arrow} {delta.text}".strip() if delta else formatting.NONE,
        "changeTone": delta.tone if delta else "neutral",
        "share": round(each.time_share, 5),
        "shareText": formatting.percent(each.time_share),
        "spark": [round(rate, 1) for rate in each.sparkline] if each.n else [],
        "last": endpoint.last_us or 0,
        "lastText": formatting.ago(endpoint.last_us, view.now_us),
    }


def level_notice(name: str, endpoint_id: int, level: int, before: Any) -> Any:
    """Return what is said after a level was changed, with a way back."""
    text = f"{name} is now at monitor level {level}: it {LEVELS[level]}."
    if before == level or before not in LEVELS:
        return text
    undo = html.Button(
        "Undo",
        className="fmd-link-button",
        **attributes(
            data_undo_level=str(before), data_endpoint=str(endpoint_id), data_level=str(level), data_name=name
        ),
    )
    return [html.Span(text), undo]


def _rounded(us: float | None) -> int | None:
    return None if us is None else round(us)
