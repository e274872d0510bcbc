"""All pages: one module a route, in the order of the menu."""

from __future__ import annotations

from fmd_otel_dash.pages import (
    daily,
    endpoint,
    endpoint_hourly,
    endpoint_status,
    endpoint_versions,
    hourly,
    not_found,
    overview,
    performance,
    reporting,
    request_detail,
    requests,
    storage,
    users,
    versions,
)

PAGES = (
    overview.PAGE,
    hourly.PAGE,
    versions.PAGE,
    daily.PAGE,
    performance.PAGE,
    reporting.PAGE,
    requests.PAGE,
    endpoint.PAGE,
    endpoint_hourly.PAGE,
    endpoint_versions.PAGE,
    endpoint_status.PAGE,
    requests.ENDPOINT_PAGE,
    request_detail.PAGE,
    users.PAGE,
    storage.PAGE,
)
NOT_FOUND = not_found.PAGE
