"""What one served request is, once the request itself is gone."""

from __future__ import annotations

from typing import NamedTuple

LARGEST_STATUS = 999
"""A status line has room for three digits; any other number counts as unknown, which is 0."""


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
    """Comma-separated, sorted, without HEAD and OPTIONS; of all its rules together."""
    blueprint: str | None = None
    rules: tuple[tuple[str, str], ...] = ()
    """All its rules, each with its methods: ``("GET,POST", "/cart")``."""


# What is kept of single requests beyond their row. These are rare and large where a request is frequent and
# small: they travel in a spool of their own, see Pipeline.offer_detail.

ON_CPU = "[on CPU]"
"""Function of the synthetic line for time on the CPU that could not be placed any deeper."""
TRUNCATED = "[truncated]"
"""Function of the synthetic line for what did not fit."""

UNHANDLED = 1
HANDLED = 2
CAPTURED = 3


class CodeLine(NamedTuple):
    """A line of code, known by its content: the same one in all requests, processes and releases."""

    file: str
    """Relative to the app's root for its own code, ``package/module.py`` for libraries; empty for synthetic
    lines such as :data:`ON_CPU`."""
    function: str
    """Qualified name."""
    line: int
    source: str | None
    """Text of the line when it ran, without the indent; None where there is none to be had."""
    in_app: bool


class ProfileNode(NamedTuple):
    """Where a call path ended for some time, or passed through."""

    parent: int
    """Index of the caller among the nodes, always less than the node's own; -1 at a root."""
    line: int
    """Index among the lines."""
    self_us: int
    """Wall time in this line itself, none of it in what it called."""
    self_cpu_us: int
    """The part of it on the CPU; the rest was spent waiting."""
    hits: int
    """Samples that ended here, or calls, where events and not samples were taken."""


class ProfileRecord(NamedTuple):
    """Where one request spent its time."""

    service: str
    endpoint: str
    version: str
    ts_us: int
    """As in the :class:`RequestRecord`; with the span it says which request this is about."""
    span_id: bytes
    trace_id: bytes
    duration_us: int
    cpu_us: int
    samples: int
    period_us: int
    exact: bool
    """Made from events by a one-shot profiler, which sees everything and slows everything down."""
    truncated: bool
    """Something was left out because there was too much."""
    lines: tuple[CodeLine, ...]
    nodes: tuple[ProfileNode, ...]
    price_us: int = 0
    """What it took to make it, measured; 0 where nobody has."""


class OutlierRecord(NamedTuple):
    """A request that took much longer than its endpoint's average."""

    service: str
    endpoint: str
    version: str
    ts_us: int
    span_id: bytes
    trace_id: bytes
    duration_us: int
    average_us: int
    """What the endpoint takes usually, as known then."""
    threshold_us: int
    status: int
    group_by: str | None
    ip: str | None
    cpu_percent: float | None
    """Load of the whole host, 0 to 100."""
    process_memory_bytes: int | None
    document: bytes
    """An :class:`.OutlierDocument`, by :func:`.encode_document`."""


class ExceptionRecord(NamedTuple):
    """An exception, met once."""

    service: str
    endpoint: str
    version: str
    ts_us: int
    """When it was met, which is after the request began."""
    span_id: bytes
    trace_id: bytes
    group_id: int
    """63 bits, a hash of the service, the type and the normalised path through the code."""
    kind: int
    """:data:`UNHANDLED`, :data:`HANDLED` or :data:`CAPTURED`."""
    type: str
    message: str
    group_by: str | None
    document: bytes | None
    """An :class:`.ExceptionDocument`; None for an exception that is only counted."""
    place: str = ""
    """Where it was raised, for people: ``shop/cart.py in Cart.total``. No line number: that moves."""
    n: int = 1
    """How many of the kind this stands for, where they were too many to be told one by one."""


class TraceRecord(NamedTuple):
    """What a request asked of others: its child spans."""

    service: str
    endpoint: str
    version: str
    ts_us: int
    span_id: bytes
    trace_id: bytes
    document: bytes
    """A :class:`.TraceDocument`."""


DetailRecord = ProfileRecord | OutlierRecord | ExceptionRecord | TraceRecord
