"""The URL of a request, from its WSGI environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from werkzeug.wsgi import get_current_url

from fmd_otel.scrubbing import SCRUBBED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel.scrubbing.names import SensitiveNames

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


def path_values(environ: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the variable parts of a request's path, by the names that the route gives them."""
    return getattr(environ.get("werkzeug.request"), "view_args", None) or {}


def hidden_parts(values: Mapping[str, Any], names: SensitiveNames) -> list[str]:
    """Return the secret parts of a path, as they may stand in a URL: the token of ``/reset/<token>``."""
    secrets = [str(value) for name, value in values.items() if name in names and value not in {None, ""}]
    return [*secrets, *(quoted for secret in secrets if (quoted := quote(secret, safe="")) != secret)]


def without_parts(text: str, parts: list[str]) -> str:
    """Return a URL or a path without some of its parts."""
    for part in parts:
        text = text.replace(part, SCRUBBED)
    return text
