"""Who is asking: the address of the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel.group_by import plain_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def remote_address(environ: Mapping[str, Any]) -> str | None:
    """Return the address the server saw, or the one Werkzeug's ``ProxyFix`` put in its place.

    Headers such as ``X-Forwarded-For`` are not looked at: anybody can send them, and only the application
    knows how many proxies to trust. A server that listens on a Unix socket knows no address.
    """
    address = environ.get("REMOTE_ADDR")
    if not address:
        return None
    return address if type(address) is str else str(address)


def custom_address(get_ip: Callable[[], Any]) -> str | None:
    """Return what the user's ``get_ip`` says, as text; what that raises, the caller counts."""
    address = get_ip()
    if not address:
        return None
    return plain_text(address if isinstance(address, str) else str(address))
