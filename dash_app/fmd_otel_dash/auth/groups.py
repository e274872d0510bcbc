"""From groups that somebody else keeps to our two roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fmd_otel_dash.auth_settings import EVERYBODY
from fmd_otel_dash.roles import ADMIN, GUEST, Role

if TYPE_CHECKING:
    from collections.abc import Collection

    from fmd_otel_dash.auth_settings import AuthSettings


def role_of(
    settings: AuthSettings,
    listed: bool,  # noqa: FBT001 # there is no other
    groups: Collection[str],
    *,
    otherwise: Role | None,
) -> Role | None:
    """Return the role of somebody; None: not let in.

    Args:
        settings: which groups are which.
        listed: whether ``AUTH_ADMINS`` names them.
        groups: theirs.
        otherwise: what they are where no group of guests is set.
    """
    if listed or not set(settings.admin_groups).isdisjoint(groups):
        return ADMIN
    if not settings.guest_groups:
        return otherwise
    if EVERYBODY in settings.guest_groups or not set(settings.guest_groups).isdisjoint(groups):
        return GUEST
    return None
