"""The API's routes: who may ask, how often, and in which form the answer goes out."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import time
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, jsonify, request

from fmd_otel_dash.api.limit import WRONG_TOKENS, WRONG_TOKENS_PER_S, Limit
from fmd_otel_dash.api.openapi import document
from fmd_otel_dash.api.parameters import BadRequestError, scope_of
from fmd_otel_dash.api.resources import RESOURCES, Answer, Resource
from fmd_otel_dash.auth.identity import identify
from fmd_otel_dash.exports import safe
from fmd_otel_dash.queries.scope import Scope, local_time
from fmd_otel_dash.surroundings import version_starts
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_dash.services import Services

PREFIX = "/api/v1"
_BEARER = "bearer "


def blueprint(services: Services) -> Blueprint:
    """Return the routes; they ask for a token or a session by themselves."""
    routes = Blueprint("api", __name__, url_prefix=PREFIX)
    limit, wrong = Limit(), Limit(WRONG_TOKENS, WRONG_TOKENS_PER_S)

    @routes.before_request
    def admit() -> Response | None:
        client = services.outside.client(request.environ)
        token = _token_given()
        # Counted before it is looked at: of a hundred guesses at the same moment, all but a few have to wait.
        wait_s = 0 if token is None else wrong.take(client)
        if wait_s:
            return _wait(wait_s, f"Too many wrong tokens from {client}")
        caller = caller_of(services, token)
        if token is not None and caller is not None:
            wrong.give_back(client)
        if caller is None:
            answer = _problem(401, _how_to_get_in(services))
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        wait_s = limit.take(caller)
        return _wait(wait_s, "Too many requests") if wait_s else None

    @routes.get("/openapi.json")
    def openapi() -> Response:
        return jsonify(document(RESOURCES, prefix=services.settings.prefix))

    @routes.errorhandler(BadRequestError)
    def bad_request(error: BadRequestError) -> Response:
        return _problem(400, str(error))

    @routes.errorhandler(FmdOtelError)
    def unavailable(_error: FmdOtelError) -> Response:
        return _problem(503, "The database cannot be used at the moment; the dashboard's log says why.")

    for resource in RESOURCES:
        routes.add_url_rule(f"/{resource.name}", resource.name, _answering(services, resource))
    return routes


def caller_of(services: Services, token: str | None) -> str | None:
    """Return who asks: whoever has the token, or is signed in; None for anybody else."""
    if token is not None:
        wanted = services.settings.security_token
        return "token" if wanted and hmac.compare_digest(_digest(token), _digest(wanted)) else None
    user = identify(services)
    if user is None:
        return None
    g.user = user
    return f"{user.way} {user.id or user.name}"


def _token_given() -> str | None:
    given = request.headers.get("Authorization", "")
    return given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else None


def _digest(token: str) -> bytes:
    """Return what is compared instead of a token: as long for each, so that not even its length is told."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()


def _answering(services: Services, resource: Resource) -> Any:
    def answer() -> Response:
        given = _given(resource)
        scope = _scope(services, resource, given)
        found = resource.answer(services.store, scope, given)
        if given["format"] == "csv":
            return _csv(resource, found)
        body: dict[str, Any] = {"data": list(found.rows), "next": found.following}
        if resource.ranged:
            start, end = (local_time(us, scope.zone).isoformat() for us in (scope.start_us, scope.end_us))
            body["range"] = {"from": start, "to": end, "timezone": scope.tz}
        return jsonify(body)

    return answer


def _given(resource: Resource) -> dict[str, Any]:
    known = {each.name: each for each in resource.parameters}
    unknown = sorted(set(request.args) - set(known))
    if unknown:
        raise BadRequestError(f"there is no parameter {unknown[0]!r:.60}; there are {', '.join(known)}")
    return {name: each.read(request.args.getlist(name)) for name, each in known.items()}


def _scope(services: Services, resource: Resource, given: Mapping[str, Any]) -> Scope:
    if not resource.ranged:
        return Scope(0, 0, services=given["service"])
    starts = version_starts(services)
    return scope_of(
        given,
        now_us=time.time_ns() // 1000,
        default_tz=services.settings.timezone,
        started=lambda name: starts.get(name),  # noqa: PLW0108 # of the overloads, only this one fits
    )


def _csv(resource: Resource, found: Answer) -> Response:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([field.name for field in resource.fields])
    writer.writerows(
        ["" if row[field.name] is None else safe(row[field.name]) for field in resource.fields]
        for row in found.rows
    )
    answer = Response(text.getvalue(), mimetype="text/csv")
    if found.following:
        answer.headers["X-Next-Cursor"] = found.following
    return answer


def _problem(status: int, message: str) -> Response:
    answer = jsonify(error=message)
    answer.status_code = status
    return answer


def _wait(seconds: int, why: str) -> Response:
    answer = _problem(429, f"{why}; try again in {seconds} s.")
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _how_to_get_in(services: Services) -> str:
    if services.settings.security_token:
        return (
            "Send the header Authorization: Bearer and the token of the setting SECURITY_TOKEN, or sign in."
        )
    return "Set SECURITY_TOKEN and send it as Authorization: Bearer, or sign in to the dashboard."
