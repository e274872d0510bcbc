"""Signing in through an OpenID Connect provider: authorization code with PKCE, done by Authlib.

What the provider says of somebody is believed only in an ID token that it has signed for us, for the very
sign-in that this browser began.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeTimedSerializer

from fmd_otel_dash.auth import users
from fmd_otel_dash.auth.groups import role_of
from fmd_otel_exporter.errors import FmdOtelError, SettingsError

if TYPE_CHECKING:
    from fmd_otel_dash.auth_settings import AuthSettings, OidcSettings
    from fmd_otel_dash.roles import Role

log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
FLOW_LIFETIME_S = 600
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key pair. With ``none`` or a shared secret anybody, or anybody who knows us, could sign."""
_LEEWAY_S = 60
_TIMEOUT_S = 5
_KEPT_S = 3600.0
_RETRY_S = 10.0
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NEEDED = ("authlib", "joserfc", "requests")


class OidcError(FmdOtelError):
    """A sign-in that did not work; the message is for the log."""


@dataclass(frozen=True)
class Person:
    """Somebody for whom the provider vouches."""

    identity: bytes
    """Who they are whatever they are called: a digest of the provider and its number for them."""
    name: str
    role: Role | None
    """None: known there, and not let in here."""


@dataclass(frozen=True)
class _Metadata:
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    auth_method: str
    keys: Any


class Provider:
    """One provider; asked about itself when somebody first signs in."""

    def __init__(self, settings: AuthSettings, oidc: OidcSettings) -> None:
        """Keep the settings.

        Raises:
            SettingsError: The packages for it are not installed.
        """
        missing = [package for package in _NEEDED if find_spec(package) is None]
        if missing:
            raise SettingsError(
                f"OIDC_DISCOVERY_URL needs {', '.join(missing)}; install with: pip install 'fmd-otel[oidc]'"
            )
        self._settings = settings
        self._oidc = oidc
        key = hashlib.sha256(b"fmd-otel sign-in\0" + oidc.client_secret.encode()).digest()
        self._flows = URLSafeTimedSerializer(key, salt="fmd-otel oidc")  # the same in all workers
        self._lock = threading.Lock()
        self._metadata: _Metadata | None = None
        self._read_at = float("-inf")
        self._failed: OidcError | None = None

    def begin(self, redirect_url: str, wanted: str) -> tuple[str, str]:
        """Return where to send the browser, and what it keeps until it comes back.

        Raises:
            OidcError: The provider cannot be asked.
        """
        metadata = self._about()
        flow = {
            "state": secrets.token_urlsafe(32),
            "nonce": secrets.token_urlsafe(32),
            "verifier": secrets.token_urlsafe(48),
            "redirect": redirect_url,
            "next": wanted,
        }
        with self._session(metadata, redirect_url) as session:
            address, _state = session.create_authorization_url(
                metadata.authorization_endpoint,
                state=flow["state"],
                nonce=flow["nonce"],
                code_verifier=flow["verifier"],
            )
        return str(address), str(self._flows.dumps(flow))

    def finish(self, kept: str, given: dict[str, str]) -> tuple[Person, str]:
        """Return who came back, and where they wanted to go.

        Args:
            kept: what the browser kept since it left.
            given: the query with which the provider sent it back.

        Raises:
            OidcError: This is no answer to a sign-in that began here, or the provider does not vouch.
        """
        try:
            flow = self._flows.loads(kept, max_age=FLOW_LIFETIME_S)
        except BadData:
            raise OidcError("this browser began no sign-in within the last ten minutes") from None
        if not secrets.compare_digest(given.get("state", "").encode(), flow["state"].encode()):
            raise OidcError("the state is not the one that this browser was sent away with")
        if "error" in given:
            raise OidcError(f"the provider refused: {given['error']!r:.200}")
        metadata = self._about()
        if given.get("iss", metadata.issuer) != metadata.issuer:
            raise OidcError("the answer comes from another provider")
        return self._person(metadata, self._claims(metadata, flow, given.get("code", ""))), flow["next"]

    def _claims(self, metadata: _Metadata, flow: dict[str, str], code: str) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken  # noqa: PLC0415 # part of an extra
        from joserfc import jwt  # noqa: PLC0415 # the same

        try:
            with self._session(metadata, flow["redirect"]) as session:
                answer = session.fetch_token(
                    metadata.token_endpoint,
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=flow["verifier"],
                    timeout=_TIMEOUT_S,
                    allow_redirects=False,
                )
            token = jwt.decode(answer["id_token"], metadata.keys, algorithms=list(_ALGORITHMS))
            claims = CodeIDToken(
                token.claims,
                token.header,
                {
                    "iss": {"essential": True, "value": metadata.issuer},
                    "aud": {"essential": True, "value": self._oidc.client_id},
                },
                {
                    "nonce": flow["nonce"],
                    "client_id": self._oidc.client_id,
                    "access_token": answer.get("access_token"),
                },
            )
            claims.validate(leeway=_LEEWAY_S)
        except Exception as error:
            self._forget()  # the keys may have been changed
            raise OidcError(f"the ID token is not accepted: {type(error).__name__}: {error}") from error
        return dict(claims)

    def _person(self, metadata: _Metadata, claims: dict[str, Any]) -> Person:
        subject = str(claims["sub"])
        found = claims.get(self._oidc.groups_claim, ())
        groups = [found] if isinstance(found, str) else found if isinstance(found, (list, tuple)) else []
        email = claims.get("email") if claims.get("email_verified") is True else None
        # What people can call themselves at the provider makes nobody an admin.
        listed = subject in self._settings.admins or (bool(email) and email in self._settings.admins)
        role = role_of(
            self._settings, listed, [each for each in groups if isinstance(each, str)], otherwise=None
        )
        names = (claims.get(key) for key in ("preferred_username", "email", "name", "sub"))
        name = next((n for n in names if isinstance(n, str) and not users.name_problem(n)), "somebody")
        identity = hashlib.sha256(f"{metadata.issuer}\0{subject}".encode()).digest()
        return Person(identity, name.strip(), role)

    def _session(self, metadata: _Metadata, redirect_url: str) -> Any:
        from authlib.integrations.requests_client import OAuth2Session  # noqa: PLC0415 # part of an extra

        return OAuth2Session(
            self._oidc.client_id,
            self._oidc.client_secret,
            token_endpoint_auth_method=metadata.auth_method,
            scope=self._oidc.scopes,
            redirect_uri=redirect_url,
            code_challenge_method="S256",
        )

    def _about(self) -> _Metadata:
        """Return what the provider says of itself: kept for an hour, failures for seconds."""
        with self._lock:
            metadata, failed, age_s = self._metadata, self._failed, time.monotonic() - self._read_at
        if metadata is not None and age_s < _KEPT_S:
            return metadata
        if failed is not None and age_s < _RETRY_S:
            raise failed
        found: _Metadata | None = None
        try:
            found = self._read()
        except Exception as error:
            told = OidcError(f"{self._oidc.discovery_url}: {type(error).__name__}: {error}")
            with self._lock:
                self._metadata, self._failed, self._read_at = None, told, time.monotonic()
            raise told from error
        with self._lock:
            self._metadata, self._failed, self._read_at = found, None, time.monotonic()
        return found

    def _forget(self) -> None:
        with self._lock:
            self._metadata = None

    def _read(self) -> _Metadata:
        from joserfc.jwk import KeySet  # noqa: PLC0415 # part of an extra

        found = _fetched(self._oidc.discovery_url)
        issuer = str(found["issuer"])
        if issuer.rstrip("/") + WELL_KNOWN != self._oidc.discovery_url:
            raise OidcError(f"it speaks for another issuer, {issuer!r:.200}")
        addresses = {name: _safe(str(found[name])) for name in ("authorization_endpoint", "token_endpoint")}
        methods = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        keys = KeySet.import_key_set(_fetched(str(found["jwks_uri"])))
        return _Metadata(issuer, **addresses, auth_method=method, keys=keys)


def _fetched(address: str) -> Any:
    import requests  # noqa: PLC0415 # part of an extra

    answer = requests.get(_safe(address), timeout=_TIMEOUT_S, allow_redirects=False)
    if answer.status_code != requests.codes.ok:
        raise OidcError(f"{address} answered {answer.status_code}")
    return answer.json()


def _safe(address: str) -> str:
    """Return an address that nobody between can answer for: TLS, or this machine."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return address
    raise OidcError(f"{address!r:.200} is no https address")
