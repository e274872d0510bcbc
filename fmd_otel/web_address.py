"""The URL of a request, from its WSGI environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.wsgi import get_current_url

if TYPE_CHECKING:
    from collections.abc import Mapping

_NEEDED = (
    "wsgi.url_scheme",
    "HTTP_HOST",
    "SERVER_NAME",
    "SERVER_PORT",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
)


def address_of(environ: Mapping[str, Any]) -> str:
    """Return the URL as the client asked for it, query included and nothing scrubbed.

    Where the host's name is none, without it.
    """
    try:
        return str(get_current_url({name: environ[name] for name in _NEEDED if name in environ}))
    except Exception:  # noqa: BLE001 # clients write what they like into Host
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}"
        query = environ.get("QUERY_STRING")
        return f"{path}?{query}" if query else path
