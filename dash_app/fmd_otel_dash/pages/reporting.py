"""Reporting: two periods or two versions, endpoint by endpoint, and what changed by more than chance."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import reports
from fmd_otel_dash.components import card, data_grid, empty, icon, page, url_segments
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.pages.common import absent, export, on_click
from fmd_otel_dash.pages.drill import band_href
from fmd_otel_dash.pages.reporting_choice import choice as chosen
from fmd_otel_dash.pages.reporting_choice import read, versions_of
from fmd_otel_dash.pages.reporting_detail import DETAIL
from fmd_otel_dash.pages.reporting_detail import detail as shown_detail
from fmd_otel_dash.pages.reporting_table import TABLE, columns, row
from fmd_otel_dash.queries.changedlines import changed_lines_of
from fmd_otel_dash.queries.report import report
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.router import Page
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Reporting"
CHOICE = "reporting-choice"
TABLE_CARD = "reporting-endpoints"
GRID = "reporting-grid"
SHOW = (("matters", "What matters"), ("all", "All endpoints"))


def layout(view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(CHOICE, kind="text", height=120),
        card(
            TABLE_CARD,
            "Endpoints",
            hint="Those first by which people lost most time waiting. Choose one to see its durations.",
            actions=[export(view), _html_link(view)],
            kind="table",
            height=420,
        ),
        card(DETAIL, kind="chart", height=300, plain=True),
        subtitle="What changed by more than chance, and by enough to matter",
    )


def register(registry: Registry) -> None:
    """Register what fills the page."""

    @registry.card(CHOICE)
    def choice(view: View) -> Any:
        return chosen(view, read(view))

    @registry.card(TABLE_CARD)
    def table(view: View) -> Any:
        found = read(view)
        if found is None:
            return None
        if not found.endpoints:
            return absent(view, found.last_recorded_us)
        everything = view.state.get("show") == "all"
        shown = [one for one in found.endpoints if everything or one.matters]
        toolbar = html.Div(
            url_segments("show", "Which endpoints", SHOW, "all" if everything else "matters"),
            className="fmd-toolbar",
        )
        if not shown:
            return [toolbar, empty("No change that matters", reports.headline(found))]
        return [
            toolbar,
            data_grid(GRID, columns(traffic=versions_of(view) is None), [row(view, one) for one in shown]),
            html.Div(
                " · ".join(
                    [
                        *(f"{side}: {words}" for side, words in reports.sides(found)),
                        f"at most {found.threshold.level:.0%} of the findings are expected to be false",
                    ]
                ),
                className="fmd-caption",
            ),
        ]

    @registry.card(DETAIL)
    def detail(view: View) -> Any:
        found = read(view)
        wanted = view.state.get("one")
        one = (
            next((each for each in found.endpoints if str(each.endpoint.id) == wanted), None)
            if found
            else None
        )
        return shown_detail(view, found, one) if found and one else None

    on_click(registry, DETAIL, clicked_band)


def clicked_band(view: View, point: dict[str, Any]) -> str | None:
    """Return the requests of either side that took about as long as the point says."""
    found, own = read(view), view.state.get("one")
    one = next((each for each in found.endpoints if str(each.endpoint.id) == own), None) if found else None
    if not found or not one:
        return None
    pair = found.pair_of(one.endpoint)
    return band_href(view, (pair.before or pair.after, pair.after), one.endpoint.id, point)


def _html_link(view: View) -> Any:
    address = view.settings.url("/export/reporting.html")
    return html.A(
        [icon("download", size=14), "HTML"],
        href=address + format_search(view.state),
        className="fmd-button fmd-export",
        title="Download as one file that needs nothing else",
        **attributes(data_export=address),
    )


def _file(kind: str, view: View) -> str:
    """Return the report as a file, all endpoints in it."""
    found = read(view) or report(view.store, Scope(0, 0), Scope(0, 0))
    lines = changed_lines_of(view.store, found)
    return reports.rendered(found, kind, title=f"{view.settings.title_name}: what changed", lines=lines)


PAGE = Page(
    path="/reporting",
    title=TITLE,
    layout=layout,
    register=register,
    section="dashboard",
    key="e",
    icon="report",
    table=TABLE,
    files={kind: partial(_file, kind) for kind in reports.FORMATS},
)
