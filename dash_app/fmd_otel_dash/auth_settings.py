"""Ways to sign in beside a password of our own. Light, as all settings: each way is off until it is set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYBODY = "*"
"""In place of groups: whoever the other side has signed in."""


@dataclass(frozen=True)
class OidcSettings:
    """An OpenID Connect provider."""

    discovery_url: str
    client_id: str
    client_secret: str = field(repr=False)
    groups_claim: str = "groups"
    scopes: str = "openid profile email"
    redirect_url: str | None = None
    """The dashboard's own address for the way back; None: as the browser addresses it."""


@dataclass(frozen=True)
class AuthSettings:
    """Who else may say who somebody is."""

    hook: Callable[[dict[str, Any]], Any] | None = None
    """Asked for each request, with its WSGI environment; once it is set, nobody else is."""
    login_url: str | None = None
    """Where those go whom the hook does not know; None tells them no more than that."""
    logout_url: str | None = None
    """Where those sign out whom somebody else has signed in."""
    proxy_header: str | None = None
    proxy_trusted: tuple[str, ...] = ()
    """Addresses and networks whose header counts; ``unix`` for a peer on a Unix socket."""
    proxy_role_header: str | None = None
    oidc: OidcSettings | None = None
    admins: tuple[str, ...] = ()
    admin_groups: tuple[str, ...] = ()
    guest_groups: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> bool:
        """Whether somebody can get in without any user of ours, so that no set-up link is needed."""
        return self.hook is not None or bool(self.proxy_header) or self.oidc is not None
