"""Who is shopping: a log-in by name alone, which is all that a demo needs."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from flask import Blueprint, abort, redirect, render_template, request, session, url_for

from shop import database

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Response

_P = ParamSpec("_P")
_R = TypeVar("_R")

bp = Blueprint("accounts", __name__)


def current_username() -> str:
    """Return the name of who is logged in: what the dashboard groups requests by."""
    return str(session.get("username", "visitor"))


def admin_only(view: Callable[_P, _R]) -> Callable[_P, _R]:
    """Answer 403 to everybody but the shop's administrator."""

    @wraps(view)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if current_username() != database.ADMIN:
            abort(403)
        return view(*args, **kwargs)

    return guarded


@bp.get("/login")
def login_form() -> str:
    """Ask for a name."""
    return render_template("login.html", usernames=database.USERNAMES)


@bp.post("/login")
def login() -> Response | tuple[str, int]:
    """Log in whoever is known."""
    name = request.form.get("username", "")
    if not database.ask("SELECT 1 FROM account WHERE username = ?", name):
        return render_template("login.html", usernames=database.USERNAMES, error="Nobody of that name."), 401
    session["username"] = name
    return redirect(url_for("catalog.home"))


@bp.post("/logout")
def logout() -> Response:
    """Forget the session, cart included."""
    session.clear()
    return redirect(url_for("catalog.home"))
