"""What the frame does: follow the address, draw menu and picker, and turn what is typed into an address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import ALL, Input, Output, State, ctx, html, no_update

from fmd_otel_dash import formatting, ids, urlstate
from fmd_otel_dash.colors import endpoint_color
from fmd_otel_dash.comparison import pinned
from fmd_otel_dash.components import failure, icon
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.picker import pin_button, version_buttons
from fmd_otel_dash.components.shell import MenuLink, menu
from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.rangetext import RangeError, utc_moment
from fmd_otel_dash.roles import GUEST
from fmd_otel_dash.surroundings import version_starts

if TYPE_CHECKING:
    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.router import Page, Router
    from fmd_otel_dash.surroundings import FlaskSurroundings
    from fmd_otel_dash.view import View
    from fmd_otel_exporter.store import Store

_VERSIONS_OFFERED = 5
_ENDPOINTS_OFFERED = 12


def register_shell(registry: Registry, surroundings: FlaskSurroundings, router: Router) -> None:
    """Register the frame's callbacks."""
    _in_the_browser(registry)

    @registry.callback(
        Output(ids.PAGE, "children"),
        Output(ids.VIEW, "data", allow_duplicate=True),
        Output(ids.MENU, "children"),
        Output(ids.TITLE, "data"),
        Input(ids.ROUTE, "data"),
        role=GUEST,
        failed=lambda message, request_id: (failure("", message, request_id), *[no_update] * 3),
    )
    def show_page(_view: View, route: dict[str, Any]) -> Any:
        view = surroundings.view(route)
        match = router.resolve(view.path)
        page = match.page if view.user.may(match.page.role) else router.not_found
        return page.layout(view), route, _menu(view, router, page), _title(view, page)

    @registry.callback(
        Output(ids.RANGE_LABEL, "children"),
        Output(ids.RANGE_PROBLEM, "children"),
        Output(ids.ZONE_NOTE, "children"),
        Output(ids.VERSIONS, "children"),
        Output(ids.VERSION_CHIP, "children"),
        # Together: a choice is dropped if it is not among what there is to choose from.
        Output(ids.url_filter("svc"), "data"),
        Output(ids.url_filter("svc"), "value"),
        Output(ids.SERVICES, "hidden"),
        Input(ids.VIEW, "data"),
        role=GUEST,
    )
    def describe(_view: View, data: dict[str, Any]) -> Any:
        view = surroundings.view(data)
        window = view.window
        newest_first = list(reversed(version_starts(view.services).items()))
        offered = [
            (version, formatting.ago(first_us, view.now_us))
            for version, first_us in newest_first[:_VERSIONS_OFFERED]
        ]
        label: Any = urlstate.label(view.state, window)
        if window.problem:
            label = [icon("alert", size=15), label]
        chip = _chip(*offered[0]) if offered else ""
        services = view.query(service_names)
        return (
            label,
            window.problem,
            html.Span(
                f"Times are in {window.tz}",
                **attributes(
                    data_tz=window.tz,
                    data_from=utc_moment(window.start_us),
                    # Upwards: better a second too many than the newest request missing.
                    data_to=utc_moment(window.end_us + US_PER_S - 1),
                ),
            ),
            [
                pin_button(pinned(utc_moment(window.start_us), utc_moment(window.end_us))),
                *version_buttons(offered),
            ],
            chip,
            list(dict.fromkeys((*services, *view.state.services))),
            list(view.state.services),
            len(services) < 2 and not view.state.services,  # noqa: PLR2004 - nothing to choose from
        )

    @registry.callback(
        Output(ids.URL, "search"),
        Output(ids.RANGE_PROBLEM, "children", allow_duplicate=True),
        Output(ids.RANGE_TEXT, "value"),
        Input(ids.RANGE_TEXT, "n_submit"),
        Input(ids.RANGE_BACK, "n_clicks"),
        Input(ids.RANGE_FORWARD, "n_clicks"),
        Input(ids.ZOOM_OUT, "n_clicks"),
        State(ids.RANGE_TEXT, "value"),
        State(ids.URL, "search"),
        role=GUEST,
    )
    def navigate(view: View, *values: Any) -> Any:
        text, search = values[-2:]
        state = urlstate.parse(search or "")
        try:
            moved = _moved(str(ctx.triggered_id), state, view, text or "")
        except RangeError as error:
            return no_update, str(error), no_update
        return urlstate.format_search(moved), "", ""


def _in_the_browser(registry: Registry) -> None:
    """Register what needs no server: the functions are in ``assets/``."""
    registry.clientside(
        "follow",
        Output(ids.VIEW, "data"),
        Output(ids.ROUTE, "data"),
        Input(ids.URL, "pathname"),
        Input(ids.URL, "search"),
        Input(ids.TICK, "n_intervals"),
        Input(ids.REFRESH, "n_clicks"),
        State(ids.VIEW, "data"),
    )
    registry.clientside(
        "mirror",
        Output(ids.url_filter("refresh"), "value"),
        Output(ids.url_filter("cmp"), "value"),
        Output(ids.url_filter("tz"), "value"),
        Output(ids.TICK, "interval"),
        Output(ids.TICK, "disabled"),
        Input(ids.VIEW, "data"),
    )
    registry.clientside("filter", Input(ids.url_filter(ALL), "value"), prevent_initial_call=True)
    registry.clientside("zoom", Input(ids.time_graph(ALL), "relayoutData"), prevent_initial_call=True)
    registry.clientside("pickDays", Input(ids.CALENDAR, "value"), prevent_initial_call=True)
    registry.clientside("title", Input(ids.TITLE, "data"))
    registry.clientside(
        "burger",
        Output(ids.SHELL, "navbar"),
        Input(ids.BURGER, "opened"),
        State(ids.SHELL, "navbar"),
        prevent_initial_call=True,
    )


def _moved(trigger: str, state: urlstate.UrlState, view: View, text: str) -> urlstate.UrlState:
    if trigger == ids.RANGE_TEXT:
        return urlstate.with_text(
            state,
            text,
            now_us=view.now_us,
            tz=view.window.tz,
            started=version_starts(view.services).get,
        )
    if trigger == ids.ZOOM_OUT:
        return urlstate.zoomed_out(state, view.window, view.now_us)
    return urlstate.shifted(state, view.window, -1 if trigger == ids.RANGE_BACK else 1)


def _title(view: View, page: Page) -> str:
    parts = [page.title, view.settings.title_name]
    if page.section == "endpoint":
        known = view.query(menu_endpoints, view.endpoint_id)
        parts[1:1] = [endpoint.name for endpoint in known if endpoint.id == view.endpoint_id]
    return " · ".join(parts)


def _menu(view: View, router: Router, page: Page) -> list[Any]:
    below = router.section("endpoint")
    on_endpoint = page.section == "endpoint"
    endpoints = []
    for each in view.query(menu_endpoints, view.endpoint_id if on_endpoint else None):
        here = on_endpoint and each.id == view.endpoint_id
        # From one endpoint to another stays on the same kind of page.
        target = page if on_endpoint else below[0]
        params = {"endpoint_id": str(each.id)}
        link = MenuLink(
            each.name,
            view.with_versions().href(target.url(params)),
            color=endpoint_color(each.name, view.settings.colors),
        )
        pages = [_page_link(view, one, params, current=one is page) for one in below] if here else []
        endpoints.append((link, pages))
    own = [_page_link(view, one, {}, current=one is page) for one in router.section("dashboard")]
    return menu(
        own, endpoints, MenuLink("All endpoints", view.with_versions().href("/overview"), icon="list")
    )


def _page_link(view: View, page: Page, params: dict[str, str], *, current: bool) -> MenuLink:
    key = f"e {page.key}" if page.section == "endpoint" and page.key else page.key
    return MenuLink(page.title, view.with_versions().href(page.url(params)), page.icon, key, current)


def service_names(store: Store) -> tuple[str, ...]:
    """Return the services that have sent something."""
    with look(store, Scope(0, 0)) as view:
        return tuple(dict.fromkeys(endpoint.service for endpoint in view.endpoints))


def menu_endpoints(store: Store, endpoint_id: int | None) -> tuple[Endpoint, ...]:
    """Return the endpoints that the menu offers: those last requested, and the one at hand; by name."""
    with look(store, Scope(0, 0)) as view:
        recent = sorted(view.endpoints, key=lambda endpoint: endpoint.last_us or 0, reverse=True)
    chosen = recent[:_ENDPOINTS_OFFERED]
    chosen += [endpoint for endpoint in recent[_ENDPOINTS_OFFERED:] if endpoint.id == endpoint_id]
    return tuple(sorted(chosen, key=lambda endpoint: endpoint.name))


def _chip(version: str, ago: str) -> Any:
    return html.Span(version, className="fmd-chip", title=f"Newest version; first request {ago}")
