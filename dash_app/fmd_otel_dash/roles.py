"""Who may do what: two roles, and one question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["admin", "guest"]
ADMIN: Role = "admin"
GUEST: Role = "guest"
_RANK = {GUEST: 0, ADMIN: 1}


@dataclass(frozen=True)
class User:
    """Somebody who has signed in, as the user table knows them at this request."""

    id: int
    name: str
    role: Role

    def may(self, needed: Role) -> bool:
        """Tell whether the role suffices; a role that nobody knows suffices for nothing."""
        return _RANK.get(self.role, -1) >= _RANK[needed]
