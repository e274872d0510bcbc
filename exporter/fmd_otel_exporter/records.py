"""What one served request is, once the request itself is gone."""

from __future__ import annotations

from typing import NamedTuple


class RequestRecord(NamedTuple):
    """One request, as it travels from the web worker to the database.

    A named tuple because it is made once per request on the request's own thread: nothing cheaper has names.
    """

    service: str
    """Which application: ``service.name``, or the Flask app's name where the user set none."""
    endpoint: str
    """Blueprint-qualified Flask endpoint (``shop.cart``), or ``METHOD /route`` for spans from elsewhere."""
    ts_us: int
    """When the request entered the WSGI application: microseconds since the epoch, UTC."""
    span_id: bytes
    """8 bytes, as in W3C trace context."""
    trace_id: bytes
    """16 bytes."""
    duration_us: int
    """From the WSGI entry to the end of the response body, by a monotonic clock."""
    status: int
    """HTTP status code that the server was given."""
    method: str
    version: str
    group_by: str | None = None
    """What ``config.group_by`` returned, as text; usually the user."""
    ip: str | None = None
    headers_us: int | None = None
    """Time to the response headers, for streamed bodies only; otherwise it equals ``duration_us``."""
    level: int = 1
    """Monitor level the request was served under. Level 0 leaves no row, only the endpoint's count."""
    route: str | None = None
    blueprint: str | None = None


class EndpointInfo(NamedTuple):
    """An endpoint that the app announces before anybody has called it."""

    service: str
    endpoint: str
    route: str | None = None
    methods: str | None = None
    """Comma-separated, sorted, without HEAD and OPTIONS."""
    blueprint: str | None = None
