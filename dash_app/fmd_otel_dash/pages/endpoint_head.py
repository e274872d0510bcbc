"""The head that all pages of an endpoint share: what it is, and the way to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.components import card, empty, foreign, grid
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.pages import endpoint_level
from fmd_otel_dash.pages.endpoint_level import LEVEL, control
from fmd_otel_dash.pages.endpoint_verdict import verdict
from fmd_otel_dash.queries.endpoints import level_origin, rules
from fmd_otel_dash.queries.overview import Overview, Recent, overview_of, recent
from fmd_otel_dash.roles import ADMIN

if TYPE_CHECKING:
    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

HEAD = "endpoint-head"
MOST_RULES = 3
"""Shown without being asked for."""
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
    return html.Div(
        [grid(card(HEAD, kind="text", height=190, plain=True, stores=[LEVEL]), *cards)], className="fmd-page"
    )


def read(view: View) -> Overview:
    """Return the figures of the endpoint; all its cards share the answer."""
    return view.query(overview_of, view.scope, view.pairs, view.now_us)


def register(registry: Registry) -> None:
    """Register what fills the head."""
    endpoint_level.register(registry, HEAD)

    @registry.card(HEAD)
    def head(view: View) -> Any:
        rows = view.query(recent, view.scope, view.now_us)
        if not rows:
            return empty(
                f"There is no endpoint {view.endpoint_id}",
                "It may belong to another database.",
                html.A("Open the Overview", href=view.href("/overview"), className="fmd-button"),
            )
        return _head(view, rows[0])


def _head(view: View, row: Recent) -> Any:
    endpoint = row.endpoint
    return [
        html.Div(
            [
                html.Span(
                    className="fmd-dot",
                    style={"background": endpoint_color(endpoint.name, view.settings.colors)},
                    **attributes(aria_hidden="true"),
                ),
                html.H1(foreign(endpoint.name), title=formatting.visible(endpoint.name)),
                *_rules(endpoint),
            ],
            className="fmd-endpoint-head",
        ),
        html.Div(_facts(view, row), className="fmd-subtitle"),
        control(view, endpoint),
        verdict(view, endpoint),
        _tabs(view),
    ]


def _rules(endpoint: Endpoint) -> list[Any]:
    """Return all rules with their methods; those beyond the first few behind a line that opens."""
    known = [html.Span(_rule(methods, rule), className="fmd-rule") for methods, rule in endpoint.rules.known]
    if not known:  # it was seen in requests only, so far
        return _rule(endpoint.methods or "", endpoint.route or "")
    shown, others, more = known[:MOST_RULES], known[MOST_RULES:], endpoint.rules.more
    if not (others or more):
        return shown
    n = len(others) + more
    untold = [html.Span(f"and {more:,} more, not kept", className="fmd-faint")] if more else []
    return [
        *shown,
        html.Details(
            [
                html.Summary(f"{n:,} more {'rule' if n == 1 else 'rules'}"),
                html.Div([*others, *untold], className="fmd-more-rules"),
            ],
            className="fmd-rules",
        ),
    ]


def _rule(methods: str, rule: str) -> list[Any]:
    chips = [html.Code(method, className="fmd-tag") for method in methods.split(",") if method]
    return [*chips, html.Code(foreign(rule), className="fmd-route")] if rule else chips


def _facts(view: View, row: Recent) -> list[Any]:
    endpoint = row.endpoint
    facts: list[Any] = [
        f"Last requested {formatting.ago(endpoint.last_us, view.now_us)}",
        f"{row.n_today:,} today",
        f"{row.n_week:,} in 7 days",
    ]
    if endpoint.level0_n:
        facts.append(f"{endpoint.level0_n:,} served at level 0, counted only")
    if endpoint.blueprint:
        href = view.href("/overview", q=f"{endpoint.blueprint}.")
        facts.append(
            html.Span(["blueprint ", html.A(foreign(endpoint.blueprint), href=href, title="Its endpoints")])
        )
    facts.append(html.Span(["service ", foreign(endpoint.service)]))
    if endpoint.own_name and endpoint.own_name != endpoint.name:
        facts.append(html.Span(["in the application ", foreign(endpoint.own_name)]))
    if endpoint.merged:
        names = ", ".join(name for _, name in endpoint.merged)
        facts.append(html.Span(["together with ", foreign(names)]))
    facts.append(
        formatting.visible(f"level {level_origin(endpoint, view.query(rules), view.settings.default_rules)}")
    )
    if view.user.may(ADMIN):
        href = view.href("/endpoints", endpoint=str(endpoint.id))
        facts.append(html.A("Rename, merge, delete", href=href))
    parts: list[Any] = []
    for fact in facts:
        parts += [" · ", fact] if parts else [fact]
    return parts


def _tabs(view: View) -> Any:
    """Return links to the endpoint's pages: on a telephone the menu is out of sight."""
    base = f"/endpoint/{view.endpoint_id}"
    here = "/" + view.path.strip("/")
    return html.Nav(
        [
            html.A(
                text,
                href=view.with_versions().href(base + path),
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
