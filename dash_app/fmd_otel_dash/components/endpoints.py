"""The endpoints table's columns and controls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.components.table import column, leading, number
from fmd_otel_dash.urlstate import format_search

if TYPE_CHECKING:
    from fmd_otel_dash.view import View


def columns(*, compare: bool, may_set_level: bool) -> list[dict[str, Any]]:
    """Return the columns; those with ``narrow`` are what a telephone shows."""
    return [
        column(
            "name",
            "Endpoint",
            cellRenderer="FmdEndpoint",
            flex=1,
            minWidth=130,
            tooltipField="route",
            sortingOrder=["asc", "desc", None],
            context={"narrow": True},
        ),
        column(
            "level",
            "Monitor",
            cellRenderer="FmdLevel",
            cellRendererParams={"mayChange": may_set_level},
            width=116,
        ),
        number("today", "Today", width=68),
        number("week", "7 days", width=78),
        leading(
            "n", "Hits", href="requestsHref", width=72, headerTooltip="Requests in the range", sort="desc",
            context={"narrow": True},
        ),
        number(
            "errors", "Errors", shown="errorsText", width=68, cellRenderer="FmdErrors",
            headerTooltip="Share of answers of 500 and above",
        ),
        number("p50", "p50", shown="p50Text", width=72, headerTooltip="Half of the requests took less"),
        leading(
            "p95", "p95", shown="p95Text", href="requestsHref", only="slow", width=72,
            context={"narrow": True},
            headerTooltip="95 % of the requests took less; click it for the others",
        ),
        number("p99", "p99", shown="p99Text", width=72, headerTooltip="99 % of the requests took less"),
        number(
            "change", "p95 change", shown="changeText", width=94, cellRenderer="FmdChange", hide=not compare,
            tooltipField="changeHint",
            headerTooltip="Grey where the difference is small or too few requests tell",
        ),
        number(
            "share", "Time spent", shown="shareText", width=100, cellRenderer="FmdShare",
            headerTooltip="Share of the time that all endpoints together took",
        ),
        column("spark", "Trend", cellRenderer="FmdSpark", width=84, sortable=False,
               headerTooltip="Requests per hour over the range"),
        number("last", "Last request", shown="lastText", width=98),
    ]  # fmt: skip


def filter_field(field_id: str, text: str) -> Any:
    """Return the field whose text rows must contain."""
    return dmc.TextInput(
        id=field_id,
        value=text,
        placeholder="Filter",
        size="xs",
        w=190,
        leftSection=icon("search", size=14),
        rightSection=html.Kbd("/"),
        **attributes(data_filter="true", aria_label="Filter the endpoints"),
    )


def export_link(view: View, name: str) -> Any:
    """Return a link that downloads all rows as CSV, with the range and the filters of the address."""
    return html.A(
        [icon("download", size=14), "CSV"],
        href=view.settings.url(f"/export/{name}") + format_search(view.state),
        className="fmd-button fmd-export",
        title="Download all rows",
        **attributes(data_export=view.settings.url(f"/export/{name}")),
    )
