"""Bars, dots and progress of the storage page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.icons import icon

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.health import Health


def noted_kpi(label: str, value: str, note: str, hint: str) -> Any:
    """Return one number, and what it rests on."""
    return html.Div(
        [
            html.Div(label, className="fmd-kpi-label"),
            html.Div(value, className="fmd-kpi-value"),
            html.Div(note, className="fmd-kpi-delta fmd-faint"),
        ],
        className="fmd-card fmd-kpi",
        title=hint,
    )


def share_rows(rows: Sequence[tuple[str, str, str, float]]) -> Any:
    """Return lines of name, note, value and share of the whole, each with its bar."""
    return html.Ul([_share_row(*row) for row in rows], className="fmd-shares")


def _share_row(name: str, note: str, value: str, share: float) -> Any:
    return html.Li(
        [
            html.Div(
                [
                    html.Span(name, className="fmd-shares-name"),
                    html.Span(note, className="fmd-faint fmd-shares-note"),
                    html.Span(value, className="fmd-number"),
                ],
                className="fmd-shares-text",
            ),
            meter(share),
        ]
    )


def meter(share: float, tone: str = "") -> Any:
    """Return a bar that is full to a share; numbers beside it say the same, so screen readers skip it."""
    width = f"{min(max(share, 0.0), 1.0) * 100:.1f}%"
    return html.Div(
        html.Span(style={"width": width}), className=f"fmd-meter {tone}", **attributes(aria_hidden="true")
    )


def state_dot(state: str, title: str) -> Any:
    """Return how a process is, by a dot and a word."""
    return html.Span(
        [html.Span(className=f"fmd-process-dot {state}", **attributes(aria_hidden="true")), state],
        className="fmd-process-state",
        title=title,
    )


def facts_list(facts: Sequence[tuple[str, Any]]) -> Any:
    """Return names and what they stand for, line by line."""
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)]) for name, value in facts], className="fmd-facts"
    )


def reasons(health: Health) -> Any:
    """Return what is wrong with the monitoring, as cards of one line or two; nothing where all is well."""
    return [
        html.Div(
            [
                html.Span(icon("alert", size=18), className=f"fmd-health-sign {reason.level}"),
                html.Div([html.Strong(reason.general), html.Div(reason.detail, className="fmd-health-text")]),
            ],
            className=f"fmd-card fmd-trouble {reason.level}",
            role="alert" if reason.level == "bad" else "status",
        )
        for reason in health.reasons
    ]


def progress(done: int, total: int, label: str) -> Any:
    """Return how far something is; a bar that only moves where nobody can tell."""
    known = total > 0
    value = min(100.0, done * 100 / total) if known else 100
    return dmc.Progress(
        value=value,
        striped=not known,
        animated=not known,
        size="md",
        radius="sm",
        transitionDuration=300,
        **attributes(aria_label=label),
    )
