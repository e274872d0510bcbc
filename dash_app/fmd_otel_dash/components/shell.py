"""The frame around every page: header, menu, range picker, help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import dcc, html

from fmd_otel_dash import ids
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.badge import badge
from fmd_otel_dash.components.foreign import foreign
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.components.picker import picker
from fmd_otel_dash.components.share import share
from fmd_otel_dash.formatting import visible
from fmd_otel_dash.urlstate import REFRESHES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_dash.roles import User
    from fmd_otel_dash.settings import DashboardSettings

THEME = {
    "fontFamily": "Inter, system-ui, -apple-system, 'Segoe UI', sans-serif",
    "fontFamilyMonospace": "ui-monospace, 'Cascadia Mono', 'SF Mono', Menlo, Consolas, monospace",
    "primaryColor": "indigo",
    "primaryShade": {"light": 6, "dark": 5},
    "defaultRadius": "md",
    "cursorType": "pointer",
    "autoContrast": True,
}
_REFRESH_LABELS = {"": "Off", "10s": "Every 10 s", "1m": "Every minute", "5m": "Every 5 minutes"}
# Keys to press, or what to do where that is more than keys, and what comes of it.
_KEYS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        (),
        "g, then a letter",
        "Go to the page with that letter, in the menu or behind your initial",
    ),
    ((), "e, then a letter", "The same among the pages of the endpoint"),
    (("j", "k"), "", "Down and up the lines of a list or table"),
    (("Enter",), "", "Open the line; in a flame graph, zoom in, and Esc shows all"),
    (("↑", "↓", "←", "→"), "", "From cell to cell of a table, from frame to frame of a profile"),
    (("[", "]"), "", "Close or open all lines of a profile or stack; elsewhere, move the range"),
    (("/",), "", "Filter the table; search the profile"),
    (("t",), "", "Choose a range of time; then ← or → moves it"),
    (("z",), "", "Zoom out"),
    (("Shift", "←", "→"), "", "Move the range back or forward"),
    (("r",), "", "Refresh now"),
    (("d",), "", "Light or dark"),
    ((".",), "", "Copy the link to this view: its range moves along with the clock"),
    ((">",), "", "Copy a link to the very moments that are shown"),
    (("p",), "", "In Live: pause, or go on"),
    (("?",), "", "This list"),
    (("Esc",), "", "Close"),
)


def layout(settings: DashboardSettings, user: User | None, csrf: str) -> Any:
    """Return the frame; who looks is known only while a request is served."""
    return dmc.MantineProvider(
        [
            dcc.Location(id=ids.URL, refresh="callback-nav"),
            dcc.Store(id=ids.VIEW),
            dcc.Store(id=ids.ROUTE),
            dcc.Store(id=ids.TITLE),
            dcc.Interval(id=ids.TICK, interval=60_000, disabled=True),
            html.A("Skip to the content", href=f"#{ids.PAGE}", className="fmd-skip"),
            html.Div(className="fmd-progress", **attributes(aria_hidden="true")),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_header(settings, user, csrf), className="fmd-header"),
                    dmc.AppShellNavbar(
                        html.Nav(id=ids.MENU, className="fmd-nav", **attributes(aria_label="Pages")),
                        className="fmd-navbar",
                    ),
                    dmc.AppShellMain(html.Div(id=ids.PAGE, tabIndex=-1)),
                ],
                id=ids.SHELL,
                header={"height": 56},
                navbar={"width": 216, "breakpoint": "sm", "collapsed": {"mobile": True}},
                padding="md",
            ),
            html.Div(id=ids.NOTICE, className="fmd-notice", role="status", **attributes(aria_live="polite")),
            _help(),
        ],
        id="mantine",
        theme=THEME,
        defaultColorScheme="auto",
    )


@dataclass(frozen=True)
class MenuLink:
    """One line of the menu."""

    text: str
    href: str
    icon: str = ""
    key: str = ""
    current: bool = False
    color: str = ""
    """Of an endpoint, in place of an icon."""


def menu(
    pages: Iterable[MenuLink],
    endpoints: Iterable[tuple[MenuLink, Iterable[MenuLink]]],
    all_endpoints: MenuLink,
) -> list[Any]:
    """Return the menu: the dashboard's pages, then endpoints, the one at hand with its own pages below it."""
    parts = [html.Div("Dashboard", className="fmd-nav-title"), *map(_link, pages)]
    shown = list(endpoints)
    if shown:
        parts.append(html.Div("Endpoints", className="fmd-nav-title"))
        for link, below in shown:
            parts += [_link(link), *(html.Div(_link(page), className="fmd-nav-below") for page in below)]
        parts.append(_link(all_endpoints))
    return parts


def _link(link: MenuLink) -> Any:
    mark: Any = icon(link.icon or "chart")
    if link.color:
        mark = html.Span(
            className="fmd-dot", style={"background": link.color}, **attributes(aria_hidden="true")
        )
    return html.A(
        [
            mark,
            html.Span(foreign(link.text), className="fmd-nav-text"),
            html.Kbd(link.key, className="fmd-nav-key") if link.key else None,
        ],
        href=link.href,
        className="fmd-nav-link" + (" fmd-nav-endpoint" if link.color else ""),
        title=visible(link.text) if link.color else None,
        **attributes(
            aria_current="page" if link.current else None, data_key=link.key or None, data_keep="range"
        ),
    )


def _header(settings: DashboardSettings, user: User | None, csrf: str) -> Any:
    return html.Div(
        [
            dmc.Burger(
                id=ids.BURGER, size="sm", hiddenFrom="sm", opened=False, **attributes(aria_label="Menu")
            ),
            html.A(
                settings.brand_name,
                href=settings.url("/overview"),
                className="fmd-brand",
                **attributes(data_keep="range"),
            ),
            html.Span(id=ids.VERSION_CHIP, className="fmd-chip-slot"),
            html.Div(className="fmd-spacer"),
            picker(),
            share(),
            _refresh(),
            badge(),
            dmc.ColorSchemeToggle(
                id="scheme",
                lightIcon=icon("sun"),
                darkIcon=icon("moon"),
                variant="default",
                size="md",
                **attributes(aria_label="Light or dark"),
            ),
            _user_menu(settings, user, csrf),
        ],
        className="fmd-header-row",
    )


def _refresh() -> Any:
    return html.Div(
        [
            html.Span(id="updated", className="fmd-updated", title="When these data were read"),
            html.Button(
                icon("refresh"), id=ids.REFRESH, className="fmd-icon-button", title="Refresh (r)",
                **attributes(aria_label="Refresh"),
            ),
            dmc.Select(
                id=ids.url_filter("refresh"),
                data=[{"value": value or "off", "label": _REFRESH_LABELS[value]} for value in REFRESHES],
                value="off",
                allowDeselect=False,
                size="xs",
                w=104,
                comboboxProps={"width": 150, "position": "bottom-end", "shadow": "md"},
                **attributes(aria_label="Refresh automatically"),
            ),
        ],
        className="fmd-refresh",
    )  # fmt: skip


def _user_menu(settings: DashboardSettings, user: User | None, csrf: str) -> Any:
    name, role = (user.name, user.role) if user else ("", "")
    return html.Details(
        [
            html.Summary(
                name[:1].upper(),
                className="fmd-avatar",
                title=name,
                **attributes(aria_label=f"Signed in as {name}"),
            ),
            html.Div(
                [
                    html.Div([html.Strong(name), f" · {role}"], className="fmd-menu-label"),
                    _password_link(settings, user),
                    _admin_link(settings, user, "configuration", "Configuration", symbol="gauge", key=","),
                    _admin_link(settings, user, "users", "Users", key="u"),
                    _admin_link(settings, user, "storage", "Storage", symbol="database", key="s"),
                    html.Button(
                        [icon("keyboard", size=16), "Keyboard"], className="fmd-menu-button", id="help-open"
                    ),
                    _sign_out(settings, user, csrf),
                ],
                className="fmd-drop fmd-user-menu",
            ),
        ],
        className="fmd-menu",
    )


def _password_link(settings: DashboardSettings, user: User | None) -> Any:
    if user is not None and user.way != "password":
        return None  # theirs is kept elsewhere
    return html.A(
        [icon("key", size=16), "Password", html.Kbd("a")],
        href=settings.url("/account"),
        className="fmd-menu-button",
        **attributes(data_keep="range", data_key="a"),
    )


def _sign_out(settings: DashboardSettings, user: User | None, csrf: str) -> Any:
    label = [icon("logout", size=16), "Sign out"]
    if user is not None and user.way in {"hook", "proxy"}:
        if settings.auth.logout_url is None:
            return None
        return html.A(label, href=settings.auth.logout_url, className="fmd-menu-button")
    return html.Form(
        [
            dcc.Input(type="hidden", name="csrf", value=csrf, id="csrf"),
            html.Button(label, className="fmd-menu-button", type="submit"),
        ],
        method="post",
        action=settings.url("/logout"),
    )


def _admin_link(  # noqa: PLR0913 - what its lines differ in
    settings: DashboardSettings, user: User | None, page: str, title: str, *, key: str, symbol: str = ""
) -> Any:
    if user is None or not user.may("admin"):
        return None
    return html.A(
        [icon(symbol or page, size=16), title, html.Kbd(key)],
        href=settings.url(f"/{page}"),
        className="fmd-menu-button",
        **attributes(data_keep="range", data_key=key),
    )


def _help() -> Any:
    rows = [
        html.Tr([html.Th([html.Kbd(key) for key in keys] or hint), html.Td(text)])
        for keys, hint, text in _KEYS
    ]
    return dmc.Modal(
        html.Table(html.Tbody(rows), className="fmd-keys"),
        id=ids.HELP,
        title="Keyboard",
        size="sm",
        centered=True,
    )
