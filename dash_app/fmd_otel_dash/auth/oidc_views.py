"""The two addresses of a sign-in through a provider: away to it, and back."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from flask import Blueprint, Response, redirect, render_template, request

from fmd_otel_dash.auth import gate, users
from fmd_otel_dash.auth.oidc import FLOW_LIFETIME_S, OidcError, Provider

if TYPE_CHECKING:
    from werkzeug.wrappers import Response as BaseResponse

    from fmd_otel_dash.auth_settings import OidcSettings
    from fmd_otel_dash.services import Services

log = logging.getLogger(__name__)

FLOW_COOKIE = "fmd_oidc"
_FAILED = "Signing in did not work; the log says why. Please try again."
_AWAY = "The identity provider cannot be reached at the moment."
_NOT_YOU = "You are signed in there, but belong to nobody who may see this dashboard. Ask an administrator."


class OidcViews:
    """Sends people to the provider, and makes sessions for those who come back."""

    def __init__(self, services: Services, oidc: OidcSettings) -> None:
        """Keep the settings.

        Raises:
            SettingsError: The packages for it are not installed.
        """
        self._services = services
        self._settings = services.settings
        self._oidc = oidc
        self._provider = Provider(services.settings.auth, oidc)

    def blueprint(self) -> Blueprint:
        """Return the routes."""
        routes = Blueprint("oidc", __name__)
        routes.add_url_rule("/oidc/start", "start", self.start)
        routes.add_url_rule("/oidc/callback", "callback", self.callback)
        return routes

    def start(self) -> BaseResponse:
        """Send the browser to the provider."""
        wanted = gate.safe_next(request.args.get("next"))
        try:
            address, flow = self._provider.begin(self._redirect_url(), wanted)
        except OidcError as error:
            log.warning("The identity provider cannot be used: %s", error)
            return self._problem(503, _AWAY)
        answer = redirect(address)
        answer.set_cookie(
            FLOW_COOKIE,
            flow,
            max_age=FLOW_LIFETIME_S,
            path=self._settings.url("/oidc"),
            secure=gate.over_tls(),
            httponly=True,
            samesite="Lax",  # the way back is a link from another site
        )
        return answer

    def callback(self) -> BaseResponse:
        """Begin a session for whom the provider has sent back."""
        try:
            person, wanted = self._provider.finish(
                request.cookies.get(FLOW_COOKIE, ""), request.args.to_dict()
            )
        except OidcError as error:
            log.warning("A sign-in through the identity provider failed: %s", error)
            return self._done(self._problem(400, _FAILED))
        store = self._services.store
        if person.role is None:
            users.forget_outsider(store, person.identity)
            return self._done(self._problem(403, _NOT_YOU))
        token = users.admit_outsider(store, person.identity, person.name, person.role)
        answer = redirect(self._settings.url(wanted), code=303)
        gate.set_session_cookie(answer, token, self._settings.prefix, users.OUTSIDER_LIFETIME_S)
        return self._done(answer)

    def _redirect_url(self) -> str:
        if self._oidc.redirect_url:
            return self._oidc.redirect_url
        scheme = "https" if gate.over_tls() else "http"
        return f"{scheme}://{request.host}{self._settings.url('/oidc/callback')}"

    def _done(self, answer: BaseResponse) -> BaseResponse:
        """Let the browser forget the sign-in: it is good for one answer."""
        answer.delete_cookie(FLOW_COOKIE, path=self._settings.url("/oidc"))
        return answer

    def _problem(self, status: int, message: str) -> BaseResponse:
        page = render_template("problem.html", title="Not signed in", message=message)
        return Response(page, status=status)
