"""Signing in, signing out, setting up: plain pages from the server, without a line of Dash."""

from __future__ import annotations

import hmac
import logging
import secrets
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, redirect, render_template, request
from werkzeug.exceptions import Forbidden

from fmd_otel_dash.auth import first_user, gate, passwords, sessions, throttle, users
from fmd_otel_dash.auth.identity import COOKIE, identify
from fmd_otel_exporter.errors import StorageError

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from fmd_otel_dash.services import Services
    from fmd_otel_dash.settings import DashboardSettings

log = logging.getLogger(__name__)

FORM_COOKIE = "fmd_form"
_FORM_LIFETIME_S = 3600
_WRONG = "That user name and password do not match."
_STALE = "This form was open for too long. Please send it again."
_ELSEWHERE = "Sign out there: here you stay known for as long as you are signed in there."
_USED_UP = "This set-up link has been used or is more than a day old."


class AuthViews:
    """The pages that need no session, and the way out of one."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings

    def blueprint(self) -> Blueprint:
        """Return the routes."""
        routes = Blueprint("auth", __name__, template_folder="templates")
        routes.add_url_rule("/login", "login", self.login)
        routes.add_url_rule("/login", "sign_in", self.sign_in, methods=["POST"])
        routes.add_url_rule("/logout", "logout", self.logout)
        routes.add_url_rule("/logout", "sign_out", self.sign_out, methods=["POST"])
        routes.add_url_rule("/setup", "setup", self.setup)
        routes.add_url_rule("/setup", "set_up", self.set_up, methods=["POST"])
        routes.add_url_rule("/healthz", "healthz", self.healthz)
        routes.app_context_processor(self._common)
        return routes

    def login(self) -> BaseResponse | str:
        """Show the sign-in form."""
        wanted = gate.safe_next(request.args.get("next"))
        if identify(self._services):
            return redirect(self._settings.url(wanted))
        return self._form("login.html", next=wanted, nobody_yet=self._nobody_yet())

    def sign_in(self) -> BaseResponse:
        """Check name and password, and begin a session."""
        name, password = request.form.get("username", "").strip(), request.form.get("password", "")
        wanted = gate.safe_next(request.form.get("next"))
        page: dict[str, Any] = {"next": wanted, "username": name[:255]}
        if not self._form_is_ours():
            return self._form("login.html", 400, error=_STALE, **page)
        store = self._services.store
        client = throttle.client_key(self._services.outside.client(request.environ))
        user_key = throttle.user_key(name)
        verdict = throttle.attempt(store, client, user_key)
        if not verdict.allowed:
            return self._wait(verdict.retry_after_s, page)
        with store.read() as connection:
            found = users.find(connection, store.tables, name)
        try:
            right = passwords.matches(found.password_hash if found else None, password)
        except passwords.Busy:
            return self._wait(5, page)
        if not right or found is None:
            log.info("Failed sign-in from %s", client)
            return self._form("login.html", 401, error=_WRONG, nobody_yet=self._nobody_yet(), **page)
        with store.write() as connection:
            throttle.forgive(connection, store.tables, client, user_key)
            token = sessions.start(connection, store.tables, found.user.id)
        return self._signed_in(token, wanted)

    def logout(self) -> BaseResponse | str:
        """Ask whether to sign out: a link alone must not do it, or any page could.

        Whom somebody else has signed in, only they can sign out.
        """
        if gate.current_user().way in {"hook", "proxy"}:
            if self._settings.auth.logout_url is not None:
                return redirect(self._settings.auth.logout_url)
            return gate.problem_response(200, "You are signed in elsewhere", _ELSEWHERE)
        token = request.cookies.get(COOKIE, "")
        return render_template("logout.html", csrf=sessions.csrf_token(token))

    def sign_out(self) -> BaseResponse:
        """End the session."""
        token = request.cookies.get(COOKIE, "")
        if not hmac.compare_digest(request.form.get("csrf", ""), sessions.csrf_token(token)):
            raise Forbidden("This form does not belong to your session. Reload the dashboard and try again.")
        sessions.end(self._services.store, token)
        answer = redirect(self._settings.url("/login"))
        answer.delete_cookie(COOKIE, path=self._settings.prefix or "/")
        return answer

    def setup(self) -> BaseResponse:
        """Show the form for the first user, to whoever has the link."""
        token = request.args.get("token", "")
        if not first_user.token_is_good(self._services.store, token):
            return self._form("login.html", 410, error=_USED_UP, next="/", nobody_yet=self._nobody_yet())
        return self._form("setup.html", token=token)

    def set_up(self) -> BaseResponse:
        """Create the first user and sign them in."""
        token, name = request.form.get("token", ""), request.form.get("username", "")
        password = request.form.get("password", "")
        page = {"token": token, "username": name[:255]}
        if not self._form_is_ours():
            return self._form("setup.html", 400, error=_STALE, **page)
        if password != request.form.get("again", ""):
            return self._form("setup.html", 400, error="The two passwords differ.", **page)
        try:
            session = first_user.complete(self._services.store, token, name, password)
        except users.UserError as error:
            return self._form("setup.html", 400, error=str(error), **page)
        if session is None:
            return self._form("login.html", 410, error=_USED_UP, next="/", nobody_yet=self._nobody_yet())
        log.info("The first user has been created through the set-up page")
        return self._signed_in(session, "/")

    def healthz(self) -> Response:
        """Tell a load balancer whether the dashboard can read its database."""
        try:
            with self._services.store.read():
                return Response("ok\n", mimetype="text/plain")
        except StorageError:
            return Response("the database cannot be read\n", status=503, mimetype="text/plain")

    def _signed_in(self, token: str, wanted: str) -> BaseResponse:
        answer = redirect(self._settings.url(wanted), code=303)
        gate.set_session_cookie(answer, token, self._settings.prefix)
        answer.delete_cookie(FORM_COOKIE, path=self._settings.prefix or "/")
        return answer

    def _wait(self, seconds: int, page: dict[str, Any]) -> BaseResponse:
        minutes = -(-seconds // 60)
        wait = f"{seconds} seconds" if seconds < 60 else f"{minutes} minute{'s' if minutes > 1 else ''}"  # noqa: PLR2004
        answer = self._form("login.html", 429, error=f"Too many attempts. Try again in {wait}.", **page)
        answer.headers["Retry-After"] = str(seconds)
        return answer

    def _form(self, template: str, status: int = 200, **values: Any) -> Response:
        """Render a form with a token that its cookie repeats: another site can set neither."""
        known = request.cookies.get(FORM_COOKIE, "")
        form_token = known if 20 <= len(known) <= 64 and known.isascii() else secrets.token_urlsafe(24)  # noqa: PLR2004
        answer = Response(render_template(template, form_token=form_token, **values), status=status)
        answer.set_cookie(
            FORM_COOKIE,
            form_token,
            max_age=_FORM_LIFETIME_S,
            path=self._settings.prefix or "/",
            secure=gate.over_tls(),
            httponly=True,
            samesite="Lax",
        )
        return answer

    def _form_is_ours(self) -> bool:
        cookie = request.cookies.get(FORM_COOKIE, "")
        return bool(cookie) and hmac.compare_digest(
            cookie.encode(), request.form.get("form_token", "").encode()
        )

    def _nobody_yet(self) -> bool:
        store = self._services.store
        with store.read() as connection:
            return not users.count(connection, store.tables)

    def _common(self) -> dict[str, Any]:
        """What all templates use."""
        return {"settings": self._settings, "asset": self._asset, "release": _release()}

    def _asset(self, name: str) -> str:
        return asset_url(self._settings, name)


def asset_url(settings: DashboardSettings, name: str) -> str:
    """Return the address of an asset; it names the file's age, so that browsers may keep it for a year."""
    changed = int((Path(__file__).parent.parent / "assets" / name).stat().st_mtime)
    return f"{settings.url('/assets/' + name)}?m={changed}"


def _release() -> str:
    try:
        return version("fmd-otel")
    except PackageNotFoundError:
        return ""
