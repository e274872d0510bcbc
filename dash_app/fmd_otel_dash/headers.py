"""What every answer carries: a policy that lets nothing in from elsewhere, and how long it may be kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flask import Response

YEAR_S = 31_536_000
_KEPT = ("/assets/", "/_dash-component-suites/")


def content_security_policy(script_hashes: Sequence[str]) -> str:
    """Return the policy: all from here, no inline script but Dash's one, no ``eval``, no frame around us.

    Inline styles stay allowed: the component libraries set them, and cannot be told not to.
    """
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *script_hashes)),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "object-src 'none'",
        )
    )


class Headers:
    """Adds them; registered to run after every request."""

    def __init__(self, policy: str) -> None:
        self._policy = policy

    def add(self, response: Response) -> Response:
        """Complete one answer."""
        headers = response.headers
        headers["Content-Security-Policy"] = self._policy
        headers["X-Content-Type-Options"] = "nosniff"
        headers["X-Frame-Options"] = "DENY"
        headers["Referrer-Policy"] = "no-referrer" if request.path == "/setup" else "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(), interest-cohort=()"
        if not request.path.startswith(_KEPT) or response.status_code >= 400:  # noqa: PLR2004 # errors are not kept
            headers["Cache-Control"] = "no-store"
        return response
