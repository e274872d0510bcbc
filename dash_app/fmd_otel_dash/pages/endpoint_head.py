"""The head that all pages of an endpoint share: what it is, and the way to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import card, empty, grid
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.queries.overview import EndpointRow, Overview, overview

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

HEAD = "endpoint-head"
TABS = (
    ("", "Summary"),
    ("/hourly_load", "Hourly"),
    ("/version_user", "Users × versions"),
    ("/version_ip", "IPs × versions"),
    ("/versions", "Versions"),
    ("/users", "Users"),
    ("/status_code_distribution", "Status codes"),
    ("/requests", "Requests"),
    ("/profiler", "Profiler"),
    ("/grouped-profiler", "Grouped"),
    ("/outliers", "Outliers"),
    ("/exceptions", "Exceptions"),
)


def endpoint_page(*cards: Any) -> Any:
    """Return a page of one endpoint: its head, then cards."""
    return html.Div([grid(card(HEAD, kind="text", height=84, plain=True), *cards)], className="fmd-page")


def read(view: View) -> Overview:
    """Return the figures of the endpoint; all its cards share the answer."""
    return view.query(overview, view.scope, view.compare, view.now_us)


def register(registry: Registry) -> None:
    """Register what fills the head."""

    @registry.card(HEAD)
    def head(view: View) -> Any:
        rows = read(view).endpoints
        if not rows:
            return empty(
                f"There is no endpoint {view.endpoint_id}",
                "It may belong to another database.",
                html.A("Open the Overview", href=view.href("/overview"), className="fmd-button"),
            )
        return _head(view, rows[0])


def _head(view: View, row: EndpointRow) -> Any:
    endpoint = row.endpoint
    chips = [
        html.Code(method, className="fmd-tag") for method in (endpoint.methods or "").split(",") if method
    ]
    if endpoint.route:
        chips.append(html.Code(endpoint.route, className="fmd-route"))
    facts = [
        f"Last requested {formatting.ago(endpoint.last_us, view.now_us)}",
        f"{row.n_today:,} today",
        f"{row.n_week:,} in 7 days",
        f"monitor level {endpoint.level}",
        f"service {endpoint.service}",
    ]
    if endpoint.level0_n:
        facts.append(f"{endpoint.level0_n:,} served at level 0, counted only")
    return [
        html.Div(
            [
                html.Span(
                    className="fmd-dot",
                    style={"background": endpoint_color(endpoint.name, view.settings.colors)},
                    **attributes(aria_hidden="true"),
                ),
                html.H1(html.Bdi(endpoint.name), title=endpoint.name),
                *chips,
            ],
            className="fmd-endpoint-head",
        ),
        html.Div(" · ".join(facts), className="fmd-subtitle"),
        _tabs(view),
    ]


def _tabs(view: View) -> Any:
    """Return links to the endpoint's pages: on a telephone the menu is out of sight."""
    base = f"/endpoint/{view.endpoint_id}"
    here = "/" + view.path.strip("/")
    return html.Nav(
        [
            html.A(
                text,
                href=view.href(base + path),
                className="fmd-tab",
                **attributes(aria_current="page" if _shows(here, base, path) else None, data_keep="range"),
            )
            for path, text in TABS
        ],
        className="fmd-tabs",
        **attributes(aria_label="Pages of this endpoint"),
    )


def _shows(here: str, base: str, path: str) -> bool:
    """Tell whether a tab leads to where one is, or to the list that it came from."""
    return here == base + path or bool(path and here.startswith(f"{base}{path}/"))
