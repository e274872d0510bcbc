"""A small OpenID Connect provider that serves on this machine, and can be told to misbehave."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any
from urllib.parse import urlencode

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from flask import Flask, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from werkzeug.serving import make_server

CLIENT_ID, CLIENT_SECRET = "dashboard", "a secret of both, long enough to sign with"


class Provider:
    """Signs in whoever asks, as ``claims`` says."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.sign_with: Any = self.key
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "one"}
        self.claims: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.answer: dict[str, str] = {}
        self.issuer_said: str | None = None
        self.raw: str | None = None
        self.calls: list[str] = []
        self._server = make_server("127.0.0.1", 0, self._app(), threaded=True)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realm"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _app(self) -> Flask:
        app = Flask("provider")

        @app.before_request
        def count() -> None:
            self.calls.append(request.path)

        @app.get("/realm/.well-known/openid-configuration")
        def discovery() -> Any:
            return jsonify(
                issuer=self.issuer_said or self.issuer,
                authorization_endpoint=f"{self.issuer}/authorize",
                token_endpoint=f"{self.issuer}/token",
                jwks_uri=f"{self.issuer}/keys",
            )

        @app.get("/realm/keys")
        def keys() -> Any:
            return jsonify(keys=[self.key.as_dict(private=False)])

        @app.get("/realm/authorize")
        def authorize() -> Any:
            asked = request.args
            assert asked["response_type"] == "code"
            assert asked["client_id"] == CLIENT_ID
            assert asked["code_challenge_method"] == "S256"
            assert "openid" in asked["scope"].split()
            code = secrets.token_urlsafe(16)
            self.codes[code] = asked.to_dict()
            back = {"code": code, "state": asked["state"], **self.answer}
            return redirect(f"{asked['redirect_uri']}?{urlencode(back)}")

        @app.post("/realm/token")
        def token() -> Any:
            given, login = request.form, request.authorization
            asked = self.codes.pop(given["code"], None)  # good for once
            if (
                asked is None
                or login is None
                or (login.username, login.password) != (CLIENT_ID, CLIENT_SECRET)
            ):
                return jsonify(error="invalid_grant"), 400
            challenge = create_s256_code_challenge(given["code_verifier"])
            if challenge != asked["code_challenge"] or given["redirect_uri"] != asked["redirect_uri"]:
                return jsonify(error="invalid_grant"), 400
            now = int(time.time())
            claims = {
                "iss": self.issuer,
                "aud": CLIENT_ID,
                "sub": "4711",
                "iat": now,
                "exp": now + 300,
                "nonce": asked["nonce"],
                **self.claims,
            }
            claims = {name: value for name, value in claims.items() if value is not None}
            signed = self.raw or jwt.encode(self.header, claims, self.sign_with)
            return jsonify(access_token="x", token_type="Bearer", id_token=signed)

        return app


def shared_key() -> OctKey:
    """Return the client's secret as a key: what somebody who knows it could sign with."""
    return OctKey.import_key(CLIENT_SECRET)


def other_key() -> RSAKey:
    """Return a key that claims to be the provider's."""
    return RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
