"""What a card shows without data: not yet, none, too little, a failure. Always with what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import dash_mantine_components as dmc
from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.rangetext import utc_moment

if TYPE_CHECKING:
    from fmd_otel_dash.view import View

Kind = Literal["chart", "table", "kpi", "text"]

SNIPPET = """from flask import Flask
import fmd_otel

app = Flask(__name__)
fmd_otel.instrument(app)"""
_NEARBY_US = 1_000_000
_MARGIN_SHARE = 0.1


def skeleton(kind: Kind = "chart", height: int = 320) -> Any:
    """Return the grey outline of what is to come, as high as that will be."""
    if kind == "kpi":
        return html.Div(
            [dmc.Skeleton(height=height, radius="md") for _ in range(4)],
            className="fmd-kpis",
            role="status",
            **attributes(aria_label="Loading"),
        )
    if kind == "chart":
        return html.Div(
            dmc.Skeleton(height=height, radius="sm"), role="status", **attributes(aria_label="Loading")
        )
    rows = max(1, height // 38)
    lines = [dmc.Skeleton(height=14, radius="sm", className="fmd-skeleton-line") for _ in range(rows)]
    return html.Div(lines, role="status", style={"minHeight": height}, **attributes(aria_label="Loading"))


def empty(title: str, text: Any = "", *actions: Any, symbol: str = "inbox") -> Any:
    """Return an empty state: what is missing, why, and what to do about it."""
    return html.Div(
        [
            icon(symbol, size=28),
            html.H3(title),
            html.Div(text, className="fmd-empty-text") if text else None,
            html.Div(list(actions), className="fmd-empty-actions") if actions else None,
        ],
        className="fmd-empty",
    )


def snippet(code: str, **given: Any) -> Any:
    """Return lines of code with a button that copies them; they scroll where the window is narrow."""
    return html.Div(
        [
            html.Pre(html.Code(code), tabIndex=0, **given),
            html.Button(
                [icon("copy", size=15), " Copy"],
                className="fmd-button fmd-copy",
                type="button",
                **attributes(data_copy=code),
            ),
        ],
        className="fmd-snippet",
    )


def nothing_recorded(view: View) -> Any:
    """Return what everybody sees first: how to send a request; it gives way by itself once there is one."""
    return html.Div(
        [
            html.H3("Waiting for the first request"),
            html.P("Two lines in your app, then open any of its pages. This view fills in by itself."),
            snippet(SNIPPET, id="snippet"),
            html.P(
                ["Without touching the code: ", html.Code("opentelemetry-instrument flask run")],
            ),
            html.P(
                [
                    html.Span(className="fmd-pulse"),
                    f"Watching {view.settings.table_prefix}_* in the database of this dashboard",
                ],
                className="fmd-subtitle",
            ),
        ],
        className="fmd-empty fmd-first",
        **attributes(data_waiting="true"),
    )


def first_request_hint() -> Any:
    """Return a line that waits for the first request, for where the endpoints are known already."""
    return html.Div(
        [html.Span(className="fmd-pulse"), "Waiting for the first request: open any page of your app."],
        className="fmd-hint",
        role="status",
        **attributes(data_waiting="true"),
    )


def nothing_in_range(
    view: View, last_us: int | None, *, what: str = "requests", compact: bool = False
) -> Any:
    """Return "none in this range", with the way to where there are some; ``compact`` as one line."""
    window = view.window
    if last_us is None:
        return empty(f"No {what} in this range", "None have been recorded outside it either.")
    length = window.end_us - window.start_us
    end_us = last_us + max(_NEARBY_US, int(length * _MARGIN_SHARE))
    if last_us >= window.end_us:
        when = "The latest came after it"
    else:
        when = f"The latest came {formatting.ago(last_us, view.now_us)}"
    start, end = utc_moment(max(0, end_us - length)), utc_moment(end_us)
    show = html.A(
        "Show the latest",
        href=view.href(view.path, start=start, end=end, **dict(view.state.extra)),
        className="fmd-button",
    )
    if compact:
        return html.Div(
            [icon("clock", size=16), f"No {what} in this range. {when}.", show], className="fmd-hint"
        )
    return empty(f"No {what} in this range", f"{when}.", show, symbol="clock")


def level_too_low(view: View, endpoint: str, needed: int, current: int, *, what: str) -> Any:
    """Return "not measured at this monitor level", with the way to where the level is set."""
    return empty(
        f"{what} need monitor level {needed}",
        f"{endpoint} is at level {current}. Raise it in the Overview; new requests will then show here.",
        html.A("Open the Overview", href=view.href("/overview"), className="fmd-button"),
        symbol="gauge",
    )


def failure(card_id: str, message: str, request_id: str) -> Any:
    """Return a card's error: what happened, a way to try again, and the id under which the log knows it."""
    return html.Div(
        [
            icon("alert", size=28),
            html.H3("This could not be loaded"),
            html.Div(message, className="fmd-empty-text"),
            html.Button("Try again", className="fmd-button fmd-retry", **attributes(data_card=card_id)),
            html.Div(["Request ", html.Code(request_id)], className="fmd-subtitle"),
        ],
        className="fmd-empty fmd-failure",
        role="alert",
    )
