"""One entry span, one request: reading spans of any HTTP server instrumentation, in either spelling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, StatusCode

from fmd_otel_exporter import attributes as names
from fmd_otel_exporter.records import LARGEST_STATUS, RequestRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace import ReadableSpan

FLASK_SCOPE = "opentelemetry.instrumentation.flask"
NO_VERSION = "unknown"
NO_SERVICE = "unknown_service"
SERVER_ERROR = 500
NO_STATUS = 0
"""Nothing was answered, and nothing was raised: the client went away."""
_EXCEPTION = "exception"


def record_from_span(span: ReadableSpan) -> RequestRecord | None:
    """Return the request an entry span stands for, or ``None`` for any other span."""
    found: Mapping[str, Any] = span.attributes or {}
    context, start, end = span.context, span.start_time, span.end_time
    method = _text(_first(found, names.METHOD))
    if method is None or context is None or start is None or end is None or not is_entry(span):
        return None
    resource: Mapping[str, Any] = span.resource.attributes
    service = _text(resource.get(names.SERVICE_NAME)) or NO_SERVICE
    route = _text(found.get(names.ROUTE))
    status = _status(span, found)
    return RequestRecord(
        service=service,
        endpoint=_text(found.get(names.ENDPOINT)) or endpoint_name(method, route, status),
        ts_us=start // 1000,
        span_id=context.span_id.to_bytes(8, "big"),
        trace_id=context.trace_id.to_bytes(16, "big"),
        duration_us=max(end - start, 0) // 1000,
        status=status,
        method=method,
        version=_text(found.get(names.VERSION)) or _text(resource.get(names.SERVICE_VERSION)) or NO_VERSION,
        group_by=_text(found.get(names.GROUP_BY)),
        ip=_text(_first(found, names.CLIENT)),
        route=route,
        blueprint=_text(found.get(names.BLUEPRINT)),
    )


def is_entry(span: ReadableSpan) -> bool:
    """Tell whether a request came in with this span, from outside or from another app in the same process.

    The kind alone does not tell: Flask's span is INTERNAL when another span is current, say a gateway's.
    """
    if is_flask(span):
        return True
    return span.kind is SpanKind.SERVER and (span.parent is None or span.parent.is_remote)


def is_flask(span: ReadableSpan) -> bool:
    """Tell whether Flask's own instrumentation made this span."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == FLASK_SCOPE


def endpoint_name(method: str, route: str | None, status: int) -> str:
    """Return what a request without a Flask endpoint is counted under.

    Paths that match no route share one name for each class of status: whoever probes a million URLs makes no
    million endpoints.
    """
    if route:
        return f"{method} {route}"
    return unmatched(status)


def unmatched(status: int) -> str:
    """Return the name that unmatched paths share."""
    return f"unmatched:{status // 100}xx"


def _status(span: ReadableSpan, found: Mapping[str, Any]) -> int:
    said = _first(found, names.STATUS)
    try:
        status = None if said is None else int(said)
    except (TypeError, ValueError, OverflowError):
        status = None
    if status is not None and 0 <= status <= LARGEST_STATUS:
        return status
    # Or someone else's instrumentation wrote something odd; go by what happened.
    failed = span.status.status_code is StatusCode.ERROR or any(
        event.name == _EXCEPTION for event in span.events
    )
    return SERVER_ERROR if failed else NO_STATUS


def _first(found: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = found.get(key)
        if value is not None:
            return value
    return None


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
