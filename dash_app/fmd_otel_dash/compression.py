"""Answers go out compressed; libraries and assets, which never change while we run, are compressed once."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import request
from flask_compress import Compress

from fmd_otel_dash.headers import YEAR_S

if TYPE_CHECKING:
    from flask import Flask, Request, Response

_STATIC = ("/assets/", "/_dash-component-suites/")
_MAX_ENTRIES = 200


class StaticCache:
    """Compressed bodies of static files by algorithm and address: a bounded number, and none is forgotten."""

    def __init__(self) -> None:
        self._bodies: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """Return a body compressed before."""
        return self._bodies.get(key)

    def set(self, key: str, body: bytes) -> None:
        """Keep a body, unless its key says that it is different for everybody."""
        if not key.endswith(";") and len(self._bodies) < _MAX_ENTRIES:
            self._bodies[key] = body


def cache_key(request: Request) -> str:
    """Return what tells static bodies apart; nothing for all others."""
    # Without the query: anybody may add one, and it selects nothing.
    return request.path if request.path.startswith(_STATIC) else ""


def compress(server: Flask) -> None:
    """Set compression up."""
    server.config.update(
        COMPRESS_ALGORITHM=["br", "zstd", "gzip"],
        COMPRESS_CACHE_BACKEND=StaticCache,
        COMPRESS_CACHE_KEY=cache_key,
        COMPRESS_BR_LEVEL=5,
        COMPRESS_MIN_SIZE=1000,
        COMPRESS_STREAMS=False,
        SEND_FILE_MAX_AGE_DEFAULT=YEAR_S,
    )
    Compress(server)
    server.after_request(_whole)


def _whole(response: Response) -> Response:
    """Read a file that is about to be sent: streams would be compressed anew each time, or not at all."""
    if response.is_streamed and response.status_code == HTTPStatus.OK and cache_key(request):
        response.direct_passthrough = False
        response.set_data(response.get_data())
    return response
