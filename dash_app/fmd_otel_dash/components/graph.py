"""Figures on a page: plain dicts, dressed so that they follow light and dark by CSS alone."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from dash import dcc, html

from fmd_otel_dash import ids
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.figures.timeaxis import with_clock

_CLEAR = "rgba(0,0,0,0)"
_CONFIG = {
    "displaylogo": False,
    # Nothing of a chart leaves this machine: no button that uploads it, and no address to upload it to.
    "plotlyServerURL": "",
    "responsive": True,
    "doubleClick": False,
    "scrollZoom": False,
    "modeBarButtonsToRemove": [
        "sendChartToCloud", "zoom2d", "pan2d", "select2d", "lasso2d", "zoomIn2d", "zoomOut2d", "autoScale2d",
        "resetScale2d",
    ],
    "toImageButtonOptions": {"format": "svg", "scale": 1},
}  # fmt: skip


def graph(  # noqa: PLR0913 - each keyword answers a question of its own
    figure: dict[str, Any],
    *,
    name: str,
    height: int = 320,
    zoom: bool = False,
    label: str = "",
    leads: bool = False,
    least_width: int = 0,
) -> Any:
    """Return a graph, and below it the same as a table.

    Args:
        figure: plotly figure as a dict; what it leaves open of the layout is filled in here.
        name: unique on the page; also the name of a saved image.
        height: in pixels.
        zoom: its x axis is time in the view's zone: dragging over it zooms the whole page.
        label: what it shows, for screen readers.
        leads: a click on a point leads somewhere, so the table's cells do, too.
        least_width: in pixels; where there is less room, it scrolls sideways.
    """
    figure = with_clock(figure, ZoneInfo)
    layout: dict[str, Any] = {
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "margin": {"l": 52, "r": 16, "t": 12, "b": 36},
        "font": {"family": "Inter, system-ui, sans-serif", "size": 12},
        "hoverlabel": {"font": {"family": "Inter, system-ui, sans-serif", "size": 12}},
        "dragmode": "zoom" if zoom else False,
        "height": height,
        **figure.get("layout", {}),
    }
    if zoom:
        layout["yaxis"] = {**layout.get("yaxis", {}), "fixedrange": True}
    config: Any = {**_CONFIG, "toImageButtonOptions": {"format": "svg", "filename": name}}
    element: Any = dcc.Graph(
        id=ids.time_graph(name),
        figure={"data": figure.get("data", []), "layout": layout},
        config=config,
        responsive=True,
        # On a telephone, where names stand below each other, it grows by what its legend takes (style.css).
        style={
            "height": height,
            "minWidth": least_width or None,
            "--height": height,
            "--legend": _entries(figure),
        },
        className="fmd-graph" + (" fmd-graph-time" if zoom else ""),
    )
    if least_width:
        element = html.Div(element, className="fmd-scroll-x", tabIndex=0)
    return html.Div([element if not label else _labelled(element, label), _twin(name, label, leads=leads)])


def _entries(figure: dict[str, Any]) -> int:
    """Return how many names a legend has."""
    if not figure.get("layout", {}).get("legend") or figure["layout"].get("showlegend") is False:
        return 0
    return sum(bool(trace.get("name")) and trace.get("showlegend", True) for trace in figure.get("data", []))


def _twin(name: str, label: str, *, leads: bool) -> Any:
    """Return where the browser puts the table that it makes of the figure (``assets/31-chart-twin.js``)."""
    of = html.Span(f": {label}", className="fmd-visually-hidden") if label else None
    return html.Details(
        [
            html.Summary(
                [
                    html.Span("Show as table", className="fmd-twin-show"),
                    html.Span("Hide the table", className="fmd-twin-hide"),
                    of,
                ]
            ),
            html.Div(className="fmd-twin-body"),
        ],
        className="fmd-twin",
        **attributes(data_graph=name, data_caption=label or name, data_leads="true" if leads else None),
    )


def _labelled(element: Any, label: str) -> Any:
    return html.Div(element, role="figure", **attributes(aria_label=label))
