"""Users: who can sign in, and as what. For admins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, State, html, no_update

from fmd_otel_dash import ids
from fmd_otel_dash.auth import users
from fmd_otel_dash.components import card, foreign, page, plain_table
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.forms import password_field, segments, send_button, text_field
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.roles import ADMIN, GUEST
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.roles import User
    from fmd_otel_dash.view import View

TITLE = "Users"
LIST = "users-list"
WANTED = "user-wanted"
"""Store that the list's buttons write to."""
NAME, PASSWORD, ROLE, ADD, PROBLEM = "user-name", "user-password", "user-role", "user-add", "user-problem"
RESET, NEW_PASSWORD, SET_PASSWORD = "user-reset", "user-new-password", "user-set-password"
RESET_PROBLEM = "user-reset-problem"
_ROLES = ((GUEST, "Guest"), (ADMIN, "Admin"))
_MEANING = "Guests see everything. Admins also change monitor levels and users."


def layout(_view: View) -> Any:
    """Return the page without data."""
    return page(
        TITLE,
        card(LIST, "Who can sign in", subtitle=_MEANING, kind="table", height=160, span=7, stores=[WANTED]),
        html.Div(
            [_password_form(), _form()],
            className="fmd-column",
            style={"--span": 5},
        ),
    )


def register(registry: Registry) -> None:
    """Register what fills the page and what changes it."""

    @registry.card(LIST, role=ADMIN)
    def everyone(view: View) -> Any:
        found = users.everyone(view.store)
        return plain_table(("Name", "Role", ""), [_row(view, user) for user in found])

    @registry.callback(
        Output(PROBLEM, "children"),
        Output(ids.retry(LIST), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Output(NAME, "value"),
        Output(PASSWORD, "value"),
        Input(ADD, "n_clicks"),
        State(NAME, "value"),
        State(PASSWORD, "value"),
        State(ROLE, "value"),
        role=ADMIN,
    )
    def add(view: View, clicks: int, name: str | None, password: str | None, role: Any) -> Any:
        try:
            user = users.create(view.store, name or "", password or "", role)
        except users.UserError as error:
            return str(error), no_update, no_update, no_update, no_update
        return "", f"added {clicks}", f"{user.name} can sign in now, as {user.role}.", "", ""

    _register_password(registry)

    @registry.callback(
        Output(ids.retry(LIST), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(WANTED, "data"),
        role=ADMIN,
    )
    def change(view: View, wanted: dict[str, Any]) -> Any:
        return wanted, _change(view, wanted)


def _register_password(registry: Registry) -> None:
    @registry.card(RESET, role=ADMIN)
    def whose(view: View) -> Any:
        user = _named(view, view.state.get("user"))
        if user is None or user.way != "password":
            return html.Div(
                "To set somebody's password, choose Password beside the name.", className="fmd-subtitle"
            )
        return html.H2(["A new password for ", foreign(user.name)], className="fmd-chosen")

    @registry.callback(
        Output(RESET_PROBLEM, "children"),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Output(NEW_PASSWORD, "value"),
        Input(SET_PASSWORD, "n_clicks"),
        State(NEW_PASSWORD, "value"),
        role=ADMIN,
    )
    def set_password(view: View, _clicks: int, password: str | None) -> Any:
        user = _named(view, view.state.get("user"))
        if user is None:
            return "This user is no longer there.", "", ""
        try:
            users.set_password(view.store, user.id, password or "")
        except users.UserError as error:
            return str(error), "", ""
        return "", f"{user.name} has a new password, and is signed out everywhere.", ""


def _named(view: View, number: str) -> User | None:
    return next((user for user in users.everyone(view.store) if str(user.id) == number), None)


def _change(view: View, wanted: dict[str, Any]) -> str:
    """Do what a button asked for, and return what was done, or why not."""
    user = next((user for user in users.everyone(view.store) if user.id == wanted.get("id")), None)
    if user is None:
        return "Not changed: this user is no longer there."
    try:
        if wanted.get("remove") is True:
            users.remove(view.store, user.id)
            return f"{user.name} can no longer sign in."
        role: Any = wanted.get("role")
        users.set_role(view.store, user.id, role)
    except users.UserError as error:
        return f"Not changed: {error}"
    return f"{user.name} is {role} now."


def _row(view: View, user: User) -> tuple[Any, ...]:
    if user.way != "password":
        remove = _button("trash", "Remove", {"id": user.id, "remove": True}, confirm=f"Remove {user.name}?")
        whence = html.Span(" (single sign-on)", className="fmd-faint")
        return html.Span([user.name, whence]), user.role, html.Div(remove, className="fmd-row-actions")
    other = GUEST if user.role == ADMIN else ADMIN
    you = html.Span(" (you)", className="fmd-faint") if user.id == view.user.id else ""
    buttons = html.Div(
        [
            _button("user", f"Make {other}", {"id": user.id, "role": other}),
            html.A(
                [icon("key", size=14), "Password"],
                href=view.href("/users", user=str(user.id)),
                className="fmd-button",
                **attributes(aria_label=f"Set a password for {user.name}"),
            ),
            _button("trash", "Remove", {"id": user.id, "remove": True}, confirm=f"Remove {user.name}?"),
        ],
        className="fmd-row-actions",
    )
    return html.Span([user.name, you]), user.role, buttons


def _button(symbol: str, text: str, wanted: dict[str, Any], *, confirm: str = "") -> Any:
    return send_button([icon(symbol, size=14), text], WANTED, wanted, confirm=confirm)


def _form() -> Any:
    return html.Section(
        [
            html.H2("Add a user"),
            text_field(NAME, "User name"),
            password_field(PASSWORD, "Password", "At least 8 characters"),
            segments(ROLE, "Role", _ROLES, GUEST),
            html.Div(id=PROBLEM, className="fmd-problem", role="alert"),
            html.Button([icon("plus", size=15), "Add"], id=ADD, className="fmd-button fmd-primary"),
        ],
        className="fmd-card fmd-form",
    )


def _password_form() -> Any:
    """Return the form; what is to be filled in shows once somebody is chosen."""
    return html.Section(
        [
            card(RESET, kind="text", height=22, plain=True),
            html.Div(
                [
                    password_field(
                        NEW_PASSWORD, "New password", "At least 8 characters; signs them out everywhere"
                    ),
                    html.Div(id=RESET_PROBLEM, className="fmd-problem", role="alert"),
                    html.Button(
                        [icon("key", size=15), "Set password"],
                        id=SET_PASSWORD,
                        className="fmd-button fmd-primary",
                    ),
                ],
                className="fmd-form fmd-when-chosen",
            ),
        ],
        className="fmd-card fmd-form fmd-chosen-form",
    )


PAGE = Page(path="/users", title=TITLE, layout=layout, register=register, role=ADMIN, icon="users")
