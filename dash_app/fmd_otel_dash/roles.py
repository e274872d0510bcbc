"""Who may do what: two roles, and one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["admin", "guest"]
ADMIN: Role = "admin"
GUEST: Role = "guest"
Way = Literal["password", "oidc", "hook", "proxy"]
"""How somebody is known: to us, to an identity provider, to the host application, or to a proxy."""
_RANK = {GUEST: 0, ADMIN: 1}


@dataclass(frozen=True)
class User:
    """Somebody who has signed in, as those know them at this request who let them in."""

    id: int
    """In the user table; 0 for those who are not in it."""
    name: str
    role: Role
    way: Way = "password"

    def may(self, needed: Role) -> bool:
        """Tell whether the role suffices; a role that nobody knows suffices for nothing."""
        return _RANK.get(self.role, -1) >= _RANK[needed]
