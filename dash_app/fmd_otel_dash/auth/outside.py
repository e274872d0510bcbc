"""People whom somebody else has signed in: the host application, or a proxy before us.

They are asked anew at every request, so nobody stays who is gone there. Whatever fails lets nobody in, and is
told once: these run for every request, and a log is no place for thousands of one line.
"""

from __future__ import annotations

import io
import ipaddress
import logging
from typing import TYPE_CHECKING, Any

from fmd_otel_dash.auth import users
from fmd_otel_dash.auth.groups import role_of
from fmd_otel_dash.roles import GUEST, User

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_dash.auth_settings import AuthSettings

log = logging.getLogger(__name__)

UNIX = "unix"
_NO_ID = 0
"""The user table knows nobody by this number."""
_BODY_KEYS = ("CONTENT_LENGTH", "CONTENT_TYPE", "HTTP_TRANSFER_ENCODING", "werkzeug.request")
_BEFORE_PROXY_FIX = "werkzeug.proxy_fix.orig"

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Outside:
    """Asks those whom the settings name."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._unix = UNIX in settings.proxy_trusted
        self._networks: tuple[_Network, ...] = tuple(
            ipaddress.ip_network(each, strict=False) for each in settings.proxy_trusted if each != UNIX
        )
        self._told: set[str] = set()

    @property
    def decides_alone(self) -> bool:
        """Whether passwords and sessions of ours count for nothing."""
        return self._settings.hook is not None

    def user(self, environ: Mapping[str, Any]) -> User | None:
        """Return who sends the request, if somebody else knows them."""
        if self._settings.hook is not None:
            return self._hooked(environ)
        if self._settings.proxy_header:
            return self._proxied(environ, self._settings.proxy_header)
        return None

    def client(self, environ: Mapping[str, Any]) -> str:
        """Return the address of whoever sends the request, by which failed attempts are counted.

        From a trusted proxy it is the last entry of ``X-Forwarded-For``, which that proxy wrote. From anybody
        else, also from a neighbour on a private network, the header is a claim that would change with each
        guess. Where ``ProxyFix`` is at work, it has put the client's address in place already.
        """
        address = _text(environ.get("REMOTE_ADDR"))
        forwarded = _text(environ.get("HTTP_X_FORWARDED_FOR"))
        if forwarded and _BEFORE_PROXY_FIX not in environ and self._trusts(address):
            try:
                return str(ipaddress.ip_address(forwarded.rpartition(",")[2].strip()))
            except ValueError:
                pass  # no address: the proxy itself it is
        return address or "unknown"

    def _hooked(self, environ: Mapping[str, Any]) -> User | None:
        hook = self._settings.hook
        if hook is None:
            return None
        # A copy, and without the body: what the hook reads or changes must not be missing afterwards.
        shown = {key: value for key, value in environ.items() if key not in _BODY_KEYS}
        shown["wsgi.input"] = io.BytesIO()
        shown["CONTENT_LENGTH"] = "0"
        try:
            answer = hook(shown)
        except Exception as error:  # noqa: BLE001 # the application's own; whatever it is, it lets nobody in
            self._tell("hook", "AUTH failed, and lets nobody in: %s: %s", type(error).__name__, error)
            return None
        if answer is None:
            return None
        name, role = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, answer)  # noqa: PLR2004 # name and role
        if role not in users.ROLES or not isinstance(name, str) or users.name_problem(name):
            self._tell(
                "answer",
                "AUTH lets nobody in: it returned %.80r instead of None, 'admin', 'guest' or (name, role)",
                answer,
            )
            return None
        return User(_NO_ID, name, role, "hook")

    def _proxied(self, environ: Mapping[str, Any], header: str) -> User | None:
        given = environ.get(_variable(header))
        if given is None:
            return None
        peer = peer_of(environ)
        if not self._trusts(peer):
            self._tell(
                "peer",
                "The header %s from %s is ignored: this peer is not in AUTH_PROXY_TRUSTED",
                header,
                peer or "a Unix socket",
            )
            return None
        name = _text(given)
        # Two headers of one name arrive as one with a comma: then one of them is not the proxy's.
        if not name or "," in name or users.name_problem(name):
            if name:
                self._tell("name", "The header %s is ignored: it holds no single user name", header)
            return None
        role = self._role(name, environ)
        return None if role is None else User(_NO_ID, name, role, "proxy")

    def _role(self, name: str, environ: Mapping[str, Any]) -> Any:
        settings = self._settings
        header = settings.proxy_role_header
        words = _text(environ.get(_variable(header), "")).split(",") if header else []
        groups = [word.strip() for word in words if word.strip()]
        if header and not settings.admin_groups and not settings.guest_groups:
            if name in settings.admins:
                return "admin"
            # Without groups to look for, the header itself names the role.
            return "admin" if groups == ["admin"] else GUEST
        return role_of(settings, name in settings.admins, groups, otherwise=GUEST)

    def _trusts(self, peer: str) -> bool:
        if not peer:
            return self._unix
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return any((mapped or address) in network for network in self._networks)

    def _tell(self, what: str, message: str, *values: object) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning("%s (said once)", message % values)


def peer_of(environ: Mapping[str, Any]) -> str:
    """Return the address at the other end of the connection, also where ``ProxyFix`` put the client's there.

    The client's is what a header says: whoever reaches the server directly could claim to be the proxy.
    """
    before = environ.get(_BEFORE_PROXY_FIX)
    found = (before if isinstance(before, dict) else environ).get("REMOTE_ADDR")
    return found.strip() if isinstance(found, str) else ""


def _variable(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _text(value: Any) -> str:
    """Return a header's text: WSGI hands over its bytes as Latin-1, proxies write UTF-8."""
    if not isinstance(value, str):
        return ""
    try:
        return value.encode("latin-1").decode("utf-8").strip()
    except UnicodeError:
        return ""
