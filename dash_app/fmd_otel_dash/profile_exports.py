"""Profiles as files, at ``/export`` plus the path of the page that shows them plus ``.speedscope.json``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound

from fmd_otel_dash import urlstate
from fmd_otel_dash.auth import gate
from fmd_otel_dash.formats.collapsed import collapsed
from fmd_otel_dash.formats.speedscope import speedscope

if TYPE_CHECKING:
    from fmd_otel_dash.formats import Exported
    from fmd_otel_dash.router import Router
    from fmd_otel_dash.surroundings import FlaskSurroundings

_TYPES = {
    "speedscope.json": "application/json",
    "collapsed.txt": "text/plain; charset=utf-8",
    "pprof.pb.gz": "application/octet-stream",
}


def blueprint(surroundings: FlaskSurroundings, router: Router) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("profile_exports", __name__, url_prefix="/export")

    def file(path: str, kind: str) -> Response:
        page = router.resolve(f"/{path}").page
        if page.profile is None:
            raise NotFound(f"There are no profiles at {path}")
        gate.require(page.role)
        state = urlstate.parse(request.query_string.decode("utf-8", "replace"))
        view = surroundings.view_of(f"/{path}", state, browser_tz=request.args.get("btz", ""))
        found = page.profile(view)
        if found is None:
            raise NotFound("There is no such profile")
        return _response(found, kind)

    for kind in _TYPES:
        routes.add_url_rule(
            f"/<path:path>.{kind}", kind.replace(".", "_"), file, defaults={"kind": kind}, methods=["GET"]
        )
    return routes


def _response(found: Exported, kind: str) -> Response:
    if kind == "pprof.pb.gz":
        from fmd_otel_dash.formats.pprof import pprof  # noqa: PLC0415 # protobuf is slow to import, and rarely needed

        data = pprof(found)
    else:
        data = speedscope(found) if kind == "speedscope.json" else collapsed(found)
    answer = Response(data, content_type=_TYPES[kind])
    name = re.sub(r"[^\w.-]+", "-", found.name, flags=re.ASCII).strip("-.") or "profile"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name[:120]}.{kind}"'
    return answer
