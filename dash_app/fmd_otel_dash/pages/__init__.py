"""All pages: one module a route, in the order of the menu."""

from __future__ import annotations

from fmd_otel_dash.pages import (
    daily,
    endpoint,
    endpoint_grouped,
    endpoint_hourly,
    endpoint_profile,
    endpoint_profiler,
    endpoint_status,
    endpoint_versions,
    hourly,
    not_found,
    overview,
    performance,
    profiles,
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
    profiles.PAGE,
    endpoint.PAGE,
    endpoint_hourly.PAGE,
    endpoint_versions.PAGE,
    endpoint_status.PAGE,
    requests.ENDPOINT_PAGE,
    endpoint_profiler.PAGE,
    endpoint_profile.PAGE,
    endpoint_grouped.PAGE,
    request_detail.PAGE,
    users.PAGE,
    storage.PAGE,
)
NOT_FOUND = not_found.PAGE
