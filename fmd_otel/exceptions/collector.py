"""Every exception counted once, some of them kept."""

from __future__ import annotations

import os
import weakref
from collections import deque
from itertools import count
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from fmd_otel.allowance import Allowance
from fmd_otel.backstage import backstage
from fmd_otel.exceptions.codepath import CodePaths, codes_of
from fmd_otel.exceptions.document import exception_document
from fmd_otel.exceptions.draft import calls_at, draft, message_of
from fmd_otel.web_address import address_of, hidden_parts, path_values, without_parts
from fmd_otel_exporter.documents import encode_document
from fmd_otel_exporter.forks import Forks
from fmd_otel_exporter.records import CAPTURED, ExceptionRecord

if TYPE_CHECKING:
    from types import FrameType

    from fmd_otel.exceptions.codepath import Group
    from fmd_otel.exceptions.draft import DraftLink
    from fmd_otel.monitor import Monitor
    from fmd_otel.places import Places
    from fmd_otel.request_state import RequestState
    from fmd_otel_exporter.records import RequestRecord

MOST_OF_ONE_REQUEST = 1000
"""Exceptions of one request that are counted."""
KEPT_AT_ONCE = 5
"""Of one group, by one process; then one more in every ``KEPT_EVERY_S``."""
KEPT_EVERY_S = 60.0
ALL_KEPT_AT_ONCE = 50
"""Of all groups together: a storm of a thousand kinds is a storm too."""
ALL_KEPT_EVERY_S = 0.5
AT_ONCE = 20
"""Exceptions that are only counted and that a process hands over one by one in a second; the others are added
up first."""
MOST_HELD = 50_000
"""That are being added up; the next one is handed over by itself."""
OUTSIDE = ""
"""Endpoint of exceptions that were captured outside of any request."""
_MARK = "_fmd_otel_met"
_HOUR_US = 3_600_000_000

_marks = count(1)


class _Draft(NamedTuple):
    """What is kept of an exception beyond its count, before it is put into words."""

    links: list[DraftLink]
    address: str
    method: str


class _Whose(NamedTuple):
    """The request that met an exception."""

    endpoint: str = OUTSIDE
    span_id: bytes = bytes(8)
    trace_id: bytes = bytes(16)
    group_by: str | None = None
    status: int | None = None


_NOBODYS = _Whose()


class Sighting:
    """An exception that a request has met."""

    __slots__ = ("_mark", "_reference", "draft", "group", "kind", "message", "ts_us")

    def __init__(self, error: BaseException, kind: int, group: Group) -> None:
        """Note an exception without keeping it: it would keep its frames."""
        self.kind = kind
        self.group = group
        self.message = ""
        self.ts_us = time_ns() // 1000
        self.draft: _Draft | None = None
        self._mark = 0
        self._reference: Any = None
        try:
            self._reference = weakref.ref(error)
        except TypeError:
            # Python's own exceptions cannot be referred to so. They carry a number instead; those of the
            # application do not, as it may do anything with their attributes, such as send them to clients.
            self._mark = next(_marks)
            error.__dict__[_MARK] = self._mark

    def is_of(self, error: BaseException) -> bool:
        """Tell whether this is that very exception."""
        if self._reference is not None:
            return self._reference() is error
        return bool(error.__dict__.get(_MARK) == self._mark)


class Exceptions:
    """The exceptions of one application."""

    def __init__(self, monitor: Monitor, places: Places, *, keep_variables: bool = False) -> None:
        """Count the exceptions of a monitored application.

        Args:
            monitor: Says whose they are, and takes them.
            places: Tells the application's code from libraries.
            keep_variables: Keep local variables too.
        """
        self._monitor = monitor
        self._places = places
        self._keep_variables = keep_variables
        self._paths = CodePaths(monitor.service, places)
        self._of_one = Allowance(KEPT_AT_ONCE, KEPT_EVERY_S)
        self._of_all = Allowance(ALL_KEPT_AT_ONCE, ALL_KEPT_EVERY_S)
        self._one_by_one = Allowance(AT_ONCE, 1 / AT_ONCE)
        self._forks = Forks()
        self._hold_nothing()

    def _hold_nothing(self) -> None:
        self._held: deque[ExceptionRecord] = deque()
        self._is_adding_up = False
        self._pid = os.getpid()  # last: whoever reads it goes on with the rest

    def saw(
        self,
        error: BaseException,
        kind: int,
        state: RequestState | None = None,
        environ: dict[str, Any] | None = None,
        caller: FrameType | None = None,
    ) -> None:
        """Count an exception, once for each request that meets it.

        Args:
            error: The exception.
            kind: What became of it, as far as is known; what is learnt later about the same one prevails.
            state: The request, if it was met in one.
            environ: The request's environment, if it is at hand.
            caller: Where it was captured, for one that was never raised.
        """
        if state is not None and (known := _known(state, error)) is not None:
            if kind != CAPTURED:
                known.kind = kind
            return
        codes = codes_of(error)
        calls = calls_at(caller) if not codes else None
        if calls:
            codes = [call.code for call in calls if call.code is not None]
        group = self._paths.group_of(error, codes)
        sighting = Sighting(error, kind, group)
        if self._of_one.take(group.id) and self._of_all.take(0):
            links = draft(error, calls, self._places if self._keep_variables else None)
            sighting.message = message_of(error)
            sighting.draft = _Draft(links, *self._request_line(environ))
        if state is None:
            self._hand_over(sighting, _NOBODYS)
        elif state.done:  # in a thread that outlives its request
            span_id, trace_id = state.span_id.to_bytes(8, "big"), state.trace_id.to_bytes(16, "big")
            whose = _Whose(state.endpoint or OUTSIDE, span_id, trace_id, state.group_by, state.status)
            self._hand_over(sighting, whose)
        elif state.sightings is None:
            state.sightings = [sighting]
        elif len(state.sightings) < MOST_OF_ONE_REQUEST:
            state.sightings.append(sighting)
        else:
            self._monitor.guard.count("exceptions of one request")

    def _request_line(self, environ: dict[str, Any] | None) -> tuple[str, str]:
        if environ is None:
            return "", ""
        hidden = hidden_parts(path_values(environ), self._monitor.scrubber.names)
        return without_parts(address_of(environ), hidden), environ.get("REQUEST_METHOD", "")

    def end(self, state: RequestState, request: RequestRecord) -> None:
        """Hand over what a request has met, now that it is known whose request it was."""
        sightings, state.sightings = state.sightings, None
        if request.level == 0:
            return
        whose = _Whose(request.endpoint, request.span_id, request.trace_id, request.group_by, request.status)
        for sighting in sightings or ():
            self._hand_over(sighting, whose)

    def _hand_over(self, sighting: Sighting, whose: _Whose) -> None:
        monitor, group = self._monitor, sighting.group
        record = ExceptionRecord(
            monitor.service,
            whose.endpoint,
            monitor.version,
            sighting.ts_us,
            whose.span_id,
            whose.trace_id,
            group.id,
            sighting.kind,
            group.type,
            "",
            whose.group_by,
            None,
            group.place,
        )
        kept = sighting.draft
        if kept is None:
            self._count(record)
            return

        def finish() -> None:
            monitor.pipeline.offer_detail(self._with_document(record, sighting.message, kept, whose.status))

        # Outside of requests nobody waits; and the process may be about to end.
        if whose is _NOBODYS:
            finish()
        elif not backstage().submit(finish):
            monitor.pipeline.offer_detail(record)

    def _count(self, record: ExceptionRecord) -> None:
        """Hand over what is only counted: at once, or in a storm together with others of its kind."""
        if self._pid != os.getpid():  # what was held when the process was forked, the parent hands over
            self._forks.notice(lambda: self._pid, self._hold_nothing)
        held = self._held
        if self._one_by_one.take(0) or len(held) >= MOST_HELD:
            self._monitor.pipeline.offer_detail(record)
            return
        held.append(record)
        if not self._is_adding_up:
            self._is_adding_up = True
            if not backstage().later(self._add_up):
                self._add_up()

    def _add_up(self) -> None:
        """Hand over what was held back: one record for all that differ in nothing but their time."""
        self._is_adding_up = False
        held = self._held
        alike: dict[tuple[Any, ...], tuple[ExceptionRecord, int]] = {}
        for _ in range(len(held)):
            try:
                record = held.popleft()
            except IndexError:  # somebody else adds up as well
                break
            key = (record.endpoint, record.group_id, record.kind, record.group_by, record.ts_us // _HOUR_US)
            alike[key] = record, alike.get(key, (record, 0))[1] + 1
        for record, n in alike.values():
            self._monitor.pipeline.offer_detail(record._replace(n=n))

    def _with_document(
        self, record: ExceptionRecord, message: str, kept: _Draft, status: int | None
    ) -> ExceptionRecord:
        try:
            scrubbed = self._monitor.scrubber.record()
            of_request: dict[str, Any] = {"status": status}
            if kept.address:
                of_request |= {"url": scrubbed.url(kept.address, "url"), "method": kept.method}
            document = exception_document(kept.links, scrubbed, self._places, **of_request)
            return record._replace(
                message=scrubbed.value(message, "message"), document=encode_document(document)
            )
        except Exception as error:  # noqa: BLE001 # counted all the same
            self._monitor.guard.failed("exception's document", error)
            return record


def _known(state: RequestState, error: BaseException) -> Sighting | None:
    for sighting in reversed(state.sightings or ()):
        if sighting.is_of(error):
            return sighting
    return None
