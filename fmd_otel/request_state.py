"""What is known of a request while it is served, and the record that comes of it."""

from __future__ import annotations

import random
import threading
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from fmd_otel.body import UNKNOWN, Body, announced_length, call_on_close
from fmd_otel.otel_internals import CONTEXT_KEY, SPAN_KEY, current_request_context
from fmd_otel_exporter.attributes import RECORDED
from fmd_otel_exporter.records import RequestRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from fmd_otel.exceptions.collector import Sighting
    from fmd_otel.monitor import Monitor
    from fmd_otel.profiler.place import Origin
    from fmd_otel.traces.steps import Steps
    from fmd_otel.watch import Frames, Party

STATE_KEY = "fmd_otel.request"
"""Where the state of a request lives in its WSGI environment; it goes along when middlewares copy that."""

UNMATCHED = tuple(f"unmatched:{hundreds}xx" for hundreds in range(10))
"""Endpoint of requests that no route answered, by status class: never one per URL, which anybody makes up."""

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"}
)
_OTHER_METHOD = "_OTHER"
"""OpenTelemetry's word for a method that somebody made up. One that a route accepts keeps its name."""

_BODILESS = frozenset({204, 304})
_NO_STATUS = 500
"""A request that ended without a status line is one that failed."""


class RequestState:
    """What is known of a request while it is served."""

    __slots__ = (
        "__weakref__",
        "_start_response",
        "blueprint",
        "described",
        "done",
        "due_ns",
        "endpoint",
        "greenlet",
        "group_by",
        "headers_ns",
        "inner",
        "ip",
        "is_ordered",
        "is_sending",
        "length",
        "level",
        "method",
        "monitor",
        "origin",
        "outlier",
        "profile",
        "profiler",
        "request",
        "route",
        "sightings",
        "span",
        "span_id",
        "start_ns",
        "status",
        "steps",
        "streamed",
        "thread_id",
        "trace_id",
        "ts_ns",
        "watchers",
    )

    def __init__(self, monitor: Monitor, environ: WSGIEnvironment, start_response: StartResponse) -> None:
        """Note when the request came; whatever else is needed is asked for once it is known."""
        self.start_ns = perf_counter_ns()
        self.ts_ns = time_ns()
        self.monitor = monitor
        self._start_response = start_response
        self.thread_id = threading.get_ident()
        self.method: str = environ.get("REQUEST_METHOD", "")
        self.ip: str | None = environ.get("REMOTE_ADDR")
        self.status = 0
        self.headers_ns = 0
        self.length = UNKNOWN
        """Bytes of the body that are still to come."""
        self.streamed = False
        self.done = False
        self.described = False
        self.inner: RequestState | None = None
        self.endpoint: str | None = None
        self.route: str | None = None
        self.blueprint: str | None = None
        self.group_by: str | None = None
        self.level = -1
        self.is_ordered = False
        """Somebody wants this very request profiled, whatever its level."""
        self.span_id = 0
        self.trace_id = 0
        self.sightings: list[Sighting] | None = None
        """Exceptions met so far; they are handed over with the request, when it is known whose it was."""
        self.watchers: Party | None = None
        """Who looks closer at this request; at level 1 nobody, and then the slots below stay empty."""
        self.request: Any = None
        """Flask's, as long as it runs."""
        self.due_ns = 0
        """When it will have become old enough for somebody to look at it."""
        self.span: Any = None
        """Its own one, recorded or not, as long as it runs."""
        self.steps: Steps | None = None
        """The spans below it so far, if there are any."""
        self.greenlet: tuple[Any, int] | None = None
        """The one it runs on, and the thread of that, where a thread runs several."""
        self.origin: Origin | None = None
        """Where its thread stood when it began."""
        self.is_sending = False
        """The application has returned, and its server sends what is there."""
        self.profiler: Any = None
        """Who makes a profile of it once it is old enough; afterwards nobody."""
        self.profile: Any = None
        self.outlier: Any = None

    def start_response(self, status: str, headers: list[tuple[str, str]], *args: Any, **kwargs: Any) -> Any:
        """Note the real status on its way to the server, while the request context is still alive."""
        try:
            self.headers_ns = perf_counter_ns()
            self.status = int(status[:3])
            self.length = announced_length(headers)
            if self.method == "HEAD" or self.status in _BODILESS:
                self.length = 0
            self.streamed = self.length == UNKNOWN
            if not self.described:
                context = current_request_context()
                if context is not None:
                    self.describe(context)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self.monitor.guard.failed("start_response", error)
        return self._start_response(status, headers, *args, **kwargs)

    def tear_down(self, context: Any) -> None:
        """Describe the request late: an exception passed through, or a middleware holds the status line back.

        Contexts made by ``copy_current_request_context`` share the environment and end whenever they like,
        maybe long before the request: they say nothing.
        """
        reference = context.request.environ.get(CONTEXT_KEY)
        if reference is None:
            if threading.get_ident() != self.thread_id:
                return
        elif reference() is not context:
            return
        self.describe(context)

    def describe(self, context: Any) -> None:
        """Take from the request context what is gone once the request is over, and write it on the span.

        Whatever happens, the span is marked as counted: our span processor would count it once more.
        """
        environ = context.request.environ
        monitor = self.monitor
        if environ.get(STATE_KEY, self) is not self:
            return
        if context.app is not monitor.app:
            mark_counted(environ)
            return
        self.described = True
        try:
            monitor.describe(self, context.request, environ)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            monitor.guard.failed("description", error)
            mark_counted(environ)

    def until_sent(self, body: Iterable[bytes], environ: WSGIEnvironment) -> Iterable[bytes]:
        """Return the body, changed no more than is needed to learn when its last byte has been sent."""
        if self.done:  # a URL that is not to be recorded
            return body
        try:
            kind = type(body)
            if kind is list or kind is tuple or self.length == 0:
                # Nothing is left to wait for; and servers look at a list's length, so it has to stay one.
                self.finish()
                return body
            self.is_sending = True  # before anybody is asked whether there is a profile, which has to know
            profile = self.profile
            file_wrapper = environ.get("wsgi.file_wrapper")
            if file_wrapper is not None and isinstance(file_wrapper, type) and isinstance(body, file_wrapper):
                # The server sends the file by itself, if it gets this very object.
                self.profiler = None
                if profile is not None:
                    profile.leave()
                call_on_close(body, self.finish)
                return body
            return Body(body, self) if profile is None else profile.stand_before(body, self)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self.monitor.guard.failed("body", error)
            self.finish()
            return body

    def take_ids(self) -> None:
        """Be named as the request's span is, if there is one; sooner than a description would."""
        if not self.span_id and self.span is not None:
            # A tuple, whose properties would take longer.
            self.trace_id, self.span_id = self.span.get_span_context()[:2]

    def look_after(self, now_ns: int, frames: Frames) -> None:
        """Let those look at it who were waiting for it to grow older; on the sampler's thread."""
        self.monitor.watch.look_after(self, now_ns, frames)

    def finish(self) -> None:
        """Hand the record over, once."""
        if self.done:
            return
        self.done = True
        try:
            now_ns = perf_counter_ns()
            if self.watchers:
                self.monitor.watch.end(self, now_ns)
            if self.inner is not None and not self.described:
                return
            record = self._record(now_ns)
            self.monitor.pipeline.offer(record)
            if self.sightings is not None:
                self.monitor.exceptions.end(self, record)
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self.monitor.guard.failed("finish", error)

    def fail(self, error: BaseException) -> None:
        """End with an exception that nobody has turned into an answer."""
        if not self.done:
            self.monitor.saw_failure(error, self)
        self.finish()

    def _record(self, now_ns: int) -> RequestRecord:
        monitor = self.monitor
        status = self.status or _NO_STATUS
        endpoint = self.endpoint
        level = self.level
        if endpoint is None:
            endpoint = UNMATCHED[status // 100 % 10]
        if level < 0:
            level = monitor.pipeline.level_of(monitor.service, endpoint)
        # Positional: by name it takes twice as long, and this is the one place that builds it.
        return RequestRecord(
            monitor.service,
            endpoint,
            self.ts_ns // 1000,
            (self.span_id or random.getrandbits(64)).to_bytes(8, "big"),
            (self.trace_id or random.getrandbits(128)).to_bytes(16, "big"),
            (now_ns - self.start_ns) // 1000,
            status,
            self.method if self.route is not None or self.method in _METHODS else _OTHER_METHOD,
            monitor.version,
            self.group_by,
            self.ip,
            (self.headers_ns - self.start_ns) // 1000 if self.streamed and self.headers_ns else None,
            level,
            self.route,
            self.blueprint,
        )


def mark_counted(environ: WSGIEnvironment) -> None:
    """Tell our span processor that this request's span needs no counting."""
    span = environ.get(SPAN_KEY)
    if span is not None:
        span.set_attribute(RECORDED, True)  # noqa: FBT003 # an attribute's value
