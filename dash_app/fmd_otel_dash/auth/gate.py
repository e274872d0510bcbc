"""The gate: every request passes here first, and all but a handful need a session.

What is open is listed; everything else, known or not, is closed. What changes something must come from our
own pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import Response, abort, g, jsonify, redirect, render_template, request
from werkzeug.exceptions import Forbidden, UnsupportedMediaType

from fmd_otel_dash.auth import sessions
from fmd_otel_dash.auth.identity import COOKIE, identify, login_address

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from fmd_otel_dash.roles import Role, User
    from fmd_otel_dash.services import Services

OPEN_PATHS = frozenset({"/login", "/setup", "/healthz"})
OIDC_PATHS = frozenset({"/oidc/start", "/oidc/callback"})
"""Open, too, where there is a provider."""
SIGN_IN_PATHS = OPEN_PATHS - {"/healthz"} | OIDC_PATHS
OPEN_PREFIXES = ("/assets/", "/_dash-component-suites/", "/api/v1/")
"""Our own style sheets and scripts, and the libraries': the same for everybody, so nothing to hide. The API
asks for a token or a session by itself."""
_CALLBACK_PATH = "/_dash-update-component"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_TRUSTED_SITES = frozenset({"same-origin", "none"})
_MAX_NEXT = 2000
_NO_LOGIN = "Sign in to the application that this dashboard belongs to, as somebody who may see it."


class Gate:
    """Lets in who has a session, and sends the others to the sign-in page."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._open = OPEN_PATHS | OIDC_PATHS if services.settings.auth.oidc else OPEN_PATHS

    def check(self) -> BaseResponse | None:
        """Let the request at hand pass, or answer it here. Registered to run before every request."""
        if request.method not in _SAFE_METHODS:
            refuse_foreign()
        if self._services.outside.decides_alone and request.path in SIGN_IN_PATHS:
            return self._turn_away()  # nobody signs in here, so nobody may try to
        if request.path in self._open or request.path.startswith(OPEN_PREFIXES):
            return None
        if request.path == _CALLBACK_PATH and not request.is_json:
            # A form on another site can send text/plain to us, but not JSON.
            raise UnsupportedMediaType("Callbacks take JSON.")
        user = identify(self._services)
        if user is None:
            return self._turn_away()
        g.user = user
        return None

    def _turn_away(self) -> BaseResponse:
        if not wants_page():
            answer = jsonify(error="Sign in first.", login=login_address(self._services))
            answer.status_code = 401
            return answer
        wanted = (
            request.full_path.rstrip("?") if request.path not in SIGN_IN_PATHS else request.args.get("next")
        )
        target = login_address(self._services, safe_next(wanted))
        if target is None:
            return problem_response(401, "You are not signed in", _NO_LOGIN)
        return redirect(target)


def current_user() -> User:
    """Return who is signed in; aborts the request if nobody is."""
    user: User | None = g.get("user")
    if user is None:
        abort(401)
    return user


def session_digest() -> bytes | None:
    """Return what is stored of the session at hand; None without one."""
    token = request.cookies.get(COOKIE)
    return sessions.digest(token) if token else None


def require(role: Role) -> None:
    """Abort the request at hand with 403 unless the person has the role."""
    user = current_user()
    if not user.may(role):
        raise Forbidden(f"This needs the role {role}; {user.name} is signed in as {user.role}.")


def refuse_foreign() -> None:
    """Refuse what another site makes a browser send.

    ``Sec-Fetch-Site`` where the browser sends it; over plain http it does not, so ``Origin`` then has to name
    us.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in _TRUSTED_SITES:
            raise Forbidden("This request came from another site.")
        return
    origin = request.headers.get("Origin")
    if origin is None:
        return  # no browser, or one that sends no cross-site cookie either (SameSite=Lax)
    # A proxy may have changed Host, and says so; a web page cannot set that header without being asked first.
    ours = {request.host, request.headers.get("X-Forwarded-Host", "").partition(",")[0].strip()} - {""}
    if urlsplit(origin).netloc not in ours:  # "null" names nobody
        raise Forbidden(
            f"This request came from {origin}, but the dashboard was reached as {request.host}. "
            "If a proxy stands between, let it pass on the Host header."
        )


def wants_page() -> bool:
    """Tell whether a person is looking, who can be shown a page, rather than a script."""
    return (
        request.method == "GET"
        and not request.path.startswith("/_")
        and request.accept_mimetypes.accept_html
        and request.headers.get("Sec-Fetch-Dest", "document") in {"document", "iframe", "frame"}
    )


def safe_next(wanted: str | None) -> str:
    """Return where to go after signing in: a path of ours, whatever the parameter says; ``/`` otherwise."""
    if not wanted or len(wanted) > _MAX_NEXT or not wanted.startswith("/"):
        return "/"
    if wanted.startswith(("//", "/\\")) or not wanted.isprintable() or "\\" in wanted:
        return "/"
    return "/" if wanted.split("?")[0] in {"/login", "/logout", "/setup"} else wanted


def over_tls() -> bool:
    """Tell whether the browser speaks TLS, to us or to a proxy before us."""
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    return request.is_secure or forwarded == "https"


def set_session_cookie(
    answer: BaseResponse, token: str, path: str, lifetime_s: int = sessions.LIFETIME_S
) -> None:
    """Give the browser its session: out of reach of scripts, of other sites, and of the rest of the app."""
    answer.set_cookie(
        COOKIE,
        token,
        max_age=lifetime_s,
        path=path or "/",
        secure=over_tls(),
        httponly=True,
        samesite="Lax",
    )


def problem_response(status: int, title: str, message: str) -> Response:
    """Return an error, as a page for people and as JSON for scripts."""
    if wants_page():
        return Response(render_template("problem.html", title=title, message=message), status=status)
    answer: Response = jsonify(error=message)
    answer.status_code = status
    return answer
