"""Who sends the request at hand: somebody whom others know, or whoever has a session."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from flask import request

from fmd_otel_dash.auth import sessions

if TYPE_CHECKING:
    from fmd_otel_dash.roles import User
    from fmd_otel_dash.services import Services

COOKIE = "fmd_session"


def identify(services: Services) -> User | None:
    """Return who sends the request at hand, from whichever way of signing in is on."""
    user = services.outside.user(request.environ)
    if user is not None or services.outside.decides_alone:
        return user
    user = sessions.user_of(services.store, request.cookies.get(COOKIE))
    # Sessions of a provider that is no longer set end at once.
    return None if user is not None and user.way == "oidc" and services.settings.auth.oidc is None else user


def login_address(services: Services, wanted: str = "") -> str | None:
    """Return where one signs in, so as to come back to a path of ours; None: the application has no place."""
    settings = services.settings
    if services.outside.decides_alone:
        if settings.auth.login_url is None:
            return None
        address, wanted = settings.auth.login_url, settings.url(wanted or "/")
    else:
        address, wanted = settings.url("/login"), "" if wanted == "/" else wanted
    if not wanted:
        return address
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'next': wanted})}"
