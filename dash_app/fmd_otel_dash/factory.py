"""Puts the dashboard together: an isolated Dash app on a Flask of its own, a gate before, headers after."""

from __future__ import annotations

import logging
import secrets
from html import escape
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, has_request_context, request
from werkzeug.exceptions import HTTPException

from fmd_otel_dash import api, exports, pages, profile_exports
from fmd_otel_dash.auth.gate import Gate, problem_response
from fmd_otel_dash.auth.identity import COOKIE
from fmd_otel_dash.auth.oidc_views import OidcViews
from fmd_otel_dash.auth.sessions import csrf_token
from fmd_otel_dash.auth.views import AuthViews, asset_url
from fmd_otel_dash.badge import register_badge
from fmd_otel_dash.components import failure, shell
from fmd_otel_dash.compression import compress
from fmd_otel_dash.headers import Headers, content_security_policy
from fmd_otel_dash.isolation import IsolatedDash, PlainFlaskBackend, quarantine
from fmd_otel_dash.mount import Standalone
from fmd_otel_dash.registry import Registry
from fmd_otel_dash.router import Router
from fmd_otel_dash.services import Services
from fmd_otel_dash.shell import register_shell
from fmd_otel_dash.surroundings import FlaskSurroundings, add_timing
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from fmd_otel_dash.settings import DashboardSettings

log = logging.getLogger(__name__)

_MAX_BODY = 1 << 20
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_INDEX = """<!doctype html>
<html lang="en">
<head>
{%metas%}
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{%title%}</title>
<link rel="icon" href="<<favicon>>" type="image/svg+xml">
<script src="<<theme>>"></script>
{%css%}
</head>
<body>
<noscript><p>This dashboard needs JavaScript.</p></noscript>
{%app_entry%}
{%config%}
{%scripts%}
{%renderer%}
</body>
</html>"""


class Dashboard:
    """A built dashboard, and its parts for whoever tests them."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.router = Router(pages.PAGES, pages.NOT_FOUND)
        self.surroundings = FlaskSurroundings(services, self.router)
        log_level = logging.getLogger("dash.dash").level
        with quarantine():
            self.dash = _dash(services.settings)
            self.registry = Registry(self.dash, self.surroundings, failure)
            register_shell(self.registry, self.surroundings, self.router)
            register_badge(self.registry)
            for page in (*self.router.pages, self.router.not_found):
                page.register(self.registry)
            self.dash.layout = self._layout
            self.dash.freeze()
            policy = content_security_policy(self.dash.csp_hashes())
        logging.getLogger("dash.dash").setLevel(log_level)  # Dash sets it for the whole process
        self.server: Flask = self.dash.server
        self._finish(policy)
        self.wsgi = Standalone(self.server.wsgi_app, services.settings.prefix)

    def _layout(self) -> Any:
        """Return the frame for the person who asks; for nobody while Dash looks it over at start."""
        user, token = g.get("user") if has_request_context() else None, ""
        if has_request_context():
            token = request.cookies.get(COOKIE, "")
        return shell.layout(self.services.settings, user, csrf_token(token))

    def _finish(self, policy: str) -> None:
        server = self.server
        server.debug = False  # FLASK_DEBUG is meant for the host; here it would show tracebacks to visitors
        server.config.update(MAX_CONTENT_LENGTH=_MAX_BODY, MAX_FORM_MEMORY_SIZE=_MAX_BODY)
        server.register_blueprint(AuthViews(self.services).blueprint())
        if self.services.settings.auth.oidc is not None:
            server.register_blueprint(OidcViews(self.services, self.services.settings.auth.oidc).blueprint())
        server.register_blueprint(api.blueprint(self.services))
        server.register_blueprint(profile_exports.blueprint(self.surroundings, self.router))
        server.register_blueprint(exports.blueprint(self.surroundings, self.router))
        server.before_request(Gate(self.services).check)
        # Functions after a request run last registered first: compression comes last of all.
        compress(server)
        server.after_request(Headers(policy).add)
        server.after_request(add_timing)
        server.register_error_handler(HTTPException, _http_error)
        server.register_error_handler(FmdOtelError, _known_error)
        server.register_error_handler(Exception, _unknown_error)


def build(
    settings: DashboardSettings, *, services: Services | None = None, announce: bool = True
) -> WSGIApplication:
    """Build the dashboard of some settings; opens no database."""
    services = services or Services(settings, announce=_announce if announce else None)
    return Dashboard(services).wsgi


def _dash(settings: DashboardSettings) -> IsolatedDash:
    app = IsolatedDash(
        __package__,
        backend=PlainFlaskBackend,
        routes_pathname_prefix="/",
        requests_pathname_prefix=settings.prefix + "/",
        # The layout would otherwise be validated at start, and put into the index page with all it holds.
        suppress_callback_exceptions=True,
        # Any process may set DASH_MCP_ENABLED, which would offer every callback as a tool.
        enable_mcp=False,
        # No callback is a coroutine. Dash would start a thread and an event loop for each request, though,
        # wherever asgiref happens to be installed.
        use_async=False,
        title=escape(settings.title_name),
        update_title="",
        add_log_handler=False,
        compress=False,
        include_assets_files=True,
        assets_ignore=r"^(00-theme\.js|login\.css)$",
    )
    index = _INDEX
    for name, asset in (("favicon", "favicon.svg"), ("theme", "00-theme.js")):
        index = index.replace(f"<<{name}>>", asset_url(settings, asset))
    app.index_string = index
    return app


def _announce(path: str) -> None:
    """Log the set-up link: in full where it leads to this machine, else from its path on.

    The host of a request is what its sender says. A link in the log that leads to somebody else's host would
    hand them the token as soon as it is followed.
    """
    local = request and request.host.rpartition(":")[0] in _LOOPBACK
    log.warning(
        "Nobody can sign in to the dashboard yet. Create the first user, within a day, at %s%s",
        request.host_url.rstrip("/") if local else "",
        path,
    )


def _http_error(error: HTTPException) -> Any:
    if error.response is not None:
        return error.response
    code = error.code or 500
    return problem_response(code, error.name, error.description or error.name)


def _known_error(error: FmdOtelError) -> Response:
    log.error("The dashboard could not answer %s: %s", request.path, error)
    return problem_response(503, "The dashboard cannot reach its data", _public(error))


def _unknown_error(error: Exception) -> Response:
    request_id = secrets.token_hex(4)
    log.error("The dashboard failed on %s (request %s)", request.path, request_id, exc_info=error)
    message = f"Something went wrong here; the log has the details under request {request_id}."
    return problem_response(500, "Something went wrong", message)


def _public(_error: FmdOtelError) -> str:
    """Return what is told of a storage problem to visitors who are not signed in: not where the data is."""
    return "Its database cannot be used at the moment; the log says why. The monitored app is not affected."
