"""Status codes of one endpoint, and the requests that failed."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.components import card, change, empty, graph, plain_table, with_deploys
from fmd_otel_dash.figures import bars
from fmd_otel_dash.pages.common import (
    absent,
    against_earlier,
    caption,
    compared_with,
    deploys,
    earlier_time,
    export,
    on_click,
    requests_href,
)
from fmd_otel_dash.pages.endpoint_head import endpoint_page
from fmd_otel_dash.pages.request_rows import grid
from fmd_otel_dash.queries.requestfilter import RequestFilter
from fmd_otel_dash.queries.requests import requests
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.status import FIRST_ERROR, StatusCodes, status_codes
from fmd_otel_dash.router import Page
from fmd_otel_dash.stats.significance import share_change
from fmd_otel_dash.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Status Codes"
OVER_TIME = "status-over-time"
SHARES = "status-shares"
FAILED = "status-failed"
GRID = "status-failed-grid"
_MOST_FAILED = 50


def layout(view: View) -> Any:
    """Return the page without data."""
    return endpoint_page(
        card(OVER_TIME, "Answers over time", hint="Click a step for its requests", span=7, height=344),
        card(SHARES, "Distribution", actions=[export(view)], span=5, kind="table", height=300),
        card(
            FAILED,
            "Error requests",
            hint="The newest answers of 400 and above",
            kind="table",
            height=300,
        ),
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(OVER_TIME)
    def over_time(view: View) -> Any:
        found = view.query(status_codes, view.scope)
        if not found.total:
            return absent(view, found.last_recorded_us)
        before = before_of(view)
        figure = with_deploys(bars.status_codes(found, before), deploys(view), view.scope.tz)
        return [
            graph(
                figure,
                name=OVER_TIME,
                height=320,
                zoom=True,
                label="Answers over time by status code",
                leads=True,
            ),
            caption(view, found.total, against_earlier(view, any_before=before is not None)),
        ]

    @registry.card(SHARES)
    def shares(view: View) -> Any:
        found = view.query(status_codes, view.scope)
        if not found.total:
            return None
        before = before_of(view)
        compared = f"change: against {compared_with(view)}, n = {before.total:,}" if before else ""
        return [_shares(view, found, before), caption(view, found.total, compared)]

    @registry.card(FAILED)
    def failed(view: View) -> Any:
        found = view.query(status_codes, view.scope)
        if not found.total:
            return None
        if not found.failed:
            return empty(
                "Nothing failed in this range",
                f"All {found.total:,} answers were below 400.",
                symbol="status",
            )
        page = view.query(requests, view.scope, RequestFilter(min_status=FIRST_ERROR), limit=_MOST_FAILED)
        every = view.href(f"/endpoint/{view.endpoint_id}/requests", status="error")
        return [
            grid(view, GRID, page.rows),
            html.Div(
                [f"The newest {len(page.rows)} of {found.failed:,}. ", html.A("All of them", href=every)]
                if len(page.rows) < found.failed
                else f"All {found.failed:,} of the range",
                className="fmd-caption",
            ),
        ]

    on_click(registry, OVER_TIME, clicked_step)


def before_of(view: View) -> StatusCodes | None:
    """Return the comparison, where it has any requests."""
    earlier = earlier_time(view)
    before = view.query(status_codes, earlier) if earlier else None
    return before if before and before.total else None


def clicked_step(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of a step that got the code of the bar; on the dashed line, all those of before."""
    found = view.query(status_codes, view.scope)
    number, curve = point.get("pointNumber"), point.get("curveNumber")
    codes, before = list(found.n), before_of(view)
    if curve == len(codes) and before:
        found = before
    if not (isinstance(number, int) and 0 <= number < len(found.starts_us)):
        return None
    start_us = max(found.starts_us[number], found.scope.start_us)
    end_us = min(found.starts_us[number] + found.step_s * US_PER_S, found.scope.end_us)
    only = {"status": str(codes[curve])} if isinstance(curve, int) and 0 <= curve < len(codes) else {}
    return requests_href(view, start_us, end_us, **only)


def meaning(code: int) -> str:
    """Return what a code means, as the standard words it."""
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return "no standard code"


def _shares(view: View, found: StatusCodes, before: StatusCodes | None) -> Any:
    path = f"/endpoint/{view.endpoint_id}/requests"
    headings = ("Code", "Meaning", "Requests", "Share")
    return plain_table(
        (*headings, "Change") if before else headings,
        [
            (
                html.A(
                    html.Span(code, className=f"fmd-status s{code // 100}"),
                    href=view.href(path, status=str(code)),
                ),
                meaning(code),
                f"{n:,}",
                formatting.percent(n / found.total),
                *([_share_change(code, n, found, before)] if before else ()),
            )
            for code, n in found.totals.items()
        ],
        numeric=(2, 3, 4),
    )


def _share_change(code: int, n: int, found: StatusCodes, before: StatusCodes) -> Any:
    """Return how a code's share changed; coloured where it is a failure's, beyond chance."""
    n_then = before.totals.get(code, 0)
    moved = share_change(n_then, before.total, n, found.total)
    delta = formatting.point_change(moved) if moved else None
    if delta is not None and code < FIRST_ERROR:
        delta = replace(delta, tone="neutral")
    hint = f"{formatting.percent(n_then / before.total)} then, {n_then:,} of {before.total:,}"
    return html.Span(change(delta), title=hint)


def rows(view: View) -> Iterable[Sequence[Any]]:
    """Return the distribution line by line."""
    found = view.query(status_codes, view.scope)
    for code, n in found.totals.items():
        yield code, meaning(code), n, round(n / found.total, 6)


TABLE = Table("status_codes", ("status", "meaning", "requests", "share"), rows)
PAGE = Page(
    path="/endpoint/<int:endpoint_id>/status_code_distribution",
    title=TITLE,
    layout=layout,
    register=register,
    section="endpoint",
    key="s",
    icon="status",
    table=TABLE,
)
