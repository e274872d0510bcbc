"""All pages: one module a route, in the order of the menu."""

from __future__ import annotations

from fmd_otel_dash.pages import not_found, overview

PAGES = (overview.PAGE,)
NOT_FOUND = not_found.PAGE
