"""Work that a request hands to others: async views, copied request contexts, threads with its OTel context.

The request's own thread only waits for them meanwhile. Each of these ways leads past a place where we can
see it: Flask asks the application how to call every function, and OpenTelemetry's context is attached in the
thread it was taken to.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from types import FunctionType
from typing import TYPE_CHECKING, Any

import flask
from opentelemetry import context as otel_context
from opentelemetry import trace

from fmd_otel.otel_internals import current_request_context, watch_contexts
from fmd_otel.profiler.bases import BASES
from fmd_otel.profiler.greenlets import GreenletPlace, current_greenlet
from fmd_otel.profiler.place import Place, depth_of_caller
from fmd_otel.profiler.walker import MOST_FRAMES, Stack, walk
from fmd_otel.request_state import STATE_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Coroutine, Mapping
    from types import CodeType, FrameType

    from opentelemetry.context import Context

    from fmd_otel.profiler.request_profile import RequestProfile
    from fmd_otel.request_state import RequestState

REQUEST_KEY = otel_context.create_key("fmd-otel-request")
"""Where OpenTelemetry's context keeps the request it belongs to, if its trace does not tell."""


def place_here(bases: Container[int], *, prefix: Stack | None = None, outer: int | None = None) -> Place:
    """Return the place the caller is in."""
    current = current_greenlet()
    if current is not None:
        return GreenletPlace(bases, current, prefix=prefix, outer=outer)
    return Place(bases, prefix=prefix, outer=outer)


def follow_functions(app: flask.Flask, follower: ContextFollower) -> Callable[[], None]:
    """See which functions Flask calls for a request elsewhere than on its own thread.

    Args:
        app: The application.
        follower: Knows which threads are requests' own.

    Returns:
        What undoes it.
    """
    original = app.ensure_sync
    # Looked up now: where gevent is at work, this is the one that tells greenlets apart.
    get_ident = threading.get_ident

    is_flasks_own = getattr(original, "__func__", None) is flask.Flask.ensure_sync

    def ensure_sync(function: Callable[..., Any]) -> Callable[..., Any]:
        # As a rule this is a plain function, and a request calls it on its own thread. Flask gives it back as
        # it is, too, but takes many times as long to find out, for every function of every request.
        is_plain = is_flasks_own and _is_plain(function)
        if get_ident() in follower.homes and (is_plain or not _is_coroutine_function(function)):
            return function if is_plain else original(function)
        profile = _profile_of_request()
        if profile is None:
            return function if is_plain else original(function)
        if _is_coroutine_function(function):
            caller = sys._getframe(1)  # noqa: SLF001 # documented, underscore and all
            prefix = walk(caller, BASES) if profile.main.is_here() else None
            return original(_followed_coroutine(function, profile, prefix))
        return original(function) if profile.main.is_here() else _followed(original(function), profile)

    app.ensure_sync = ensure_sync  # type: ignore[method-assign,assignment]  # made to be overridden

    def undo() -> None:
        if app.__dict__.get("ensure_sync") is ensure_sync:
            del app.__dict__["ensure_sync"]

    return undo


def _is_plain(function: Callable[..., Any]) -> bool:
    """Tell whether this is a function that nobody has marked as anything, and no coroutine function."""
    return (
        type(function) is FunctionType
        and not function.__dict__
        and not function.__code__.co_flags & inspect.CO_COROUTINE
    )


def _is_coroutine_function(function: Callable[..., Any]) -> bool:
    code = getattr(function, "__code__", None)
    if code is None:
        return inspect.iscoroutinefunction(function)
    return bool(code.co_flags & inspect.CO_COROUTINE)


def _profile_of_request() -> RequestProfile | None:
    context = current_request_context()
    if context is None:
        return None
    state = context.request.environ.get(STATE_KEY)
    profile = None if state is None else profile_of(state)
    return profile if profile is not None and profile.can_be_helped() else None


def profile_of(state: RequestState) -> RequestProfile | None:
    """Return a request's profile, which begins now if it would have later."""
    profiler = state.profiler
    found: RequestProfile | None = state.profile if profiler is None else profiler.grow(state)
    return found


def _followed(function: Callable[..., Any], profile: RequestProfile) -> Callable[..., Any]:
    @functools.wraps(function)
    def followed(*args: Any, **kwargs: Any) -> Any:
        helper = place_here(_FOLLOWED)
        profile.add_helper(helper)
        try:
            return function(*args, **kwargs)
        finally:
            helper.end()

    return followed


def _followed_coroutine(
    function: Callable[..., Coroutine[Any, Any, Any]], profile: RequestProfile, prefix: Stack | None
) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(function)
    async def followed(*args: Any, **kwargs: Any) -> Any:
        coroutine = function(*args, **kwargs)
        helper = CoroutinePlace(coroutine, prefix)
        profile.add_helper(helper)
        try:
            return await coroutine
        finally:
            helper.end()

    return followed


class CoroutinePlace(Place):
    """A coroutine that works for a request."""

    __slots__ = ("_coroutine",)

    def __init__(self, coroutine: Any, prefix: Stack | None) -> None:
        """Begin in the thread of the event loop."""
        super().__init__(_FOLLOWED, prefix=prefix)
        self._coroutine = coroutine

    def end(self) -> None:
        """Note how much was computed up to the very end."""
        super().end()
        self._coroutine = None

    def stack(self, frames: Mapping[int, FrameType]) -> Stack | None:
        """Return what it is doing: the awaits it is suspended in, or the thread's stack while it runs."""
        coroutine = self._coroutine
        self._is_suspended = coroutine is not None and not coroutine.cr_running
        return awaits(coroutine) if self._is_suspended else super().stack(frames)


def awaits(coroutine: Any) -> Stack | None:
    """Return the stack of a suspended coroutine: each one that another awaits, down to what is none."""
    codes: list[CodeType] = []
    positions: list[int] = []
    while coroutine is not None and len(codes) < MOST_FRAMES:
        frame: Any = getattr(coroutine, "cr_frame", getattr(coroutine, "gi_frame", None))
        if frame is None:
            break
        codes.append(frame.f_code)
        positions.append(frame.f_lasti)
        coroutine = getattr(coroutine, "cr_await", getattr(coroutine, "gi_yieldfrom", None))
    codes.reverse()
    positions.reverse()
    return Stack(codes, positions, is_whole=True) if codes else None


class ContextFollower:
    """Sees OpenTelemetry's context of a profiled request attached in another thread."""

    def __init__(self) -> None:
        """Follow from now on; there is one for a process."""
        self.homes: dict[int, RequestState] = {}
        """The threads (or greenlets) that profiled requests are served on."""
        self._traces: dict[int, RequestState] = {}
        """Requests by their trace, which every context that is theirs tells."""
        self._helpers: dict[int, tuple[Any, Place]] = {}
        watch_contexts(self._attached, self._detached)

    def begin(self, state: RequestState) -> None:
        """Know a request by its context from now on; called on its own thread."""
        self.homes[state.thread_id] = state
        state.take_ids()
        trace_id = state.trace_id
        if not trace_id or self._traces.setdefault(trace_id, state) is not state:
            # No span, or two requests of one trace: the context has to tell.
            otel_context.attach(otel_context.set_value(REQUEST_KEY, state))

    def end(self, state: RequestState) -> None:
        """Forget the request; its thread's context says nothing of it any more."""
        if self.homes.get(state.thread_id) is state:
            del self.homes[state.thread_id]
        if self._traces.get(state.trace_id) is state:
            del self._traces[state.trace_id]
        elif otel_context.get_value(REQUEST_KEY) is state:
            otel_context.attach(otel_context.set_value(REQUEST_KEY, None))

    def leave(self, profile: RequestProfile) -> None:
        """Follow nobody for this request any more."""
        helpers = list(profile.followed)
        for helper in helpers:  # what goes on without its request is no part of it any more
            helper.end()
        if self._helpers:
            for key, (_token, helper) in list(self._helpers.items()):
                if helper in helpers:
                    self._helpers.pop(key, None)

    def _attached(self, context: Context, token: Any) -> None:
        if not self.homes:
            return
        profile = self.profile_in(context)
        if profile is None or profile.main.is_here() or not profile.can_be_helped():
            return
        if any(each.is_here() for each in profile.followed):
            return
        helper = place_here(_FOLLOWED, outer=depth_of_caller())
        profile.add_helper(helper)
        self._helpers[id(token)] = (token, helper)

    def profile_in(self, context: Context) -> RequestProfile | None:
        """Return the profile of the request that a context belongs to; None on the request's own thread."""
        state: Any = context.get(REQUEST_KEY)
        if state is None:
            if threading.get_ident() in self.homes:
                return None
            span = trace.get_current_span(context).get_span_context()
            state = self._traces.get(span.trace_id)
        return None if state is None else profile_of(state)

    def _detached(self, token: Any) -> None:
        if self._helpers:
            found = self._helpers.pop(id(token), None)
            if found is not None:
                found[1].end()


def _codes_named_followed() -> frozenset[int]:
    """Return the identities of the two functions above that others' work is called from."""
    return frozenset(
        id(constant)
        for outer in (_followed, _followed_coroutine)
        for constant in outer.__code__.co_consts
        if inspect.iscode(constant) and constant.co_name == "followed"
    )


_FOLLOWED = _codes_named_followed()

_shared: list[ContextFollower] = []


def shared_follower() -> ContextFollower:
    """Return this process's follower, made when it is first wanted."""
    if not _shared:
        _shared.append(ContextFollower())
    return _shared[0]
