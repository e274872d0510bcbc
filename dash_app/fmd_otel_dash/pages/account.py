"""One's own account: whoever is signed in changes their password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, State, html

from fmd_otel_dash import ids
from fmd_otel_dash.auth import gate, passwords, throttle, users
from fmd_otel_dash.components import page
from fmd_otel_dash.components.forms import password_field
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.roles import GUEST
from fmd_otel_dash.router import Page

if TYPE_CHECKING:
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

TITLE = "Account"
_ELSEWHERE = "You are signed in by another service, which keeps your password. Change it there."
OLD, NEW, AGAIN = "account-old", "account-new", "account-again"
CHANGE, PROBLEM = "account-change", "account-problem"


def layout(view: View) -> Any:
    """Return the page; it has no data to wait for."""
    subtitle = f"Signed in as {view.user.name}, {view.user.role}"
    if view.user.way != "password":
        return page(TITLE, html.P(_ELSEWHERE, className="fmd-card"), subtitle=subtitle)
    return page(
        TITLE,
        html.Section(
            [
                html.H2("Change the password"),
                password_field(OLD, "Present password"),
                password_field(NEW, "New password", f"At least {passwords.MIN_LENGTH} characters"),
                password_field(AGAIN, "New password, again"),
                html.Div(id=PROBLEM, className="fmd-problem", role="alert"),
                html.Button([icon("key", size=15), "Change"], id=CHANGE, className="fmd-button fmd-primary"),
            ],
            className="fmd-card fmd-form",
            style={"--span": 5},
        ),
        subtitle=subtitle,
    )


def register(registry: Registry) -> None:
    """Register what changes a password."""

    @registry.callback(
        Output(PROBLEM, "children"),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Output(OLD, "value"),
        Output(NEW, "value"),
        Output(AGAIN, "value"),
        Input(CHANGE, "n_clicks"),
        State(OLD, "value"),
        State(NEW, "value"),
        State(AGAIN, "value"),
        role=GUEST,
    )
    def change(view: View, _clicks: int, old: str | None, new: str | None, again: str | None) -> Any:
        problem = _changed(view, old or "", new or "", again or "")
        if problem:
            return problem, "", "", new, again
        return (
            "",
            "The password is changed. Other places where you were signed in are signed out.",
            "",
            "",
            "",
        )


def _changed(view: View, old: str, new: str, again: str) -> str:
    """Change the password of whoever is signed in; return why not, if so."""
    problem = _ELSEWHERE if view.user.way != "password" else _refused(view, new, again)
    if problem:
        return problem
    key = throttle.user_key(view.user.name)
    # Somebody who finds an open browser should not find it easy to guess the password.
    verdict = throttle.attempt(view.store, f"account:{view.user.id}", key)
    if not verdict.allowed:
        return f"Too many attempts; try again in {verdict.retry_after_s} s."
    try:
        if not users.has_password(view.store, view.user.id, old):
            return "The present password is not this one."
    except passwords.Busy:
        return "Many people are signing in just now; try again."
    users.set_password(view.store, view.user.id, new, keep=gate.session_digest())
    with view.store.write() as connection:
        throttle.forgive(connection, view.store.tables, f"account:{view.user.id}", key)
    return ""


def _refused(view: View, new: str, again: str) -> str | None:
    if new != again:
        return "The new password is not the same both times."
    return passwords.problem(new, view.user.name)


PAGE = Page(path="/account", title=TITLE, layout=layout, register=register, icon="key")
