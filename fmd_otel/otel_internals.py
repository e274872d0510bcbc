"""Every name of OpenTelemetry and Flask that is not public and that we depend on, in one place.

A test of this module fails loudly when upstream moves one of them. At run time nothing here may: each
function has an answer for the day when a name is gone, and the price is written beside it.
"""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import flask
import flask.globals
import opentelemetry.instrumentation.flask as otel_flask
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import sampling
from opentelemetry.util.http import get_excluded_urls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.util.http import ExcludeList

SPAN_KEY = "opentelemetry-flask.span_key"
"""Where the Flask instrumentation leaves the request's span in the WSGI environment."""
CONTEXT_KEY = "opentelemetry-flask.reqctx_ref_key"
"""Where it leaves a weak reference to the request context that it started the span in."""

_INSTRUMENTED = "_is_instrumented_by_opentelemetry"
_BEFORE = "_before_request"
_TEARDOWN = "_teardown_request"
_EXCLUDED = "_excluded_urls_from_env"
_ORIGINAL = "_original_wsgi_app"
_OURS = frozenset({"fmd_otel", "fmd_otel_exporter"})
_swap_lock = threading.RLock()


def _public_request_context() -> Any:
    """Do what ``_cv_request.get`` does by public means, several times slower."""
    if not flask.has_request_context():
        return None
    return flask.globals.request_ctx._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 # documented by Werkzeug


_context_variable = getattr(flask.globals, "_cv_request", None)


def _none() -> None:
    return None


# Bound once: a look-up through the proxies costs ten times as much, on every request.
current_request_context: Callable[[], Any] = (
    _public_request_context if _context_variable is None else lambda get=_context_variable.get: get(None)  # type: ignore[misc]
)
"""Return Flask's request context, or None outside of one."""


def is_instrumented(app: flask.Flask) -> bool:
    """Tell whether OpenTelemetry's Flask instrumentation is active on this application."""
    return bool(getattr(app, _INSTRUMENTED, False))


@contextmanager
def setup_allowed(app: flask.Flask) -> Iterator[None]:
    """Let functions be registered after the first request, which Flask otherwise refuses.

    Its reason is that they would apply to some requests and not to others; for monitoring that is what is
    wanted.
    """
    served: Any = app.__dict__.get("_got_first_request", False)
    if served:
        app._got_first_request = False  # noqa: SLF001 # no public way
    try:
        yield
    finally:
        if served:
            app._got_first_request = True  # noqa: SLF001 # no public way


@contextmanager
def _no_empty_exclusions() -> Iterator[None]:
    """Let the instrumentation see no list of excluded URLs where the list is empty.

    It puts together the full URL of a request three times only to compare it with nothing: a seventh of all
    that tracing a request costs.
    """
    found = getattr(otel_flask, _EXCLUDED, None)
    if not _is_empty(found):
        yield
        return
    setattr(otel_flask, _EXCLUDED, None)
    try:
        yield
    finally:
        setattr(otel_flask, _EXCLUDED, found)


def drop_empty_exclusions() -> None:
    """Do the same for applications that zero-code instrumentation is going to make."""
    instrumented_class: Any = getattr(otel_flask, "_InstrumentedFlask", None)
    if _is_empty(getattr(instrumented_class, "_excluded_urls", None)):
        instrumented_class._excluded_urls = None  # noqa: SLF001 # no public way


def _is_empty(excluded: Any) -> bool:
    return excluded is not None and not getattr(excluded, "_excluded_urls", True)


def instrument_app(app: flask.Flask, **options: Any) -> None:
    """Put OpenTelemetry's Flask instrumentation on an application, whenever."""
    with setup_allowed(app), _swap_lock, _no_empty_exclusions():
        FlaskInstrumentor.instrument_app(app, **options)  # type: ignore[no-untyped-call]  # upstream


def move_before_request_first(app: flask.Flask) -> None:
    """Let the span start before any of the application's own ``before_request`` functions.

    One that answers by itself (a login check) would otherwise leave the request without a span.
    """
    function = getattr(app, _BEFORE, None)
    functions = app.before_request_funcs.get(None, [])
    if function in functions and functions[0] is not function:
        functions.insert(0, functions.pop(functions.index(function)))


def insert_before_request(app: flask.Flask, function: Callable[[], None]) -> None:
    """Let a function run right after the span has been started, before anything of the application's own."""
    functions = app.before_request_funcs.setdefault(None, [])
    first = getattr(app, _BEFORE, None)
    functions.insert(1 if functions and functions[0] is first else 0, function)


def remove_instrumentation(app: flask.Flask) -> Callable[..., Any] | None:
    """Take OpenTelemetry's Flask instrumentation off again, without its own way of doing so.

    That one restores ``wsgi_app`` as it was, and with it drops every middleware that was added since.

    Returns:
        The WSGI callable that was instrumented.
    """
    original = app.__dict__.get(_ORIGINAL)
    for functions, name in ((app.before_request_funcs, _BEFORE), (app.teardown_request_funcs, _TEARDOWN)):
        function = app.__dict__.pop(name, None)
        registered = functions.get(None, [])
        if function in registered:
            registered.remove(function)
    app.__dict__.pop(_ORIGINAL, None)
    setattr(app, _INSTRUMENTED, False)
    return original


def watch_contexts(
    attached: Callable[[Context, Any], None], detached: Callable[[Any], None]
) -> Callable[[], None] | None:
    """Have two functions called whenever a context is attached or detached, in whatever thread.

    Where the place to see it from has moved, threads that carry a request's context are not followed.

    Returns:
        What undoes it, if it was done.
    """
    runtime: Any = getattr(otel_context, "_RUNTIME_CONTEXT", None)
    if runtime is None or not hasattr(runtime, "__dict__"):
        return None
    attach, detach = runtime.attach, runtime.detach

    def attach_and_tell(context: Context) -> Any:
        token = attach(context)
        try:  # noqa: SIM105 # contextlib.suppress would cost every span, try costs none
            attached(context, token)
        except Exception:  # noqa: BLE001, S110 # nothing of ours may reach whoever attaches
            pass
        return token

    def detach_and_tell(token: Any) -> None:
        try:  # noqa: SIM105 # the same
            detached(token)
        except Exception:  # noqa: BLE001, S110 # the same
            pass
        detach(token)

    runtime.attach, runtime.detach = attach_and_tell, detach_and_tell

    def undo() -> None:
        if runtime.__dict__.get("attach") is attach_and_tell:
            runtime.attach, runtime.detach = attach, detach

    return undo


def excluded_urls(app: flask.Flask) -> ExcludeList | None:
    """Return the URLs that OpenTelemetry does not trace on this application; None where there are none.

    They are read from where the instrumentation keeps them, which covers an application that was instrumented
    by its owner. Should they move, the environment variables are what remains.
    """
    function: Any = getattr(app, _BEFORE, None)
    code = getattr(function, "__code__", None)
    found: ExcludeList | None = None
    if code is not None and "excluded_urls" in code.co_freevars:
        found = function.__closure__[code.co_freevars.index("excluded_urls")].cell_contents
    else:
        found = get_excluded_urls("FLASK")
    return None if _is_empty(found) else found


def has_exporter(provider: Any) -> bool:
    """Tell whether spans of a provider reach us already, through whatever processor.

    Where this can no longer be seen, spans of other kinds than requests may be recorded twice.
    """
    processors = getattr(getattr(provider, "_active_span_processor", None), "_span_processors", ())
    return any(
        any(base.__module__.startswith("fmd_otel_exporter.") for base in type(part).__mro__)
        and not getattr(part, "_closed", False)
        for processor in processors
        for part in (processor, getattr(processor, "span_exporter", None))
    )


def is_read_by_us_alone(span: Any) -> bool:
    """Tell whether nobody but us sees what is written on a span.

    Where this can no longer be seen, nobody but OpenTelemetry loses the time that it takes to write.
    """
    processors = getattr(getattr(span, "_span_processor", None), "_span_processors", ())
    return bool(processors) and all(
        type(getattr(processor, "span_exporter", processor)).__module__.partition(".")[0] in _OURS
        for processor in processors
    )


def leave_tracebacks_out(span: Any) -> None:
    """Let the span say that it failed without saying where, which takes most of a millisecond to write."""
    span.record_exception = _write_nothing


def _write_nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def root_sampler() -> Sampler:
    """Return the sampler that the ``OTEL_TRACES_SAMPLER`` variables name, entry points included."""
    name = os.environ.get("OTEL_TRACES_SAMPLER", "").strip()
    if name and name.lower() not in sampling._KNOWN_SAMPLERS:  # noqa: SLF001 # no public way
        named = _sdk_configuration()._import_sampler(name)  # noqa: SLF001 # no public way
        if named is not None:
            return named  # type: ignore[no-any-return]  # the module is untyped here
    return sampling._get_from_env_or_default()  # noqa: SLF001 # no public way


def sdk_configurator() -> Any:
    """Return the class that every distribution's configurator is made from, underscore or not."""
    return _sdk_configuration()._OTelSDKConfigurator  # noqa: SLF001 # no public way


def _sdk_configuration() -> Any:
    from opentelemetry.sdk import _configuration  # noqa: PLC0415 # brings metrics and logs along: not for two lines

    return _configuration


@contextmanager
def plain_flask() -> Iterator[None]:
    """Give back the original ``flask.Flask`` while an application of our own is made.

    Zero-code instrumentation replaces the class, so that the dashboard would otherwise trace itself.
    """
    with _swap_lock:
        current = flask.Flask
        original: Any = next((base for base in current.__mro__ if base.__module__ == "flask.app"), current)
        flask.Flask = original  # type: ignore[misc]
        try:
            yield
        finally:
            if flask.Flask is original:
                flask.Flask = current  # type: ignore[misc]


def parsed_form(request: flask.Request, most: int) -> list[tuple[str, str]]:
    """Return the first fields of a form that the application has parsed; nothing where it has not.

    Where Werkzeug no longer keeps it there, the form of an outlier is missing.
    """
    form = request.__dict__.get("form")
    return [] if form is None else [*itertools.islice(form.items(multi=True), most)]


def cached_body(request: flask.Request, most: int) -> bytes | None:
    """Return the beginning of a body that the application has read as a whole, None where it has not.

    Where Werkzeug no longer keeps it there, the JSON of an outlier is missing.
    """
    data = request.__dict__.get("_cached_data")
    return data[:most] if isinstance(data, bytes) else None
