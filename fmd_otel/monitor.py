"""What one application's recorder needs to know, and what it asks of each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from fmd_otel.client_ip import custom_address, remote_address
from fmd_otel.exceptions.collector import Exceptions
from fmd_otel.exceptions.hooks import is_failure
from fmd_otel.group_by import group_text
from fmd_otel.guard import Guard
from fmd_otel.otel_internals import SPAN_KEY
from fmd_otel.places import Places
from fmd_otel.scrubbing import Scrubber
from fmd_otel.watch import WATCH_LEVEL, Watch
from fmd_otel_exporter import attributes
from fmd_otel_exporter.records import UNHANDLED, EndpointInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask
    from opentelemetry.util.http import ExcludeList

    from fmd_otel.request_state import RequestState
    from fmd_otel_exporter.records import DetailRecord, RequestRecord

_IMPLIED_METHODS = frozenset({"HEAD", "OPTIONS"})


class Sink(Protocol):
    """The part of the pipeline that a request meets."""

    def offer(self, record: RequestRecord) -> None:
        """Take a record; never blocks, never raises."""

    def offer_detail(self, record: DetailRecord) -> None:
        """Take more about a request, or an exception; the same."""

    def announce(self, infos: Sequence[EndpointInfo]) -> None:
        """Take endpoints that exist, requested or not."""

    def level_of(self, service: str, endpoint: str) -> int:
        """Return the monitor level in force."""


class KnownEndpoint(NamedTuple):
    """What is the same for every request of an endpoint."""

    blueprint: str | None
    span_attributes: dict[str, Any]


class Monitor:
    """One monitored application."""

    def __init__(  # noqa: PLR0913 # one argument for each thing that is configured
        self,
        app: Flask,
        *,
        service: str,
        version: str,
        pipeline: Sink,
        group_by: Any = None,
        get_ip: Any = None,
        excluded: ExcludeList | None = None,
        scrubber: Scrubber | None = None,
        exception_locals: bool = False,
    ) -> None:
        """Keep what requests of ``app`` are described with."""
        self.app = app
        self.service = service
        self.version = version
        self.pipeline = pipeline
        self.group_by = group_by
        self.get_ip = get_ip
        self.excluded = excluded
        self.guard = Guard()
        self.scrubber = scrubber or Scrubber()
        self.scrubber.failed = self.guard.failed
        self.places = Places(app)
        self.exceptions = Exceptions(self, self.places, keep_variables=exception_locals)
        self.watch = Watch(self.guard)
        self._take_profile = getattr(pipeline, "take_profile", _nothing_is_ordered)
        # As many as the application has endpoints; made-up URLs match none.
        self._known: dict[str, KnownEndpoint] = {}
        self._announced: set[str] = set()
        self._is_complete = False

    def setting_changed(self, name: str, value: Any) -> None:
        """Obey an assignment to ``fmd_otel.config``."""
        if name == "scrub":
            self.scrubber.hook = value
        else:
            setattr(self, name, value)

    def saw_failure(self, error: BaseException, state: RequestState) -> None:
        """Count an exception that a request ends with."""
        try:
            if is_failure(error):
                self.exceptions.saw(error, UNHANDLED, state)
        except Exception as failure:  # noqa: BLE001 # nothing of ours may reach the request
            self.guard.failed("exception", failure)

    def begin(self, state: RequestState, request: Any, environ: WSGIEnvironment) -> None:
        """Learn how closely to look at a request, as soon as its route is known."""
        rule = request.url_rule
        if rule is None or state.described or state.level >= 0:
            return
        endpoint = rule.endpoint
        state.level = self.pipeline.level_of(self.service, endpoint)
        state.is_ordered = is_ordered = self._take_profile(self.service, endpoint)
        if (state.level >= WATCH_LEVEL or is_ordered) and not (
            _stays_open(environ) or (self.excluded is not None and self.excluded.url_disabled(request.url))
        ):
            # Neither a URL that is not to be recorded nor a connection that is kept open.
            self.watch.begin(state, request, endpoint)

    def describe(self, state: RequestState, request: Any, environ: WSGIEnvironment) -> None:
        """Fill in the state of a request, and its span; the request context is the current one."""
        if self.excluded is not None and self.excluded.url_disabled(request.url):
            state.done = True
            return
        if not self._is_complete:
            self._announce_late_routes()
        rule = request.url_rule
        span_attributes: dict[str, Any]
        if rule is None:
            span_attributes = {attributes.RECORDED: True, attributes.VERSION: self.version}
        else:
            endpoint = rule.endpoint
            known = self._known.get(endpoint) or self._learn(endpoint)
            state.endpoint = endpoint
            state.route = rule.rule
            state.blueprint = known.blueprint
            if state.level < 0:
                state.level = self.pipeline.level_of(self.service, endpoint)
            span_attributes = known.span_attributes
        state.method = environ.get("REQUEST_METHOD", state.method)
        if _stays_open(environ):
            # It lasts as long as somebody keeps a page open: counted, but no latency.
            state.level = 0
        if state.level != 0:
            span_attributes = self._describe_client(state, environ, span_attributes)
        else:
            state.ip = None
        span = environ.get(SPAN_KEY)
        if span is not None:
            _describe_span(span, state, span_attributes)
        if state.watchers is not None and state.watchers.describing:
            self.watch.describe(state, request, span)

    def _describe_client(
        self, state: RequestState, environ: WSGIEnvironment, span_attributes: dict[str, Any]
    ) -> dict[str, Any]:
        """Note who asked, which level 0 does not want to know."""
        span_attributes = span_attributes.copy()
        state.ip = address = self._address(environ)
        if address is not None:
            span_attributes[attributes.CLIENT_ADDRESS] = address
        if self.group_by is not None:
            state.group_by = group = self._group()
            if group is not None:
                span_attributes[attributes.GROUP_BY] = group
        return span_attributes

    def announce(self) -> None:
        """Tell the pipeline every endpoint of the application that it does not know yet."""
        known = self._announced
        infos = [info for info in endpoint_infos(self.app, self.service) if info.endpoint not in known]
        if infos:
            known.update(info.endpoint for info in infos)
            self.pipeline.announce(infos)

    def _announce_late_routes(self) -> None:
        """Do it again at the first request: many applications add routes after they are instrumented."""
        self._is_complete = True
        try:
            self.announce()
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach the request
            self.guard.failed("announcement", error)

    def _learn(self, endpoint: str) -> KnownEndpoint:
        blueprint = endpoint.rpartition(".")[0] or None
        span_attributes: dict[str, Any] = {
            attributes.RECORDED: True,
            attributes.VERSION: self.version,
            attributes.ENDPOINT: endpoint,
        }
        if blueprint is not None:
            span_attributes[attributes.BLUEPRINT] = blueprint
        known = self._known[endpoint] = KnownEndpoint(blueprint, span_attributes)
        return known

    def _address(self, environ: WSGIEnvironment) -> str | None:
        get_ip = self.get_ip
        if get_ip is not None:
            try:
                return custom_address(get_ip)
            except Exception as error:  # noqa: BLE001 # the user's function, of which anything may come
                self.guard.failed("get_ip", error)
        return remote_address(environ)

    def _group(self) -> str | None:
        try:
            return group_text(self.group_by)
        except Exception as error:  # noqa: BLE001 # the user's function, of which anything may come
            self.guard.failed("group_by", error)
            return None


def _stays_open(environ: WSGIEnvironment) -> bool:
    """Tell whether a connection is kept as long as somebody looks at a page."""
    upgrade = environ.get("HTTP_UPGRADE")
    return upgrade is not None and upgrade.lower() == "websocket"


def _nothing_is_ordered(_service: str, _endpoint: str) -> bool:
    """Answer for a sink that takes no orders for profiles."""
    return False


def _describe_span(span: Any, state: RequestState, span_attributes: dict[str, Any]) -> None:
    if not state.span_id:
        context = span.get_span_context()
        state.span_id = context.span_id
        state.trace_id = context.trace_id
    span.set_attributes(span_attributes)


def endpoint_infos(app: Flask, service: str) -> Iterator[EndpointInfo]:
    """Yield the endpoints of an application, one each: its first rule, all methods, and all rules."""
    methods: dict[str, set[str]] = {}
    rules: dict[str, dict[str, set[str]]] = {}
    for rule in app.url_map.iter_rules():
        found = (rule.methods or set()) - _IMPLIED_METHODS
        methods.setdefault(rule.endpoint, set()).update(found)
        rules.setdefault(rule.endpoint, {}).setdefault(rule.rule, set()).update(found)
    for endpoint, by_rule in rules.items():
        yield EndpointInfo(
            service=service,
            endpoint=endpoint,
            route=next(iter(by_rule)),
            methods=_joined(methods[endpoint]) or None,
            blueprint=endpoint.rpartition(".")[0] or None,
            rules=tuple((_joined(found), rule) for rule, found in by_rule.items()),
        )


def _joined(methods: set[str]) -> str:
    return ",".join(sorted(methods))
