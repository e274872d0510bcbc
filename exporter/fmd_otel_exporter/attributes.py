"""Every span attribute that we write or read, named once."""

from __future__ import annotations

VERSION = "fmd.version"
GROUP_BY = "fmd.group_by"
ENDPOINT = "fmd.endpoint"
BLUEPRINT = "fmd.blueprint"
RECORDED = "fmd.recorded"
"""True on a span whose request the app side has counted already: an exporter must not count it again."""
PROFILE = "fmd.profile"
"""How a request was profiled, on the spans of those that were."""
PROFILE_SAMPLED = "sampled"
PROFILE_EXACT = "exact"
PROFILE_PERIOD = "fmd.profile.period_ms"
CLIENT_ADDRESS = "client.address"

SERVICE_NAME = "service.name"
SERVICE_VERSION = "service.version"

# HTTP semantic conventions, stable spelling first, then the one that instrumentations still write by default.
METHOD = ("http.request.method", "http.method")
STATUS = ("http.response.status_code", "http.status_code")
CLIENT = (CLIENT_ADDRESS, "net.peer.ip")
ROUTE = "http.route"
