"""The health of the monitoring, in the header: a sign that says how it is, and behind it why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import dcc, html

from fmd_otel_dash.components.icons import icon

if TYPE_CHECKING:
    from fmd_otel_dash.health import Health, Level

MARK = "health-mark"
PANEL = "health-panel"
POLL = "health-poll"
POLL_MS = 30_000
_SIGNS: dict[Level, tuple[str, str]] = {
    "good": ("check", "well"),
    "warn": ("alert", "in need of attention"),
    "bad": ("alert", "in trouble"),
}


def badge() -> Any:
    """Return the badge, before anything is known."""
    return html.Div(
        [
            html.Details(
                [
                    html.Summary(id=MARK, className="fmd-health", title="Health of the monitoring"),
                    html.Div(id=PANEL, className="fmd-drop fmd-health-panel"),
                ],
                className="fmd-menu",
            ),
            dcc.Interval(id=POLL, interval=POLL_MS),
        ]
    )


def health_mark(health: Health) -> list[Any]:
    """Return what stands in the header: colour, shape, and words for those who see neither."""
    symbol, words = _SIGNS[health.level]
    return [
        html.Span(icon(symbol, size=18), className=f"fmd-health-sign {health.level}"),
        html.Span(f"Monitoring is {words}: {health.summary}", className="fmd-visually-hidden"),
    ]


def health_panel(health: Health, storage_href: str | None) -> list[Any]:
    """Return what drops down from it.

    Args:
        health: the judgement.
        storage_href: the page with all there is to know, for those who may see it; they also get the details.
    """
    _, words = _SIGNS[health.level]
    parts: list[Any] = [html.Div(f"Monitoring is {words}", className="fmd-health-title")]
    if health.reasons:
        parts += [_reason(reason.level, reason.general, reason.detail) for reason in health.reasons]
    else:
        parts.append(html.Div(health.summary, className="fmd-health-text"))
    if storage_href:
        parts.append(html.A("Storage and workers", href=storage_href, className="fmd-button"))
    elif health.reasons:
        parts.append(html.Div("An admin sees the details here.", className="fmd-health-text"))
    return parts


def _reason(level: Level, general: str, detail: str) -> Any:
    symbol, _ = _SIGNS[level]
    return html.Div(
        [
            html.Span(icon(symbol, size=16), className=f"fmd-health-sign {level}"),
            html.Div(
                [html.Strong(general), html.Div(detail, className="fmd-health-text") if detail else None]
            ),
        ],
        className="fmd-health-reason",
    )
