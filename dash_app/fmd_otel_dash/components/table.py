"""Tables: the data grid for many rows, plain ones for few."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_ag_grid as dag
from dash import html

from fmd_otel_dash.formatting import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROW_HEIGHT = 36
_HEADER_HEIGHT = 38
_MAX_ROWS_IN_SIGHT = 16

_DEFAULTS = {
    "sortable": True,
    "resizable": True,
    "suppressMovable": True,
    "suppressHeaderMenuButton": True,
    "sortingOrder": ["desc", "asc", None],
    "cellDataType": False,
}


def column(field: str, title: str, **options: Any) -> dict[str, Any]:
    """Return a column of text."""
    return {"field": field, "headerName": title, **options}


def number(field: str, title: str, *, shown: str = "", **options: Any) -> dict[str, Any]:
    """Return a column of numbers: right-aligned, sorted by value.

    Args:
        field: row key that holds the number it sorts by.
        title: heading.
        shown: row key that holds what is shown instead.
        options: any column option of the grid.
    """
    formatter = {"function": f"params.data.{shown}"} if shown else {"function": "fmdNumber(params.value)"}
    return {
        "field": field,
        "headerName": title,
        "type": "rightAligned",
        "valueFormatter": formatter,
        "cellClass": "ag-right-aligned-cell fmd-number",
        "sortingOrder": ["desc", "asc", None],
        **options,
    }


def leading(field: str, title: str, *, href: str, only: str = "", **options: Any) -> dict[str, Any]:
    """Return a column of numbers that lead to what they count.

    ``href`` is the row key with the address, ``only`` that of a filter to be added to it.
    """
    made = number(field, title, **options)
    return {**made, "cellRenderer": "FmdNumber", "cellRendererParams": {"href": href, "only": only}}


def link(field: str, title: str, *, href: str = "href", **options: Any) -> dict[str, Any]:
    """Return a column of links; ``href`` is the row key with the address."""
    return {
        "field": field,
        "headerName": title,
        "cellRenderer": "FmdLink",
        "cellRendererParams": {"href": href},
        **options,
    }


def data_grid(  # noqa: PLR0913 - each keyword answers a question of its own
    grid_id: Any,
    columns: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    *,
    row_id: str = "id",
    height: int | None = None,
    filter_input: str = "",
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Return a sortable grid.

    Args:
        grid_id: id on the page.
        columns: made by :func:`column`, :func:`number` or :func:`link`.
        rows: plain values only.
        row_id: the key that tells rows apart, so that a refresh keeps scroll position and selection.
        height: in pixels; by default as many rows as there are, up to sixteen.
        filter_input: id of a text field whose text rows must contain.
        options: more options of the grid.
    """
    in_sight = min(max(len(rows), 1), _MAX_ROWS_IN_SIGHT)
    settings: dict[str, Any] = {
        "rowHeight": ROW_HEIGHT,
        "headerHeight": _HEADER_HEIGHT,
        "suppressCellFocus": False,
        "animateRows": False,
        "suppressColumnVirtualisation": True,
        "enableCellTextSelection": True,
        "ensureDomOrder": True,
        "context": {"filterInput": filter_input},
        **(options or {}),
    }
    return dag.AgGrid(
        id=grid_id,
        columnDefs=list(columns),
        # The grid wants its ids as text.
        rowData=[
            {name: _shown(value) for name, value in row.items()} | {row_id: str(row[row_id])} for row in rows
        ],
        defaultColDef=_DEFAULTS,
        dashGridOptions=settings,
        getRowId=f"params.data.{row_id}",
        columnSize=None,
        eventListeners={"gridSizeChanged": ["fmdSized(params)"]},
        className="fmd-table",
        style={"height": height or _HEADER_HEIGHT + in_sight * ROW_HEIGHT + 4, "width": "100%"},
    )


def _shown(value: Any) -> Any:
    """Return a value as it is seen; digits that nobody sees or sorts by only take time to send."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return visible(value) if isinstance(value, str) else value


def plain_table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], *, numeric: Iterable[int] = ()
) -> Any:
    """Return a small table, for a dozen rows that need no sorting; ``numeric`` columns are right-aligned."""
    right = set(numeric)

    def cells(tag: Any, values: Sequence[Any]) -> list[Any]:
        shown = (visible(value) if isinstance(value, str) else value for value in values)
        return [tag(value, className="fmd-number" if i in right else None) for i, value in enumerate(shown)]

    return html.Div(
        html.Table(
            [
                html.Thead(html.Tr(cells(html.Th, headings))) if any(headings) else None,
                html.Tbody([html.Tr(cells(html.Td, row)) for row in rows]),
            ],
            className="fmd-plain-table" + (" fmd-facts" if list(headings) == ["", ""] else ""),
        ),
        className="fmd-scroll-x",
        tabIndex=0,  # who has no mouse scrolls by the arrow keys, once they are there
    )
